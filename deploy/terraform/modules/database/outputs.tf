output "cluster" {
  description = "The cluster's identifier."
  value       = aws_rds_cluster.database.id
}

output "resource_id" {
  description = "The identifier by which IAM knows it."
  value       = aws_rds_cluster.database.cluster_resource_id
}

output "endpoint" {
  description = "The writer, whichever instance that is."
  value       = aws_rds_cluster.database.endpoint
}

output "instance_endpoints" {
  description = "Each instance, the first of them the first writer."
  value       = aws_rds_cluster_instance.instance[*].endpoint
}

output "reader_endpoint" {
  description = "The readers, those among them that load added."
  value       = aws_rds_cluster.database.reader_endpoint
}

output "port" {
  description = "The port of both."
  value       = aws_rds_cluster.database.port
}

output "master_secret_arn" {
  description = "The secret in which RDS keeps, and changes, the master user's password."
  value       = aws_rds_cluster.database.master_user_secret[0].secret_arn
}
