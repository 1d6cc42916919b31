# One role a workload. Its policies are named for what they let it reach; each is as narrow as what
# the code asks of AWS, which tests/unit/deploy compares.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

locals {
  partition = data.aws_partition.current.partition
  account   = data.aws_caller_identity.current.account_id
  issuer    = split("oidc-provider/", var.oidc_provider_arn)[1]

  documents = {
    archive    = data.aws_iam_policy_document.objects["archive"].json
    backups    = data.aws_iam_policy_document.objects["backups"].json
    encryption = data.aws_iam_policy_document.encryption.json
    restores   = data.aws_iam_policy_document.restores.json
    secrets    = data.aws_iam_policy_document.secrets.json
    snapshots  = data.aws_iam_policy_document.snapshots.json
    sources    = data.aws_iam_policy_document.sources.json
  }

  used = toset(flatten([for each in values(var.workloads) : each.policies]))

  attached = merge([
    for workload, each in var.workloads : {
      for policy in each.policies : "${workload}/${policy}" => { workload = workload, policy = policy }
    }
  ]...)
}

data "aws_iam_policy_document" "trust" {
  for_each = var.workloads

  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]

    principals {
      type        = "Federated"
      identifiers = [var.oidc_provider_arn]
    }

    condition {
      test     = "StringEquals"
      variable = "${local.issuer}:sub"
      values   = [for account in each.value.service_accounts : "system:serviceaccount:${var.kubernetes_namespace}:${account}"]
    }

    condition {
      test     = "StringEquals"
      variable = "${local.issuer}:aud"
      values   = ["sts.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "workload" {
  for_each = var.workloads

  name               = "${var.name}-${each.key}"
  description        = "Service accounts of ${var.kubernetes_namespace}: ${join(", ", each.value.service_accounts)}"
  assume_role_policy = data.aws_iam_policy_document.trust[each.key].json
}

resource "aws_iam_policy" "policy" {
  for_each = local.used

  name        = "${var.name}-${each.key}"
  description = "${var.name}: ${each.key}"
  policy      = local.documents[each.key]
}

resource "aws_iam_role_policy_attachment" "policy" {
  for_each = local.attached

  role       = aws_iam_role.workload[each.value.workload].name
  policy_arn = aws_iam_policy.policy[each.value.policy].arn
}

# A login of the database, with a token in place of a password.
data "aws_iam_policy_document" "login" {
  for_each = { for workload, each in var.workloads : workload => each if each.login != null }

  statement {
    sid     = "Connect"
    actions = ["rds-db:connect"]

    # Whoever restores connects to clusters whose identifiers nobody knows before.
    resources = [
      for id in contains(each.value.policies, "restores") ? ["*"] : var.cluster_resource_ids :
      "arn:${local.partition}:rds-db:*:${local.account}:dbuser:${id}/${each.value.login}"
    ]
  }
}

resource "aws_iam_role_policy" "login" {
  for_each = data.aws_iam_policy_document.login

  name   = "login"
  role   = aws_iam_role.workload[each.key].name
  policy = each.value.json
}
