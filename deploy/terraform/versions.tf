terraform {
  # 1.11: the S3 backend locks its state by itself. OpenTofu from 1.10 on does, too.
  required_version = ">= 1.10"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.0"
    }
  }

  # Bucket, key, region and kms_key_id come from `terraform init -backend-config=…`.
  backend "s3" {
    encrypt      = true
    use_lockfile = true
  }
}

provider "aws" {
  region = var.region

  default_tags {
    tags = local.tags
  }
}

# The region of copies; without one nothing is made with it.
provider "aws" {
  alias  = "dr"
  region = var.dr == null ? var.region : var.dr.region

  default_tags {
    tags = local.tags
  }
}
