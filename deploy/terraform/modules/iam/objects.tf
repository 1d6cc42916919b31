# Buckets, keys of applications and secrets.

# What greenlang_vectors/lifecycle/location.py and backup/pruning.py ask of a bucket.
data "aws_iam_policy_document" "objects" {
  for_each = toset(["archive", "backups"])

  statement {
    sid       = "List"
    actions   = ["s3:ListBucket", "s3:ListBucketMultipartUploads"]
    resources = [var.bucket_arns[each.key]]
  }

  statement {
    sid       = "Objects"
    actions   = ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
    resources = ["${var.bucket_arns[each.key]}/*"]
  }

  statement {
    sid       = "Encrypt"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = [var.kms_key_arns["objects"]]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["s3.${var.region}.amazonaws.com"]
    }
  }
}

# What greenlang_vectors/documents/sources/s3.py and ingest/event_queue.py ask: sources are only read.
data "aws_iam_policy_document" "sources" {
  statement {
    sid       = "List"
    actions   = ["s3:ListBucket"]
    resources = [var.bucket_arns["sources"]]
  }

  statement {
    sid       = "Read"
    actions   = ["s3:GetObject"]
    resources = ["${var.bucket_arns["sources"]}/*"]
  }

  statement {
    sid       = "Changes"
    actions   = ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"]
    resources = [var.events_queue_arn]
  }

  statement {
    sid       = "Decrypt"
    actions   = ["kms:Decrypt"]
    resources = [var.kms_key_arns["objects"]]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["s3.${var.region}.amazonaws.com"]
    }
  }
}

# Data keys of encrypted namespaces: greenlang_vectors/store/encryption/providers.py.
data "aws_iam_policy_document" "encryption" {
  statement {
    sid       = "WrapDataKeys"
    actions   = ["kms:Decrypt", "kms:Encrypt"]
    resources = compact([var.kms_key_arns["application"], lookup(var.dr_kms_key_arns, "application", "")])
  }
}

data "aws_iam_policy_document" "secrets" {
  statement {
    sid       = "Read"
    actions   = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"]
    resources = var.secret_arns
  }

  statement {
    sid       = "Decrypt"
    actions   = ["kms:Decrypt"]
    resources = [var.kms_key_arns["secrets"]]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["secretsmanager.${var.region}.amazonaws.com"]
    }
  }
}
