output "arns" {
  description = "The ARN of each key."
  value       = { for name, key in aws_kms_key.key : name => key.arn }
}

output "ids" {
  description = "The id of each key. That of a multi-region key names its replicas, too."
  value       = { for name, key in aws_kms_key.key : name => key.key_id }
}
