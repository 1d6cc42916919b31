# What must be in another region before this one is lost (PRD 12.2, 12.4): the key of snapshots'
# copies, which `snapshots copy` makes, the buckets' copies, the key of encrypted namespaces, and,
# where a VPC is named, what a restored cluster needs.

terraform {
  required_providers {
    aws = {
      source                = "hashicorp/aws"
      configuration_aliases = [aws.dr]
    }
  }
}

module "kms" {
  source    = "../kms"
  providers = { aws = aws.dr }

  name = var.name
  keys = {
    database = { description = "copies of snapshots, restored clusters" }
    objects  = { description = "copies of buckets" }
  }
}

# Its id is that of the key it replicates: what was encrypted there is decrypted here.
resource "aws_kms_replica_key" "application" {
  provider = aws.dr

  description             = "${var.name}: data keys of encrypted namespaces"
  primary_key_arn         = var.application_kms_key_arn
  deletion_window_in_days = 30
}

module "bucket" {
  source    = "../bucket"
  for_each  = var.buckets
  providers = { aws = aws.dr }

  name                = "${var.bucket_prefix}-${each.key}-dr"
  kms_key_arn         = module.kms.arns["objects"]
  deleted_object_days = var.deleted_object_days
  cold_class          = "GLACIER_IR"
  object_lock         = each.key == "backups" ? var.object_lock : null
}

module "network" {
  source    = "../network"
  count     = var.dr.vpc_id == null ? 0 : 1
  providers = { aws = aws.dr }

  name                      = var.name
  vpc_id                    = var.dr.vpc_id
  subnet_ids                = var.dr.private_subnet_ids
  client_security_group_ids = var.dr.client_security_group_ids
}

module "parameters" {
  source    = "../parameters"
  providers = { aws = aws.dr }

  name                   = var.name
  engine_version         = var.engine_version
  shared_buffers_percent = var.shared_buffers_percent
}
