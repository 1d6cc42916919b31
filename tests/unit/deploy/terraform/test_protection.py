"""What is kept, closed and encrypted, as the PRD says; what the policy scan skips has a reason."""

from __future__ import annotations

import itertools
import re

from .configuration import MODULES, ROOT, Block, listed, module, parsed, statements

SKIP = re.compile(r"#\s*checkov:skip=(\w+)(?::(.*))?")


def resource(name: str, kind: str) -> Block:
    [found] = [body for (each, _), body in module(MODULES / name).resources.items() if each == kind]
    return found


def test_backups_are_those_of_the_prd_as_aurora_has_them() -> None:
    cluster = resource("database", "aws_rds_cluster")
    assert cluster["backup_retention_period"] == "${var.automated_backup_days}"
    assert cluster["copy_tags_to_snapshot"] is True
    assert cluster["deletion_protection"] == "${var.deletion_protection}"
    assert cluster["skip_final_snapshot"] is False
    assert cluster["delete_automated_backups"] is False
    assert "backtrack_window" not in cluster  # Aurora MySQL's
    assert module(ROOT).variables["deletion_protection"]["default"] is True
    assert module(ROOT).variables["automated_backup_days"]["default"] == 35
    assert module(ROOT).variables["backup_window"]["default"] == "03:00-04:00"


def test_production_is_protected() -> None:
    for profile in ("staging", "production"):
        assert "deletion_protection" not in parsed(ROOT / "environments" / f"{profile}.tfvars")


def test_the_cluster_is_encrypted_and_knows_no_password() -> None:
    cluster = resource("database", "aws_rds_cluster")
    assert cluster["storage_encrypted"] is True
    assert cluster["iam_database_authentication_enabled"] is True
    assert cluster["manage_master_user_password"] is True
    assert not {"master_password", "master_password_wo"} & set(cluster)


def test_instances_are_as_many_as_said_and_private() -> None:
    instance = resource("database", "aws_rds_cluster_instance")
    assert instance["count"] == "${1 + var.readers}"
    assert instance["publicly_accessible"] is False


def test_the_database_admits_named_groups_to_its_port_and_calls_nobody() -> None:
    network = module(MODULES / "network")
    kinds = {kind for kind, _ in network.resources}
    assert "aws_vpc_security_group_egress_rule" not in kinds
    assert not {"egress", "ingress"} & set(resource("network", "aws_security_group"))
    rule = resource("network", "aws_vpc_security_group_ingress_rule")
    assert (rule["from_port"], rule["to_port"]) == (5432, 5432)
    assert rule["referenced_security_group_id"] == "${each.value}"
    assert not {"cidr_ipv4", "cidr_ipv6"} & set(rule)


def test_keys_are_rotated() -> None:
    key = resource("kms", "aws_kms_key")
    assert key["enable_key_rotation"] is True
    keys = module(ROOT).calls["kms"]["keys"]
    assert keys["application"]["multi_region"] is True


def test_buckets_keep_versions_encrypt_and_refuse_plain_http() -> None:
    bucket = module(MODULES / "bucket")
    [versions] = resource("bucket", "aws_s3_bucket_versioning")["versioning_configuration"]
    assert versions["status"] == "Enabled"
    [rule] = resource("bucket", "aws_s3_bucket_server_side_encryption_configuration")["rule"]
    [default] = rule["apply_server_side_encryption_by_default"]
    assert default["sse_algorithm"] == "aws:kms"
    block = resource("bucket", "aws_s3_bucket_public_access_block")
    assert all(value is True for name, value in block.items() if name != "bucket")
    policy = bucket.data["aws_iam_policy_document", "bucket"]
    assert '"aws:SecureTransport"' in str(policy) or "aws:SecureTransport" in str(policy)
    assert "force_destroy" not in resource("bucket", "aws_s3_bucket")


def test_killed_uploads_go_after_a_day() -> None:
    rules = resource("bucket", "aws_s3_bucket_lifecycle_configuration")["rule"]
    [abort] = rules[0]["abort_incomplete_multipart_upload"]
    assert abort["days_after_initiation"] == 1


def test_only_service_accounts_of_the_namespace_take_a_role() -> None:
    [trust] = statements(module(MODULES / "iam").data["aws_iam_policy_document", "trust"])
    assert listed(trust["actions"]) == ["sts:AssumeRoleWithWebIdentity"]
    conditions = {each["variable"]: each for each in trust["condition"]}
    assert set(conditions) == {"${local.issuer}:sub", "${local.issuer}:aud"}
    assert all(each["test"] == "StringEquals" for each in conditions.values())


def test_nothing_the_scan_skips_is_without_a_reason() -> None:
    for path in ROOT.rglob("*.tf"):
        for line in path.read_text("utf-8").splitlines():
            if "checkov:" in line:
                found = SKIP.search(line)
                assert found, f"{path}: {line.strip()}"
                reason = (found[2] or "").split()
                assert len(reason) >= 5, f"{path}: {found[1]} has no reason"


def test_what_is_skipped_for_all_has_a_reason() -> None:
    lines = (ROOT / ".checkov.yaml").read_text("utf-8").splitlines()
    for before, line in itertools.pairwise(lines):
        if re.match(r"\s*-\s*CKV", line):
            assert re.match(r"\s*#\s*\S+(\s+\S+){4,}", before), f"{line.strip()} has no reason"
