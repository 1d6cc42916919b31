variable "name" {
  description = "What the aliases begin with."
  type        = string
}

variable "keys" {
  description = "The keys: what each is for, whether it gets replicas, and which AWS services use it by themselves."
  type = map(object({
    description  = string
    multi_region = optional(bool, false)
    services     = optional(list(string), [])
  }))
}

variable "deletion_days" {
  description = "How long a key that is to be deleted can be brought back."
  type        = number
  default     = 30
}
