# S3 tells the application what changed in the bucket of sources (PRD 7.1): docs/sources.md.

data "aws_caller_identity" "current" {}

# Keys of objects are in it, no contents: encrypted by SQS itself.
resource "aws_sqs_queue" "events" {
  name                       = "${var.name}-source-events"
  sqs_managed_sse_enabled    = true
  message_retention_seconds  = 1209600
  visibility_timeout_seconds = 600

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.unreadable.arn
    maxReceiveCount     = 5
  })
}

# What could not be taken five times, for people to look at.
resource "aws_sqs_queue" "unreadable" {
  name                      = "${var.name}-source-events-unreadable"
  sqs_managed_sse_enabled   = true
  message_retention_seconds = 1209600
}

resource "aws_sqs_queue_redrive_allow_policy" "unreadable" {
  queue_url = aws_sqs_queue.unreadable.id

  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.events.arn]
  })
}

data "aws_iam_policy_document" "events" {
  statement {
    sid       = "ThisBucketAlone"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.events.arn]

    principals {
      type        = "Service"
      identifiers = ["s3.amazonaws.com"]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [var.bucket_arn]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.current.account_id]
    }
  }
}

resource "aws_sqs_queue_policy" "events" {
  queue_url = aws_sqs_queue.events.id
  policy    = data.aws_iam_policy_document.events.json
}

resource "aws_s3_bucket_notification" "events" {
  bucket = var.bucket

  queue {
    queue_arn = aws_sqs_queue.events.arn
    events    = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:ObjectRestore:Completed"]
  }

  depends_on = [aws_sqs_queue_policy.events]
}

resource "aws_cloudwatch_metric_alarm" "unreadable" {
  alarm_name          = "${var.name}-source-events-unreadable"
  alarm_description   = "Messages of the bucket's changes could not be read; they wait in ${aws_sqs_queue.unreadable.name}."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  statistic           = "Maximum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  period              = 300
  evaluation_periods  = 1
  alarm_actions       = [var.alerts_topic_arn]

  dimensions = {
    QueueName = aws_sqs_queue.unreadable.name
  }
}
