"""The three environments, worked out by Terraform: their settings, sizes and refusals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from psycopg.conninfo import conninfo_to_dict

from greenlang_vectors.settings import Settings

from . import evaluation
from .configuration import PROFILES, ROOT, parsed
from .evaluation import GIVEN, Refused, evaluated

pytestmark = pytest.mark.skipif(
    evaluation.TERRAFORM is None, reason="there is no terraform on this machine"
)

Environment = dict[str, Any]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return evaluation.root(tmp_path_factory.mktemp("root"))


@pytest.fixture(scope="module")
def environments(root: Path) -> dict[str, Environment]:
    """The outputs of each of the three."""
    return {
        profile: evaluated(root, ROOT / "environments" / f"{profile}.tfvars", **GIVEN)
        for profile in PROFILES
    }


@pytest.fixture(scope="module")
def with_(root: Path) -> Callable[..., Environment]:
    """The outputs of dev with other variables."""

    def outputs(**variables: object) -> Environment:
        file = ROOT / "environments" / "dev.tfvars"
        return evaluated(root, file, **(GIVEN | variables))

    return outputs


def settings_of(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return Settings()


@pytest.mark.parametrize("profile", PROFILES)
def test_the_application_reads_every_setting(
    environments: dict[str, Environment], profile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {f"GREENLANG_{name.upper()}" for name in Settings.model_fields}
    for workload, environment in environments[profile]["environment"].items():
        assert set(environment) <= known, workload
        with monkeypatch.context() as patch:
            assert settings_of(environment, patch).profile == profile


@pytest.mark.parametrize("profile", PROFILES)
def test_urls_name_a_login_and_no_password(
    environments: dict[str, Environment], profile: str
) -> None:
    found = environments[profile]["environment"]
    writers = {workload: env.get("GREENLANG_DATABASE_URL") for workload, env in found.items()}
    assert writers["snapshots"] is None
    for workload in ("search", "ingest", "backup", "archive", "recovery"):
        given = conninfo_to_dict(str(writers[workload]))
        host = f"greenlang-vectors-{profile}.cluster-x.rds.example"
        assert given == {
            "user": f"greenlang_{workload}",
            "host": host,
            "port": "5432",
            "dbname": "greenlang",
        }


def test_searches_go_to_each_reader_and_to_those_that_load_adds(
    environments: dict[str, Environment],
) -> None:
    assert "GREENLANG_DATABASE_READER_URLS" not in environments["dev"]["environment"]["search"]
    urls = environments["production"]["environment"]["search"]["GREENLANG_DATABASE_READER_URLS"]
    hosts = [conninfo_to_dict(url)["host"] for url in urls.split(",")]
    name = "greenlang-vectors-production"
    assert hosts == [f"{name}-2.x", f"{name}-3.x", f"{name}.cluster-ro-x.rds.example"]


def test_exports_and_archives_go_to_buckets_of_their_own(
    environments: dict[str, Environment],
) -> None:
    found = environments["production"]["environment"]
    prefix = "s3://greenlang-vectors-production-123456789012"
    assert found["backup"]["GREENLANG_BACKUP_LOCATION"] == f"{prefix}-backups"
    assert found["archive"]["GREENLANG_BACKUP_LOCATION"] == f"{prefix}-archive"
    assert "GREENLANG_BACKUP_LOCATION" not in found["search"]


def test_encrypted_namespaces_can_be_read_in_the_region_of_copies(
    environments: dict[str, Environment],
) -> None:
    key = environments["production"]["environment"]["search"]["GREENLANG_ENCRYPTION_KMS_KEY"]
    assert key == "mrk-application"  # an ARN would name a region


def test_snapshots_are_copied_where_there_is_a_region_for_copies(
    environments: dict[str, Environment],
) -> None:
    copied = environments["production"]["environment"]["snapshots"]
    assert copied == {
        "GREENLANG_PROFILE": "production",
        "GREENLANG_AURORA_CLUSTER": "greenlang-vectors-production",
        "GREENLANG_AURORA_REGION": "eu-west-1",
        "GREENLANG_AURORA_DR_REGION": "eu-central-1",
        "GREENLANG_AURORA_DR_KMS_KEY": "arn:aws:kms:eu-central-1:123456789012:key/database",
        "GREENLANG_AURORA_AUTOMATED_DAYS": "35",
        "GREENLANG_AURORA_SNAPSHOT_DAYS": "90",
    }
    assert "GREENLANG_AURORA_DR_REGION" not in environments["dev"]["environment"]["snapshots"]
    assert "dr" not in environments["dev"]


def test_only_what_asks_for_redis_has_it(environments: dict[str, Environment]) -> None:
    found = environments["production"]["environment"]["search"]["GREENLANG_REDIS_URL"]
    assert found.startswith("rediss://")
    assert "GREENLANG_REDIS_URL" not in environments["staging"]["environment"]["search"]


def test_a_class_may_be_serverless(with_: Callable[..., Environment]) -> None:
    with_(writer_class="db.serverless", readers=1, max_readers=3)


REFUSALS: list[dict[str, tuple[object, str]]] = [
    {
        "profile": ("test", "dev, staging or production"),
        "engine_version": ("16.7", "pgvector 0.8"),
        "automated_backup_days": (36, "1 to 35 days"),
        "writer_class": ("db.t4g.large", "memory-optimized"),
        "max_readers": (-1, "at least readers"),
        "dr": ({"region": "eu-west-1"}, "another region"),
        "object_lock": ({"mode": "SOFT", "days": 1}, "GOVERNANCE or COMPLIANCE"),
        "tags": ({"greenlang:tier": "daily"}, "application's own"),
        "private_subnet_ids": (["subnet-0a"], "two zones"),
    },
    {
        "engine_version": ("17.3", "pgvector 0.8"),
        "max_readers": (2, "only where there is one"),
        "secrets": ({"OPENAI_API_KEY": "x"}, "called as the settings"),
    },
    {"engine_version": ("15.12", "pgvector 0.8")},
]


@pytest.mark.parametrize("wrong", REFUSALS, ids=len)
def test_what_aws_would_refuse_is_refused_before(
    with_: Callable[..., Environment], wrong: dict[str, tuple[object, str]]
) -> None:
    with pytest.raises(Refused) as refused:
        with_(**{name: value for name, (value, _) in wrong.items()})
    for name, (_, said) in wrong.items():
        assert said in str(refused.value), name


@pytest.mark.parametrize(
    ("policies", "said"),
    [
        (["backups", "archive"], "one GREENLANG_BACKUP_LOCATION"),
        (["all"], "The policies are"),
        (["restores"], "restores goes with snapshots"),
    ],
    ids=["two-locations", "unknown", "blind"],
)
def test_a_workload_has_policies_that_go_together(
    with_: Callable[..., Environment], policies: list[str], said: str
) -> None:
    with pytest.raises(Refused, match=said):
        with_(workloads={"a": {"service_accounts": ["a"], "policies": policies}})


@pytest.mark.parametrize("version", ["16.8", "18.1"])
def test_versions_with_iterative_scans_are_taken(
    with_: Callable[..., Environment], version: str
) -> None:
    with_(engine_version=version)


def test_parts_without_an_account_do_without_one() -> None:
    for profile in PROFILES:
        values = parsed(ROOT / "environments" / f"{profile}.tfvars")
        assert values["profile"] == profile
        assert not set(values) & set(GIVEN), "what is a team's own belongs in its own file"
