output "arns" {
  description = "The ARN of each secret, by the setting it is for."
  value       = { for setting, secret in aws_secretsmanager_secret.secret : setting => secret.arn }
}
