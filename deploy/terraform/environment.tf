# The settings of each workload, by what its role may reach: greenlang_vectors/settings.py has them.

locals {
  settings_by_policy = {
    archive = {
      GREENLANG_BACKUP_LOCATION = "s3://${module.bucket["archive"].name}"
      GREENLANG_BACKUP_KMS_KEY  = module.kms.arns["objects"]
    }
    backups = {
      GREENLANG_BACKUP_LOCATION = "s3://${module.bucket["backups"].name}"
      GREENLANG_BACKUP_KMS_KEY  = module.kms.arns["objects"]
    }
    # The id, not the ARN, which names a region: in the region of copies the same id is the replica.
    encryption = {
      GREENLANG_ENCRYPTION_KMS_KEY = module.kms.ids["application"]
    }
    sources = {
      GREENLANG_S3_EVENTS_QUEUE_URL = module.events.queue_url
    }
    snapshots = {
      GREENLANG_AURORA_CLUSTER        = module.database.cluster
      GREENLANG_AURORA_REGION         = var.region
      GREENLANG_AURORA_DR_REGION      = one(module.dr[*].placement.region)
      GREENLANG_AURORA_DR_KMS_KEY     = try(module.dr[0].kms_key_arns["database"], null)
      GREENLANG_AURORA_AUTOMATED_DAYS = tostring(var.automated_backup_days)
      GREENLANG_AURORA_SNAPSHOT_DAYS  = tostring(var.snapshot_days)
    }
  }

  writer = "${module.database.endpoint}:${module.database.port}/${var.database_name}"

  # The application balances between instances by itself; those that load adds are known only by
  # the cluster's reader endpoint.
  readers = [
    for host in concat(
      slice(module.database.instance_endpoints, 1, 1 + var.readers),
      var.max_readers > var.readers ? [module.database.reader_endpoint] : [],
    ) : "${host}:${module.database.port}/${var.database_name}"
  ]

  environment = {
    for workload, each in var.workloads : workload => {
      for setting, value in merge(
        { GREENLANG_PROFILE = var.profile },
        each.login == null ? {} : {
          GREENLANG_DATABASE_URL         = "postgresql://${each.login}@${local.writer}"
          GREENLANG_DATABASE_READER_URLS = join(",", [for reader in local.readers : "postgresql://${each.login}@${reader}"])
          GREENLANG_DATABASE_IAM_REGION  = var.region
          GREENLANG_DATABASE_SSLMODE     = "verify-full"
          GREENLANG_DATABASE_SSLROOTCERT = var.rds_certificates
          GREENLANG_REDIS_URL            = one(module.cache[*].url)
        },
        [for policy in each.policies : lookup(local.settings_by_policy, policy, {})]...
      ) : setting => value if value != null && value != ""
    }
  }
}
