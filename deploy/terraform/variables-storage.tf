# The buckets: their names, how long what is kept.

variable "bucket_prefix" {
  description = "What the names of buckets begin with; name, profile and account number by default, as they are known worldwide."
  type        = string
  default     = null

  validation {
    condition     = var.bucket_prefix == null || can(regex("^[a-z0-9][a-z0-9-]{2,50}$", var.bucket_prefix))
    error_message = "bucket_prefix has 3 to 51 lower-case letters, digits and hyphens."
  }
}

variable "deleted_object_days" {
  description = "How long objects that were deleted or overwritten can be brought back."
  type        = number
  default     = 35

  validation {
    condition     = var.deleted_object_days >= 1
    error_message = "deleted_object_days is at least 1."
  }
}

variable "object_lock" {
  description = "How long nobody can delete a version in the bucket of backups: GOVERNANCE lets those who may bypass it, COMPLIANCE nobody. Locking cannot be taken from a bucket again."
  type        = object({ mode = string, days = number })
  default     = null

  validation {
    condition     = var.object_lock == null || try(contains(["GOVERNANCE", "COMPLIANCE"], var.object_lock.mode) && var.object_lock.days >= 1, false)
    error_message = "object_lock has a mode, GOVERNANCE or COMPLIANCE, and days."
  }
}

variable "access_log_bucket" {
  description = "An existing bucket of this region that S3 logs access to these buckets to; none without it."
  type        = string
  default     = null
}
