variable "name" {
  description = "What the names begin with."
  type        = string
}

variable "secrets" {
  description = "The settings that are secrets, and what each is."
  type        = map(string)
}

variable "kms_key_arn" {
  description = "The key that encrypts them."
  type        = string
}
