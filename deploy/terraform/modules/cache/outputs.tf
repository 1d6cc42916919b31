output "url" {
  description = "Where the application finds it."
  value       = "rediss://${aws_elasticache_replication_group.cache.primary_endpoint_address}:6379/0"
}
