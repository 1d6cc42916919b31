variable "name" {
  description = "What the names begin with."
  type        = string
}

variable "engine_version" {
  description = "Aurora PostgreSQL's version."
  type        = string
}

variable "shared_buffers_percent" {
  description = "The share of an instance's memory that caches pages."
  type        = number
}

variable "slow_statement_ms" {
  description = "Statements that take longer are logged, without their parameters (ms)."
  type        = number
  default     = 1000
}
