output "name" {
  description = "The bucket's name, once versions are kept in it."
  value       = aws_s3_bucket_versioning.bucket.bucket
}

output "arn" {
  description = "The bucket's ARN, once versions are kept in it."
  value       = aws_s3_bucket.bucket.arn
  depends_on  = [aws_s3_bucket_versioning.bucket]
}
