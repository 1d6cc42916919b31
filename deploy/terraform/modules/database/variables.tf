variable "name" {
  description = "The name of the cluster."
  type        = string
}

variable "engine_version" {
  description = "Aurora PostgreSQL's version."
  type        = string
}

variable "database_name" {
  description = "The database that is made with the cluster."
  type        = string
}

variable "writer_class" {
  description = "The class of the first instance."
  type        = string
}

variable "reader_class" {
  description = "The class of the others."
  type        = string
}

variable "readers" {
  description = "How many others there are."
  type        = number
}

variable "serverless_capacity" {
  description = "The range of db.serverless, in ACU; null where no instance is of that class."
  type        = object({ min = number, max = number })
}

variable "storage_type" {
  description = "aurora or aurora-iopt1."
  type        = string
}

variable "zones" {
  description = "Availability zones that the instances are spread over, in this order."
  type        = list(string)
}

variable "subnet_group" {
  description = "The DB subnet group."
  type        = string
}

variable "security_group_id" {
  description = "The security group of the database."
  type        = string
}

variable "cluster_parameter_group" {
  description = "The cluster's parameter group."
  type        = string
}

variable "instance_parameter_group" {
  description = "The instances' parameter group."
  type        = string
}

variable "kms_key_arn" {
  description = "The key of storage, snapshots, logs and Performance Insights."
  type        = string
}

variable "secrets_kms_key_arn" {
  description = "The key of the master user's password."
  type        = string
}

variable "automated_backup_days" {
  description = "How long Aurora can go back to any second."
  type        = number
}

variable "backup_window" {
  description = "When Aurora begins its daily backup, in UTC."
  type        = string
}

variable "maintenance_window" {
  description = "When AWS may maintain the cluster, in UTC."
  type        = string
}

variable "log_days" {
  description = "How long CloudWatch keeps the server's log."
  type        = number
}

variable "deletion_protection" {
  description = "Whether AWS refuses to delete the cluster."
  type        = bool
}

variable "apply_immediately" {
  description = "Whether changes are made at once, not in the maintenance window."
  type        = bool
}
