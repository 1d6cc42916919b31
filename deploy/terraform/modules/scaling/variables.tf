variable "cluster" {
  description = "The cluster whose readers are scaled."
  type        = string
}

variable "min_readers" {
  description = "Readers that are always there."
  type        = number
}

variable "max_readers" {
  description = "Readers at most."
  type        = number
}

variable "cpu_percent" {
  description = "The readers' average use of CPU that is aimed at (PRD 9.2)."
  type        = number
  default     = 50
}

variable "connections" {
  description = "The readers' average number of connections that is aimed at (PRD 9.2: half of the pool)."
  type        = number
}
