variable "name" {
  description = "The name of the bucket."
  type        = string
}

variable "kms_key_arn" {
  description = "The key that S3 encrypts objects with."
  type        = string
}

variable "deleted_object_days" {
  description = "How long objects that were deleted or overwritten can be brought back."
  type        = number
}

variable "cold_class" {
  description = "The storage class that objects go to after 30 days; one that is read without waiting. None without it."
  type        = string
  default     = null

  validation {
    condition     = var.cold_class == null || try(contains(["STANDARD_IA", "GLACIER_IR"], var.cold_class), false)
    error_message = "Restores read objects at once: STANDARD_IA or GLACIER_IR."
  }
}

variable "object_lock" {
  description = "How long nobody can delete a version."
  type        = object({ mode = string, days = number })
  default     = null
}

variable "access_log_bucket" {
  description = "The bucket that access is logged to; none without it."
  type        = string
  default     = null
}
