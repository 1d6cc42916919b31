# What Kubernetes and people need to know.

output "environment" {
  description = "The settings of each workload's processes, as the application reads them (greenlang_vectors/settings.py). No secret is among them."
  value       = local.environment
}

output "secret_arns" {
  description = "Where the values of settings that are secrets are."
  value       = module.secrets.arns
}

output "role_arns" {
  description = "The role of each workload, for the annotation eks.amazonaws.com/role-arn of its service accounts."
  value       = module.iam.role_arns
}

output "database" {
  description = "The cluster: for poolers (PRD 8.3), and for whoever restores."
  value = {
    cluster           = module.database.cluster
    resource_id       = module.database.resource_id
    writer            = module.database.endpoint
    reader            = module.database.reader_endpoint
    instances         = module.database.instance_endpoints
    port              = module.database.port
    name              = var.database_name
    master_secret_arn = module.database.master_secret_arn
    subnet_group      = module.network.subnet_group
    security_group_id = module.network.security_group_id
  }
}

output "bucket_names" {
  description = "The buckets: sources, which are mounted where documents are read, backups and archive."
  value       = { for name, bucket in module.bucket : name => bucket.name }
}

output "alerts_topic_arn" {
  description = "The SNS topic of alarms and events, for subscribers other than e-mail."
  value       = module.alarms.topic_arn
}

output "dr" {
  description = "What is in the region of copies; null without one."
  value = one([for dr in module.dr : {
    placement    = dr.placement
    bucket_names = dr.bucket_names
    kms_key_arn  = dr.kms_key_arns["database"]
  }])
}
