output "queue_url" {
  description = "The queue, for GREENLANG_S3_EVENTS_QUEUE_URL."
  value       = aws_sqs_queue.events.url
}

output "queue_arn" {
  description = "The queue, for the policy of who reads it."
  value       = aws_sqs_queue.events.arn
}
