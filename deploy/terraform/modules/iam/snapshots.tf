# Aurora's snapshots, restores, drills and the failover exercise: greenlang_vectors/backup/aurora.

locals {
  rds_regions = compact([var.region, var.dr_region])
  rds_keys    = concat([var.kms_key_arns["database"]], compact([lookup(var.dr_kms_key_arns, "database", "")]))
  cluster_arn = "arn:${local.partition}:rds:${var.region}:${local.account}:cluster:${var.cluster}"

  # What the application makes is called greenlang-…; automated snapshots, rds:….
  snapshots = [for region in local.rds_regions : "arn:${local.partition}:rds:${region}:${local.account}:cluster-snapshot:greenlang-*"]
  automated = "arn:${local.partition}:rds:${var.region}:${local.account}:cluster-snapshot:rds:${var.cluster}-*"
}

data "aws_iam_policy_document" "snapshots" {
  # All of them, because a quota is counted over all, and what is gone has no name to ask for.
  statement {
    sid     = "Look"
    actions = ["rds:DescribeDBClusters", "rds:DescribeDBInstances", "rds:DescribeDBClusterSnapshots"]
    resources = flatten([
      for region in local.rds_regions : [
        for kind in ["cluster", "db", "cluster-snapshot"] : "arn:${local.partition}:rds:${region}:${local.account}:${kind}:*"
      ]
    ])
  }

  statement {
    sid       = "Make"
    actions   = ["rds:CreateDBClusterSnapshot", "rds:CopyDBClusterSnapshot"]
    resources = concat(local.snapshots, [local.automated, local.cluster_arn])
  }

  # What a snapshot is for, pins, proofs.
  statement {
    sid       = "Tag"
    actions   = ["rds:AddTagsToResource", "rds:RemoveTagsFromResource"]
    resources = local.snapshots
  }

  # Only what carries the application's own tag.
  statement {
    sid       = "Prune"
    actions   = ["rds:DeleteDBClusterSnapshot"]
    resources = local.snapshots

    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/greenlang:made-by"
      values   = ["greenlang-vectors"]
    }
  }

  # Automated backups that are kept for too few days.
  statement {
    sid       = "KeepLonger"
    actions   = ["rds:ModifyDBCluster"]
    resources = [local.cluster_arn]
  }

  statement {
    sid       = "DescribeKeys"
    actions   = ["kms:DescribeKey"]
    resources = local.rds_keys
  }

  statement {
    sid       = "Keys"
    actions   = ["kms:CreateGrant"]
    resources = local.rds_keys

    condition {
      test     = "Bool"
      variable = "kms:GrantIsForAWSResource"
      values   = ["true"]
    }
  }
}

data "aws_iam_policy_document" "restores" {
  # Into clusters called greenlang-…, with the parameter and subnet groups that are there.
  statement {
    sid = "Restore"
    actions = [
      "rds:RestoreDBClusterFromSnapshot",
      "rds:RestoreDBClusterToPointInTime",
      "rds:CreateDBInstance",
      "rds:AddTagsToResource",
    ]
    resources = concat(local.snapshots, [local.automated, local.cluster_arn], flatten([
      for region in local.rds_regions : [
        for kind in ["cluster:greenlang-*", "db:greenlang-*", "cluster-pg:*", "pg:*", "og:*", "subgrp:*"] :
        "arn:${local.partition}:rds:${region}:${local.account}:${kind}"
      ]
    ]))
  }

  # The scratch cluster of a drill.
  statement {
    sid     = "RemoveScratch"
    actions = ["rds:DeleteDBCluster", "rds:DeleteDBInstance"]
    resources = flatten([
      for region in local.rds_regions : [
        for kind in ["cluster", "db"] : "arn:${local.partition}:rds:${region}:${local.account}:${kind}:greenlang-drill-*"
      ]
    ])
  }

  statement {
    sid       = "Exercise"
    actions   = ["rds:FailoverDBCluster"]
    resources = [local.cluster_arn]
  }
}
