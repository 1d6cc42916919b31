# What AWS sees of the cluster and people should hear of. What the application sees (latency,
# recall, backups) is alerted on by Prometheus: deploy/monitoring.

data "aws_caller_identity" "current" {}

resource "aws_sns_topic" "alerts" {
  name              = "${var.name}-alerts"
  kms_master_key_id = var.kms_key_arn
}

data "aws_iam_policy_document" "alerts" {
  statement {
    sid       = "CloudWatchAndRds"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.alerts.arn]

    principals {
      type        = "Service"
      identifiers = ["cloudwatch.amazonaws.com", "events.rds.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.current.account_id]
    }
  }
}

resource "aws_sns_topic_policy" "alerts" {
  arn    = aws_sns_topic.alerts.arn
  policy = data.aws_iam_policy_document.alerts.json
}

resource "aws_sns_topic_subscription" "email" {
  for_each = toset(var.emails)

  topic_arn = aws_sns_topic.alerts.arn
  protocol  = "email"
  endpoint  = each.value
}

resource "aws_cloudwatch_metric_alarm" "part" {
  for_each = local.by_part

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = "${each.value.text} (${var.name}, PRD 9.2)."
  namespace           = "AWS/RDS"
  metric_name         = each.value.metric
  statistic           = each.value.statistic
  comparison_operator = each.value.comparison
  threshold           = each.value.threshold
  period              = 60
  evaluation_periods  = 5
  datapoints_to_alarm = 5
  alarm_actions       = [aws_sns_topic.alerts.arn]
  ok_actions          = [aws_sns_topic.alerts.arn]

  dimensions = {
    DBClusterIdentifier = var.cluster
    Role                = each.value.part
  }
}

resource "aws_cloudwatch_metric_alarm" "lag" {
  count = contains(keys(var.memory_gib), "READER") ? 1 : 0

  alarm_name          = "${var.name}-replica-lag"
  alarm_description   = "A reader of ${var.name} is more than ${var.thresholds.lag_ms} ms behind (PRD 11.3)."
  namespace           = "AWS/RDS"
  metric_name         = "AuroraReplicaLagMaximum"
  statistic           = "Maximum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.thresholds.lag_ms
  period              = 60
  evaluation_periods  = 5
  datapoints_to_alarm = 5
  alarm_actions       = [aws_sns_topic.alerts.arn]
  ok_actions          = [aws_sns_topic.alerts.arn]

  dimensions = {
    DBClusterIdentifier = var.cluster
  }
}

resource "aws_db_event_subscription" "cluster" {
  name_prefix      = "${var.name}-"
  sns_topic        = aws_sns_topic.alerts.arn
  source_type      = "db-cluster"
  source_ids       = [var.cluster]
  event_categories = ["deletion", "failover", "failure", "maintenance", "notification"]

  depends_on = [aws_sns_topic_policy.alerts]
}
