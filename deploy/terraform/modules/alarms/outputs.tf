output "topic_arn" {
  description = "The topic that alarms and events go to."
  value       = aws_sns_topic.alerts.arn
}
