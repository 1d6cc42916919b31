# Aurora PostgreSQL with pgvector and what goes with it (PRD 4.2): docs/aws.md says how to deploy it.

module "network" {
  source = "./modules/network"

  name                      = local.name
  vpc_id                    = var.vpc_id
  subnet_ids                = var.private_subnet_ids
  client_security_group_ids = var.client_security_group_ids
}

module "kms" {
  source = "./modules/kms"

  name = local.name
  keys = {
    database    = { description = "the database, its snapshots and logs", services = ["logs.${var.region}.amazonaws.com"] }
    objects     = { description = "sources, backups and archive" }
    secrets     = { description = "secrets" }
    application = { description = "data keys of encrypted namespaces", multi_region = true }
    alerts      = { description = "alarms and events", services = ["cloudwatch.amazonaws.com", "events.rds.amazonaws.com"] }
  }
}

module "parameters" {
  source = "./modules/parameters"

  name                   = local.name
  engine_version         = var.engine_version
  shared_buffers_percent = var.shared_buffers_percent
}

module "database" {
  source = "./modules/database"

  name                     = local.name
  engine_version           = var.engine_version
  database_name            = var.database_name
  writer_class             = var.writer_class
  reader_class             = local.reader_class
  readers                  = var.readers
  serverless_capacity      = local.serverless
  storage_type             = var.storage_type
  zones                    = module.network.zones
  subnet_group             = module.network.subnet_group
  security_group_id        = module.network.security_group_id
  cluster_parameter_group  = module.parameters.cluster_group
  instance_parameter_group = module.parameters.instance_group
  kms_key_arn              = module.kms.arns["database"]
  secrets_kms_key_arn      = module.kms.arns["secrets"]
  automated_backup_days    = var.automated_backup_days
  backup_window            = var.backup_window
  maintenance_window       = var.maintenance_window
  log_days                 = var.log_days
  deletion_protection      = var.deletion_protection
  apply_immediately        = var.apply_immediately
}

module "scaling" {
  source = "./modules/scaling"
  count  = var.max_readers > var.readers ? 1 : 0

  cluster     = module.database.cluster
  min_readers = var.readers
  max_readers = var.max_readers
  connections = var.max_connections_used / 2
}

module "bucket" {
  source = "./modules/bucket"
  for_each = {
    sources = { cold_class = null, object_lock = null }
    backups = { cold_class = "STANDARD_IA", object_lock = var.object_lock }
    archive = { cold_class = "GLACIER_IR", object_lock = null }
  }

  name                = "${local.bucket_prefix}-${each.key}"
  kms_key_arn         = module.kms.arns["objects"]
  deleted_object_days = var.deleted_object_days
  cold_class          = each.value.cold_class
  object_lock         = each.value.object_lock
  access_log_bucket   = var.access_log_bucket
}

module "events" {
  source = "./modules/events"

  name             = local.name
  bucket           = module.bucket["sources"].name
  bucket_arn       = module.bucket["sources"].arn
  alerts_topic_arn = module.alarms.topic_arn
}

module "secrets" {
  source = "./modules/secrets"

  name        = local.name
  secrets     = var.secrets
  kms_key_arn = module.kms.arns["secrets"]
}

module "cache" {
  source = "./modules/cache"
  count  = var.redis_node_type == null ? 0 : 1

  name                      = local.name
  node_type                 = var.redis_node_type
  vpc_id                    = var.vpc_id
  subnet_ids                = var.private_subnet_ids
  client_security_group_ids = var.client_security_group_ids
  kms_key_arn               = module.kms.arns["database"]
  maintenance_window        = var.maintenance_window
}

module "iam" {
  source = "./modules/iam"

  name                 = local.name
  region               = var.region
  dr_region            = one(module.dr[*].placement.region)
  oidc_provider_arn    = var.oidc_provider_arn
  kubernetes_namespace = var.kubernetes_namespace
  workloads            = var.workloads
  cluster              = module.database.cluster
  cluster_resource_ids = concat([module.database.resource_id], var.restored_cluster_resource_ids)
  bucket_arns          = { for name, bucket in module.bucket : name => bucket.arn }
  events_queue_arn     = module.events.queue_arn
  kms_key_arns         = module.kms.arns
  dr_kms_key_arns      = try(module.dr[0].kms_key_arns, {})
  secret_arns          = values(module.secrets.arns)
}

module "alarms" {
  source = "./modules/alarms"

  name        = local.name
  cluster     = module.database.cluster
  memory_gib  = local.memory_gib
  connections = var.max_connections_used
  kms_key_arn = module.kms.arns["alerts"]
  emails      = var.alert_emails
}

module "dr" {
  source    = "./modules/dr"
  count     = var.dr == null ? 0 : 1
  providers = { aws = aws, aws.dr = aws.dr }

  name                    = local.name
  region                  = var.region
  dr                      = var.dr
  buckets                 = { for name, bucket in module.bucket : name => { name = bucket.name, arn = bucket.arn } }
  bucket_prefix           = local.bucket_prefix
  objects_kms_key_arn     = module.kms.arns["objects"]
  application_kms_key_arn = module.kms.arns["application"]
  deleted_object_days     = var.deleted_object_days
  object_lock             = var.object_lock
  engine_version          = var.engine_version
  shared_buffers_percent  = var.shared_buffers_percent
}
