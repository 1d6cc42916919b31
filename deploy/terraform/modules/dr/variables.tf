variable "name" {
  description = "What the names begin with."
  type        = string
}

variable "region" {
  description = "The region of the cluster, which copies come from."
  type        = string
}

variable "dr" {
  description = "The region of copies, and where a restored cluster would live there."
  type = object({
    region                    = string
    vpc_id                    = optional(string)
    private_subnet_ids        = optional(list(string), [])
    client_security_group_ids = optional(map(string), {})
  })
}

variable "buckets" {
  description = "The buckets that are copied: name and ARN of each."
  type        = map(object({ name = string, arn = string }))
}

variable "bucket_prefix" {
  description = "What the names of the copies begin with."
  type        = string
}

variable "objects_kms_key_arn" {
  description = "The key of those buckets."
  type        = string
}

variable "application_kms_key_arn" {
  description = "The multi-region key that wraps the data keys of encrypted namespaces."
  type        = string
}

variable "deleted_object_days" {
  description = "How long copies that were deleted or overwritten can be brought back."
  type        = number
}

variable "object_lock" {
  description = "How long nobody can delete a version in the copy of backups, as in the bucket itself."
  type        = object({ mode = string, days = number })
}

variable "engine_version" {
  description = "Aurora PostgreSQL's version."
  type        = string
}

variable "shared_buffers_percent" {
  description = "The share of an instance's memory that caches pages."
  type        = number
}
