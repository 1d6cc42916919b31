# PRD 5.4.1 and 15.1: as production, one size smaller.
profile = "staging"
region  = "eu-west-1"

writer_class = "db.r6g.xlarge"
readers      = 2
max_readers  = 3

automated_backup_days = 14
log_days              = 90
