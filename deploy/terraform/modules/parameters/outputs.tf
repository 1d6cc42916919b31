output "cluster_group" {
  description = "The name of the cluster's parameter group."
  value       = aws_rds_cluster_parameter_group.cluster.name
}

output "instance_group" {
  description = "The name of the instances' parameter group."
  value       = aws_db_parameter_group.instance.name
}
