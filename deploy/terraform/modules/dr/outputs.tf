output "kms_key_arns" {
  description = "The key of copied snapshots and restored clusters, and the replica of the application's."
  value = {
    database    = module.kms.arns["database"]
    application = aws_kms_replica_key.application.arn
  }
}

output "bucket_names" {
  description = "The copies of the buckets."
  value       = { for name, bucket in module.bucket : name => bucket.name }
}

output "placement" {
  description = "What `snapshots restore --copies` is told of the place: groups of that region."
  value = {
    region                   = var.dr.region
    subnet_group             = one(module.network[*].subnet_group)
    security_group_id        = one(module.network[*].security_group_id)
    cluster_parameter_group  = module.parameters.cluster_group
    instance_parameter_group = module.parameters.instance_group
  }
}
