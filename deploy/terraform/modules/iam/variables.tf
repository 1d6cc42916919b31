variable "name" {
  description = "What the names begin with."
  type        = string
}

variable "region" {
  description = "The region of the cluster."
  type        = string
}

variable "dr_region" {
  description = "The region of copies; null without one."
  type        = string
}

variable "oidc_provider_arn" {
  description = "The IAM OIDC provider of the EKS cluster."
  type        = string
}

variable "kubernetes_namespace" {
  description = "The namespace of the service accounts."
  type        = string
}

variable "workloads" {
  description = "One role each: who takes it, its login in the database, its policies."
  type = map(object({
    service_accounts = list(string)
    login            = optional(string)
    policies         = list(string)
  }))

  validation {
    condition = alltrue(flatten([
      for each in values(var.workloads) : [
        for policy in each.policies :
        contains(["archive", "backups", "encryption", "restores", "secrets", "snapshots", "sources"], policy)
      ]
    ]))
    error_message = "The policies are archive, backups, encryption, restores, secrets, snapshots and sources."
  }

  validation {
    condition     = alltrue([for each in values(var.workloads) : !(contains(each.policies, "archive") && contains(each.policies, "backups"))])
    error_message = "A process has one GREENLANG_BACKUP_LOCATION: archive or backups."
  }

  validation {
    condition     = alltrue([for each in values(var.workloads) : contains(each.policies, "snapshots") if contains(each.policies, "restores")])
    error_message = "Whoever restores must see snapshots: restores goes with snapshots."
  }
}

variable "cluster" {
  description = "The cluster's identifier."
  type        = string
}

variable "cluster_resource_ids" {
  description = "The identifiers by which IAM knows the cluster, and restored ones that stand in for it."
  type        = list(string)
}

variable "bucket_arns" {
  description = "The buckets: sources, backups, archive."
  type        = map(string)
}

variable "events_queue_arn" {
  description = "The queue of changes of the bucket sources."
  type        = string
}

variable "kms_key_arns" {
  description = "The keys: database, objects, secrets, application."
  type        = map(string)
}

variable "dr_kms_key_arns" {
  description = "The keys of the region of copies: database, and application's replica. Empty without one."
  type        = map(string)
}

variable "secret_arns" {
  description = "The application's secrets."
  type        = list(string)
}
