"""A stand-in for RDS in two regions, over HTTP, and one cluster in it with writer and reader.

The stand-in runs in this process, so tests may reach behind it: to make a snapshot old, or to see
whether a request was made at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import pytest

from greenlang_vectors.backup.aurora import rds, waiting
from greenlang_vectors.backup.aurora.deployment import Deployment, deployment
from greenlang_vectors.settings import Settings

HOME, ELSEWHERE = "us-east-1", "eu-west-1"
CLUSTER = "greenlang-prod"
WRITER, READER = "greenlang-prod-1", "greenlang-prod-2"
ACCOUNT = "123456789012"
PASSWORD = "not-a-secret"  # noqa: S105

CHANGES = (
    *("create_db_cluster_snapshot", "copy_db_cluster_snapshot", "delete_db_cluster_snapshot"),
    *("restore_db_cluster_from_snapshot", "restore_db_cluster_to_point_in_time"),
    *("modify_db_cluster", "failover_db_cluster", "create_db_instance"),
    *("delete_db_cluster", "delete_db_instance"),
)


client_of = lru_cache(rds._client)
"""Clients of the stand-in, which take long to make."""


@dataclass
class Aws:
    """The stand-in from behind.

    Attributes:
        changes: every request that changes something, with its arguments, in order.
        copy_key: a KMS key of the region that copies go to.
    """

    changes: list[tuple[str, Mapping[str, Any]]]
    copy_key: str

    def client(self, region: str = HOME) -> Any:  # noqa: ANN401
        return client_of(region)

    def backend(self, region: str = HOME) -> Any:  # noqa: ANN401
        from moto.backends import get_backend

        return get_backend("rds")[ACCOUNT][region]

    def snapshot(self, name: str, region: str = HOME) -> Any:  # noqa: ANN401
        return self.backend(region).cluster_snapshots[name]

    def manual(self, region: str = HOME) -> list[str]:
        found = self.backend(region).cluster_snapshots.values()
        return sorted(
            s.db_cluster_snapshot_identifier for s in found if s.snapshot_type == "manual"
        )

    def age(self, name: str, days: float, region: str = HOME) -> None:
        self.snapshot(name, region).created = datetime.now(UTC) - timedelta(days=days)

    def asked(self, operation: str) -> list[Mapping[str, Any]]:
        return [arguments for name, arguments in self.changes if name == operation]


@pytest.fixture
def aws(aws_server: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:  # noqa: ARG001
    from moto.backends import get_backend
    from moto.rds.models import RDSBackend

    monkeypatch.setattr(waiting, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(rds, "_client", client_of)
    for service in ("rds", "kms"):
        get_backend(service).reset()
    key = get_backend("kms")[ACCOUNT][ELSEWHERE].create_key(
        policy=None,
        key_usage="ENCRYPT_DECRYPT",
        key_spec="SYMMETRIC_DEFAULT",
        description="for copies",
        tags=None,
    )
    stand_in = Aws([], key.arn)
    for operation in CHANGES:
        real = getattr(RDSBackend, operation)
        monkeypatch.setattr(RDSBackend, operation, _noted(operation, real, stand_in.changes))
    _make_cluster(stand_in.client(), CLUSTER)
    stand_in.changes.clear()
    yield stand_in
    get_backend("rds").reset()


def _noted(
    operation: str, real: Callable[..., object], changes: list[tuple[str, Mapping[str, Any]]]
) -> Callable[..., object]:
    def call(backend: object, *given: object, **named: object) -> object:
        arguments = next((each for each in given if isinstance(each, Mapping)), named)
        if arguments.get("snapshot_type") != "automated":
            changes.append((operation, arguments))
        return real(backend, *given, **named)

    return call


def _make_cluster(rds: Any, cluster: str) -> None:  # noqa: ANN401
    rds.create_db_cluster_parameter_group(
        DBClusterParameterGroupName=f"{cluster}-parameters",
        DBParameterGroupFamily="aurora-postgresql15",
        Description="with pgvector",
    )
    rds.create_db_cluster(
        DBClusterIdentifier=cluster,
        Engine="aurora-postgresql",
        EngineVersion="15.4",
        MasterUsername="greenlang",
        MasterUserPassword=PASSWORD,
        StorageEncrypted=True,
        BackupRetentionPeriod=7,
        DBClusterParameterGroupName=f"{cluster}-parameters",
        VpcSecurityGroupIds=["sg-12345678"],
    )
    for instance in (f"{cluster}-1", f"{cluster}-2"):
        rds.create_db_instance(
            DBInstanceIdentifier=instance,
            DBClusterIdentifier=cluster,
            DBInstanceClass="db.r6g.2xlarge",
            Engine="aurora-postgresql",
        )


@pytest.fixture
def aurora_settings(aws: Aws) -> Settings:
    return Settings(
        aurora_cluster=CLUSTER,
        aurora_region=HOME,
        aurora_dr_region=ELSEWHERE,
        aurora_dr_kms_key=aws.copy_key,
    )


@pytest.fixture
def aurora(aurora_settings: Settings) -> Deployment:
    return deployment(aurora_settings)


@pytest.fixture(scope="module")
def database() -> SimpleNamespace:
    """None: no command of this folder asks the database."""
    return SimpleNamespace(url="postgresql://nobody@localhost:1/nowhere")
