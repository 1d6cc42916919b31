variable "name" {
  description = "What the names begin with."
  type        = string
}

variable "cluster" {
  description = "The cluster that is watched."
  type        = string
}


variable "memory_gib" {
  description = "The memory of one instance by its part: WRITER and, where there are readers, READER."
  type        = map(number)
}

variable "connections" {
  description = "Connections that are opened to one instance at most."
  type        = number
}

variable "kms_key_arn" {
  description = "The key of the topic, which CloudWatch and RDS may use."
  type        = string
}

variable "emails" {
  description = "Who is written to."
  type        = list(string)
}

variable "thresholds" {
  description = "Beyond what an alarm is raised: PRD 9.2's \"scale up\" and 11.3's replication lag."
  type = object({
    cpu_percent         = optional(number, 70)
    memory_percent      = optional(number, 80)
    connections_percent = optional(number, 80)
    lag_ms              = optional(number, 30000)
    local_storage_bytes = optional(number, 5368709120)
  })
  default = {}
}
