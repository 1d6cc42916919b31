# Keys of the customer (PRD 10.2), each for one purpose, rotated every year.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

data "aws_iam_policy_document" "key" {
  #checkov:skip=CKV_AWS_109:The policy of a key; IAM decides in this account who administers it, as AWS's default policy says
  #checkov:skip=CKV_AWS_111:The policy of a key; IAM decides in this account who uses it, as AWS's default policy says
  #checkov:skip=CKV_AWS_356:In the policy of a key "*" means that key
  for_each = var.keys

  statement {
    sid       = "IamOfThisAccount"
    actions   = ["kms:*"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:root"]
    }
  }

  dynamic "statement" {
    for_each = length(each.value.services) > 0 ? [each.value.services] : []

    content {
      sid       = "Services"
      actions   = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
      resources = ["*"]

      principals {
        type        = "Service"
        identifiers = statement.value
      }
    }
  }
}

resource "aws_kms_key" "key" {
  for_each = var.keys

  description             = "${var.name}: ${each.value.description}"
  multi_region            = each.value.multi_region
  enable_key_rotation     = true
  deletion_window_in_days = var.deletion_days
  policy                  = data.aws_iam_policy_document.key[each.key].json
}

resource "aws_kms_alias" "key" {
  for_each = var.keys

  name          = "alias/${var.name}-${each.key}"
  target_key_id = aws_kms_key.key[each.key].key_id
}
