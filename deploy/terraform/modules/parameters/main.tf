# What holds for the cluster, and what is sized to each of its instances (PRD 18.2).

resource "aws_rds_cluster_parameter_group" "cluster" {
  name_prefix = "${var.name}-"
  family      = local.family
  description = "TLS, pgaudit and logs of ${var.name}"

  dynamic "parameter" {
    for_each = local.cluster_settings

    content {
      name         = parameter.key
      value        = parameter.value
      apply_method = contains(local.static_settings, parameter.key) ? "pending-reboot" : "immediate"
    }
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_db_parameter_group" "instance" {
  name_prefix = "${var.name}-"
  family      = local.family
  description = "Memory and planner of ${var.name}"

  dynamic "parameter" {
    for_each = local.instance_settings

    content {
      name         = parameter.key
      value        = parameter.value
      apply_method = contains(local.static_settings, parameter.key) ? "pending-reboot" : "immediate"
    }
  }

  lifecycle {
    create_before_destroy = true
  }
}
