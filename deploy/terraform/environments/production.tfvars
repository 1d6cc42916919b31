# PRD 4.2: a writer and two readers, three zones, 35 days, copies in another region of the EU.
profile = "production"
region  = "eu-west-1"

writer_class = "db.r6g.2xlarge"
reader_class = "db.r6g.xlarge"
readers      = 2
max_readers  = 5

automated_backup_days = 35
snapshot_days         = 90
log_days              = 365

object_lock     = { mode = "GOVERNANCE", days = 35 }
redis_node_type = "cache.t4g.small"

dr = { region = "eu-central-1" }
