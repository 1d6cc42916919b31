# PRD 5.4.1 and 15.1: one instance, no readers. What a VPC and an EKS cluster are called is yours.
profile = "dev"
region  = "eu-west-1"

writer_class = "db.r6g.large"
readers      = 0
max_readers  = 0

automated_backup_days = 7
log_days              = 30
deletion_protection   = false
apply_immediately     = true
