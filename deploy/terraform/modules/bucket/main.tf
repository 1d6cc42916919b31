# A bucket that keeps what it holds: encrypted, versioned, closed to the public and to plain HTTP.

resource "aws_s3_bucket" "bucket" {
  #checkov:skip=CKV2_AWS_62:modules/events listens to the bucket of sources; the others hold what the application wrote itself
  #checkov:skip=CKV_AWS_144:Copied by modules/dr where a region for copies is set, which a module of one bucket does not show
  bucket              = var.name
  object_lock_enabled = var.object_lock != null
}

resource "aws_s3_bucket_versioning" "bucket" {
  bucket = aws_s3_bucket.bucket.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_object_lock_configuration" "bucket" {
  count  = var.object_lock == null ? 0 : 1
  bucket = aws_s3_bucket_versioning.bucket.bucket

  rule {
    default_retention {
      mode = var.object_lock.mode
      days = var.object_lock.days
    }
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "bucket" {
  bucket = aws_s3_bucket.bucket.id

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = var.kms_key_arn
    }
  }
}

resource "aws_s3_bucket_public_access_block" "bucket" {
  bucket                  = aws_s3_bucket.bucket.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "bucket" {
  bucket = aws_s3_bucket.bucket.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "bucket" {
  bucket = aws_s3_bucket_versioning.bucket.bucket

  rule {
    id     = "unfinished-and-deleted"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }

    noncurrent_version_expiration {
      noncurrent_days = var.deleted_object_days
    }

    expiration {
      expired_object_delete_marker = true
    }
  }

  rule {
    id     = "cold"
    status = var.cold_class == null ? "Disabled" : "Enabled"

    # Smaller ones would be billed as 128 KiB.
    filter {
      object_size_greater_than = 131072
    }

    transition {
      days          = 30
      storage_class = coalesce(var.cold_class, "STANDARD_IA")
    }
  }
}

resource "aws_s3_bucket_logging" "bucket" {
  count         = var.access_log_bucket == null ? 0 : 1
  bucket        = aws_s3_bucket.bucket.id
  target_bucket = var.access_log_bucket
  target_prefix = "${var.name}/"
}

data "aws_iam_policy_document" "bucket" {
  dynamic "statement" {
    for_each = {
      PlainHttp = { test = "Bool", variable = "aws:SecureTransport", value = "false" }
      OldTls    = { test = "NumericLessThan", variable = "s3:TlsVersion", value = "1.2" }
    }

    content {
      sid       = statement.key
      effect    = "Deny"
      actions   = ["s3:*"]
      resources = [aws_s3_bucket.bucket.arn, "${aws_s3_bucket.bucket.arn}/*"]

      principals {
        type        = "*"
        identifiers = ["*"]
      }

      condition {
        test     = statement.value.test
        variable = statement.value.variable
        values   = [statement.value.value]
      }
    }
  }
}

resource "aws_s3_bucket_policy" "bucket" {
  bucket = aws_s3_bucket.bucket.id
  policy = data.aws_iam_policy_document.bucket.json

  depends_on = [aws_s3_bucket_public_access_block.bucket]
}
