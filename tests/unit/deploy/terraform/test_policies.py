"""Each role may do exactly what the code asks of AWS (PRD 10.3), and only to what is its own."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from .configuration import MODULES, Block, actions, module, statements

botocore_loaders = pytest.importorskip("botocore.loaders", reason="needs the extra aws")
from botocore import xform_name  # noqa: E402

LIBRARY = Path(__file__).resolve().parents[4] / "greenlang_vectors"
IAM = module(MODULES / "iam")

# What obstore does, in S3's words: https://developmentseed.org/obstore and the API of S3.
OBSTORE = {
    "put": {"s3:PutObject", "s3:AbortMultipartUpload"},
    "get": {"s3:GetObject"},
    "get_range": {"s3:GetObject"},
    "head": {"s3:GetObject"},
    "list": {"s3:ListBucket"},
    "list_with_delimiter": {"s3:ListBucket"},
    "delete": {"s3:DeleteObject"},
}

# Where the API's and the action's names differ.
S3_ACTIONS = {
    "HeadObject": "GetObject",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListObjectsV2": "ListBucket",
}

SQS_ACTIONS = {"DeleteMessageBatch": "DeleteMessage"}


def document(name: str) -> Block:
    return IAM.data["aws_iam_policy_document", name]


@cache
def operations(service: str) -> dict[str, str]:
    """The operations of a service, by what boto3 calls them."""
    model = botocore_loaders.Loader().load_service_model(service, "service-2")
    return {xform_name(name): name for name in model["operations"]}


def words(path: Path) -> Iterator[str]:
    """Every string and every name of a method in a module."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.Attribute):
            yield node.attr


def asked(service: str, *paths: Path) -> set[str]:
    """The operations of a service that modules ask for."""
    known = operations(service)
    return {known[word] for path in paths for word in words(path) if word in known}


def clients() -> set[str]:
    """The modules that make a client of AWS, or have one made."""
    return {
        path.relative_to(LIBRARY).as_posix()
        for path in LIBRARY.rglob("*.py")
        for source in [path.read_text("utf-8")]
        if "import boto3" in source or "from greenlang_vectors import aws" in source
    }


def test_these_are_all_the_modules_that_ask_aws() -> None:
    assert clients() == {
        "aws.py",
        "backup/aurora/rds.py",
        "backup/pruning.py",
        "documents/sources/s3.py",
        "ingest/event_queue.py",
        "store/encryption/providers.py",
        "store/tokens.py",
    }, "let a policy of modules/iam allow what they ask, and compare it here"


def test_snapshots_and_restores_may_do_what_the_code_asks() -> None:
    wanted = asked("rds", *(LIBRARY / "backup" / "aurora").glob("*.py"))
    assert {"CreateDBClusterSnapshot", "RestoreDBClusterToPointInTime"} <= wanted
    allowed = actions(document("snapshots")) | actions(document("restores"))
    rds = {action for action in allowed if action.startswith("rds:")}
    # Tags are given with what is made: RDS asks for the right to tag.
    assert rds == {f"rds:{name}" for name in wanted} | {"rds:AddTagsToResource"}
    assert allowed - rds == {"kms:CreateGrant", "kms:DescribeKey"}


def test_the_daily_routine_may_restore_and_delete_no_cluster() -> None:
    assert not {
        action
        for action in actions(document("snapshots"))
        if "Restore" in action or action in {"rds:DeleteDBCluster", "rds:DeleteDBInstance"}
    }


def test_only_the_applications_own_snapshots_can_be_deleted() -> None:
    [prune] = [
        each
        for each in statements(document("snapshots"))
        if "rds:DeleteDBClusterSnapshot" in each["actions"]
    ]
    [condition] = prune["condition"]
    from greenlang_vectors.backup.aurora import names

    assert condition["variable"] == f"aws:ResourceTag/{names.MADE_BY}"
    assert condition["values"] == [names.PRODUCT]


def test_only_scratch_clusters_can_be_deleted() -> None:
    from greenlang_vectors.backup.aurora import drill

    [remove] = [
        each
        for each in statements(document("restores"))
        if "rds:DeleteDBCluster" in each["actions"]
    ]
    assert f":{drill.SCRATCH}*" in str(remove["resources"])


def test_names_that_the_code_gives_are_those_that_policies_allow() -> None:
    from greenlang_vectors.backup.aurora import drill, names

    allowed = str(IAM.locals["snapshots"])
    assert f"cluster-snapshot:{names.PREFIX}*" in allowed
    assert names.COPY_PREFIX.startswith(names.PREFIX)
    assert drill.SCRATCH.startswith(names.PREFIX)


def test_buckets_may_be_used_as_the_backup_location_is() -> None:
    source = (LIBRARY / "lifecycle" / "location.py").read_text("utf-8")
    called = {
        node.func.attr
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "obstore"
    }
    wanted = {action for name in called for action in OBSTORE[name]}
    for name in asked("s3", LIBRARY / "backup" / "pruning.py"):
        wanted.add(f"s3:{S3_ACTIONS.get(name, name)}")
    allowed = actions(document("objects"))
    assert {action for action in allowed if action.startswith("s3:")} == wanted
    assert allowed - wanted == {"kms:Decrypt", "kms:GenerateDataKey"}


def test_data_keys_are_wrapped_and_unwrapped_and_nothing_else() -> None:
    wanted = asked("kms", LIBRARY / "store" / "encryption" / "providers.py")
    assert actions(document("encryption")) == {f"kms:{name}" for name in wanted}


def test_a_login_connects_and_does_nothing_else() -> None:
    assert actions(document("login")) == {"rds-db:connect"}


def test_sources_are_read_as_the_code_reads_them_and_never_written() -> None:
    wanted = {
        f"s3:{S3_ACTIONS.get(name, name)}"
        for name in asked("s3", LIBRARY / "documents" / "sources" / "s3.py")
    }
    for name in asked("sqs", LIBRARY / "ingest" / "event_queue.py"):
        wanted.add(f"sqs:{SQS_ACTIONS.get(name, name)}")
    assert actions(document("sources")) == wanted | {"kms:Decrypt"}


def test_no_policy_allows_everything_anywhere() -> None:
    for name, body in IAM.data.items():
        if name[0] != "aws_iam_policy_document" or name[1] == "trust":
            continue
        for each in statements(body):
            assert not any(action.endswith("*") for action in each["actions"]), name
            assert each["resources"] != ["*"], name


def test_every_policy_may_be_named_and_every_named_one_exists() -> None:
    from .configuration import ROOT

    documents = set(IAM.locals["documents"])
    validation = str(IAM.variables["workloads"]["validation"])
    assert all(f'"{name}"' in validation for name in documents)
    workloads = module(ROOT).variables["workloads"]["default"]
    named = {policy for each in workloads.values() for policy in each["policies"]}
    assert named == documents
