# What is watched of each part of the cluster, and beyond what (PRD 9.2).

locals {
  gib = 1073741824

  # By part and metric, so that a failover and readers that load adds change nothing.
  by_part = merge([
    for part, memory in var.memory_gib : {
      "${lower(part)}-cpu" = {
        part       = part, metric = "CPUUtilization", statistic = "Average"
        comparison = "GreaterThanThreshold", threshold = var.thresholds.cpu_percent
        text       = "CPU of the ${lower(part)} above ${var.thresholds.cpu_percent}%"
      }
      "${lower(part)}-memory" = {
        part       = part, metric = "FreeableMemory", statistic = "Minimum"
        comparison = "LessThanThreshold", threshold = memory * local.gib * (100 - var.thresholds.memory_percent) / 100
        text       = "Memory of the ${lower(part)} used by more than ${var.thresholds.memory_percent}%"
      }
      "${lower(part)}-connections" = {
        part       = part, metric = "DatabaseConnections", statistic = "Maximum"
        comparison = "GreaterThanThreshold", threshold = var.connections * var.thresholds.connections_percent / 100
        text       = "More than ${var.thresholds.connections_percent}% of the connections of the pools to the ${lower(part)} are open"
      }
      "${lower(part)}-local-storage" = {
        part       = part, metric = "FreeLocalStorage", statistic = "Minimum"
        comparison = "LessThanThreshold", threshold = var.thresholds.local_storage_bytes
        text       = "Little local storage is left to the ${lower(part)}, which index builds and sorts spill to"
      }
    }
  ]...)
}
