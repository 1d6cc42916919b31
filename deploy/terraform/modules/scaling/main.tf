# Readers that come and go with load (PRD 9.2). Aurora scales towards a target: it adds a reader as
# soon as the average is above it, takes one away only when the average would stay below it.
# Latency scales the processes that search, in Kubernetes. Memory is no sign of load on a database,
# which fills it with cache: it raises an alarm (modules/alarms).

resource "aws_appautoscaling_target" "readers" {
  service_namespace  = "rds"
  scalable_dimension = "rds:cluster:ReadReplicaCount"
  resource_id        = "cluster:${var.cluster}"
  min_capacity       = var.min_readers
  max_capacity       = var.max_readers
}

resource "aws_appautoscaling_policy" "readers" {
  for_each = {
    RDSReaderAverageCPUUtilization      = var.cpu_percent
    RDSReaderAverageDatabaseConnections = var.connections
  }

  name               = each.key
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.readers.service_namespace
  scalable_dimension = aws_appautoscaling_target.readers.scalable_dimension
  resource_id        = aws_appautoscaling_target.readers.resource_id

  target_tracking_scaling_policy_configuration {
    target_value       = each.value
    scale_out_cooldown = 300
    scale_in_cooldown  = 900

    predefined_metric_specification {
      predefined_metric_type = each.key
    }
  }
}
