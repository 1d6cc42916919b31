# The cluster with its writer and readers (PRD 4.2), and its backups (PRD 12.2).

data "aws_partition" "current" {}

# backtrack_window of PRD 12.2 exists in Aurora MySQL only; a restore to a point in time stands in
# its place (docs/aurora-backups.md).
resource "aws_rds_cluster" "database" {
  #checkov:skip=CKV2_AWS_8:Automated backups, the application's snapshots and their copies stand in for AWS Backup (docs/aurora-backups.md)
  #checkov:skip=CKV2_AWS_27:modules/parameters has slow statements logged; all of them would put questions and vectors into a log
  cluster_identifier = var.name
  engine             = "aurora-postgresql"
  engine_version     = var.engine_version
  database_name      = var.database_name
  storage_type       = var.storage_type == "aurora" ? null : var.storage_type

  db_subnet_group_name            = var.subnet_group
  vpc_security_group_ids          = [var.security_group_id]
  db_cluster_parameter_group_name = var.cluster_parameter_group
  enabled_cloudwatch_logs_exports = ["postgresql"]

  storage_encrypted                   = true
  kms_key_id                          = var.kms_key_arn
  iam_database_authentication_enabled = true
  master_username                     = "greenlang_master"
  manage_master_user_password         = true
  master_user_secret_kms_key_id       = var.secrets_kms_key_arn

  backup_retention_period   = var.automated_backup_days
  preferred_backup_window   = var.backup_window
  copy_tags_to_snapshot     = true
  deletion_protection       = var.deletion_protection
  delete_automated_backups  = false
  skip_final_snapshot       = false
  final_snapshot_identifier = "${var.name}-final-${formatdate("YYYY-MM-DD", timestamp())}"

  preferred_maintenance_window = var.maintenance_window
  allow_major_version_upgrade  = false
  apply_immediately            = var.apply_immediately

  dynamic "serverlessv2_scaling_configuration" {
    for_each = var.serverless_capacity == null ? [] : [var.serverless_capacity]

    content {
      min_capacity = serverlessv2_scaling_configuration.value.min
      max_capacity = serverlessv2_scaling_configuration.value.max
    }
  }

  lifecycle {
    # The day in it is that of the cluster's making: each plan would show another.
    ignore_changes = [final_snapshot_identifier]
  }

  depends_on = [aws_cloudwatch_log_group.postgresql]
}

# After a failover any of them may be the writer; they are numbered, not named for what they do.
resource "aws_rds_cluster_instance" "instance" {
  #checkov:skip=CKV_AWS_226:Minor versions change by engine_version, in dev first: an upgrade by AWS would make every plan show a downgrade
  count = 1 + var.readers

  identifier           = "${var.name}-${count.index + 1}"
  cluster_identifier   = aws_rds_cluster.database.id
  engine               = aws_rds_cluster.database.engine
  instance_class       = count.index == 0 ? var.writer_class : var.reader_class
  availability_zone    = element(var.zones, count.index)
  promotion_tier       = count.index == 0 ? 0 : 1
  db_subnet_group_name = var.subnet_group
  publicly_accessible  = false

  db_parameter_group_name      = var.instance_parameter_group
  auto_minor_version_upgrade   = false
  preferred_maintenance_window = var.maintenance_window
  apply_immediately            = var.apply_immediately
  copy_tags_to_snapshot        = true

  monitoring_interval                   = 60
  monitoring_role_arn                   = aws_iam_role.monitoring.arn
  performance_insights_enabled          = true
  performance_insights_kms_key_id       = var.kms_key_arn
  performance_insights_retention_period = 7
}

# Made here, or Aurora makes it, and keeps the log without a key and for ever.
resource "aws_cloudwatch_log_group" "postgresql" {
  name              = "/aws/rds/cluster/${var.name}/postgresql"
  retention_in_days = var.log_days
  kms_key_id        = var.kms_key_arn
}

data "aws_iam_policy_document" "monitoring" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["monitoring.rds.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "monitoring" {
  name               = "${var.name}-rds-monitoring"
  description        = "RDS writes the operating system's metrics of ${var.name}"
  assume_role_policy = data.aws_iam_policy_document.monitoring.json
}

resource "aws_iam_role_policy_attachment" "monitoring" {
  role       = aws_iam_role.monitoring.name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole"
}
