# The cluster: its size, its settings, how long its backups are kept.

variable "engine_version" {
  description = "Aurora PostgreSQL with pgvector 0.8 or newer: 16.8, 17.4 or later."
  type        = string
  default     = "17.7"

  validation {
    condition = can(regex("^[0-9]+\\.[0-9]+$", var.engine_version)) && try(
      tonumber(split(".", var.engine_version)[1]) >= lookup({ "16" = 8, "17" = 4 }, split(".", var.engine_version)[0], tonumber(split(".", var.engine_version)[0]) > 17 ? 0 : 1000),
      false
    )
    error_message = "engine_version is 16.8, 17.4 or later: iterative index scans need pgvector 0.8."
  }
}

variable "writer_class" {
  description = "The class of the first instance, or db.serverless (PRD 5.4.1)."
  type        = string

  validation {
    condition     = can(regex("^db\\.(serverless|r[6-8]g[a-z]*\\.([0-9]*x)?large)$", var.writer_class))
    error_message = "writer_class is db.serverless or a memory-optimized Graviton class such as db.r6g.2xlarge."
  }
}

variable "reader_class" {
  description = "The class of the readers; the writer's by default. A smaller one is slower after a failover."
  type        = string
  default     = null

  validation {
    condition     = var.reader_class == null || can(regex("^db\\.(serverless|r[6-8]g[a-z]*\\.([0-9]*x)?large)$", var.reader_class))
    error_message = "reader_class is db.serverless or a memory-optimized Graviton class such as db.r6g.xlarge."
  }
}

variable "readers" {
  description = "Readers that are always there (PRD 4.2: two)."
  type        = number

  validation {
    condition     = var.readers >= 0 && var.readers <= 15 && floor(var.readers) == var.readers
    error_message = "Aurora takes 0 to 15 readers."
  }
}

variable "max_readers" {
  description = "Readers at most, those among them that load adds (PRD 9.2); no scaling where it equals readers."
  type        = number

  validation {
    condition     = var.max_readers >= var.readers && var.max_readers <= 15
    error_message = "max_readers is at least readers, and at most 15."
  }

  validation {
    condition     = var.max_readers == var.readers || var.readers > 0
    error_message = "Aurora scales readers only where there is one."
  }
}

variable "serverless_capacity" {
  description = "Capacity of instances of class db.serverless, in ACU of about 2 GiB (PRD 9.1)."
  type        = object({ min = number, max = number })
  default     = { min = 2, max = 128 }

  validation {
    condition     = var.serverless_capacity.min >= 0.5 && var.serverless_capacity.min <= var.serverless_capacity.max && var.serverless_capacity.max <= 256
    error_message = "Aurora Serverless v2 takes 0.5 to 256 ACU."
  }
}

variable "storage_type" {
  description = "aurora, which bills each read and write, or aurora-iopt1, which bills none but more storage."
  type        = string
  default     = "aurora"

  validation {
    condition     = contains(["aurora", "aurora-iopt1"], var.storage_type)
    error_message = "storage_type is aurora or aurora-iopt1."
  }
}

variable "database_name" {
  description = "The database that is made with the cluster (PRD 8.3)."
  type        = string
  default     = "greenlang"
}

variable "shared_buffers_percent" {
  description = "The share of an instance's memory that caches pages; docs/aws.md says why it is not PRD 18.2's 25."
  type        = number
  default     = 65

  validation {
    condition     = var.shared_buffers_percent >= 25 && var.shared_buffers_percent <= 75
    error_message = "shared_buffers_percent is 25 (PRD 18.2) to 75."
  }
}

variable "max_connections_used" {
  description = "Connections that poolers and jobs together open to one instance; 80% of them raise an alarm (PRD 9.2)."
  type        = number
  default     = 200
}

variable "automated_backup_days" {
  description = "How long Aurora can go back to any second (PRD 12.1)."
  type        = number
  default     = 35

  validation {
    condition     = var.automated_backup_days >= 1 && var.automated_backup_days <= 35
    error_message = "Aurora keeps automated backups for 1 to 35 days."
  }
}

variable "snapshot_days" {
  description = "How long `snapshots prune` keeps the snapshots it made (PRD 12.1)."
  type        = number
  default     = 90
}

variable "log_days" {
  description = "How long CloudWatch keeps the server's log, pgaudit's records in it."
  type        = number
  default     = 365

  validation {
    condition     = contains([30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_days)
    error_message = "CloudWatch keeps logs for 30, 60, 90, 120, 150, 180, 365, 400, 545, 731 or more days."
  }
}

variable "backup_window" {
  description = "When Aurora begins its daily backup, in UTC (PRD 12.2)."
  type        = string
  default     = "03:00-04:00"
}

variable "maintenance_window" {
  description = "When AWS may maintain the cluster, in UTC."
  type        = string
  default     = "sun:04:30-sun:05:30"
}

variable "deletion_protection" {
  description = "Whether AWS refuses to delete the cluster (PRD 12.2). Set to false, and apply, before a destroy."
  type        = bool
  default     = true
}

variable "apply_immediately" {
  description = "Whether changes that may restart instances are made at once, not in the maintenance window."
  type        = bool
  default     = false
}
