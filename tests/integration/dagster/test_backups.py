"""Exports, drills and pruning as jobs: what runs show, and when they fail."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from shutil import rmtree
from typing import Any

import dagster as dg
import pytest

from greenlang_vectors.backup import exports
from greenlang_vectors.definitions import build_defs
from greenlang_vectors.lifecycle.location import open_location
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import namespaces
from greenlang_vectors.store.database import Database

from ..conftest import AddDocument
from .conftest import QUIET

pytestmark = pytest.mark.integration

Run = Callable[[str], dg.ExecuteInProcessResult]


@pytest.fixture
def settings(data_dir: Path, tmp_path: Path) -> Settings:
    return Settings(data_dir=data_dir, backup_location=str(tmp_path / "backups"))


@pytest.fixture
def run(fresh: Database, instance: dg.DagsterInstance, settings: Settings) -> Run:
    """Runs a job of the namespace csrd, or one of none."""
    instance.add_dynamic_partitions("namespace", ["csrd"])
    resources: dict[str, Any] = {"database": fresh, "settings": settings}
    defs = build_defs(resource_overrides=resources)

    def execute(job: str) -> dg.ExecuteInProcessResult:
        return defs.resolve_job_def(job).execute_in_process(
            instance=instance,
            partition_key=None if job == "prune_exports" else "csrd",
            run_config=QUIET,
            raise_on_error=False,
        )

    return execute


def checks_of(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {each.check_name: each.passed for each in result.get_asset_check_evaluations()}


def metadata_of(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, Any]:
    [made] = result.asset_materializations_for_node(asset)
    return {name: value.value for name, value in made.metadata.items()}


def test_an_export_is_made_verified_and_proven(
    run: Run, fresh: Database, settings: Settings, add_document: AddDocument
) -> None:
    with fresh.connect() as connection:
        namespaces.register(connection, "csrd")
        for job, node in (("back_up", "backup_export"), ("prove_exports", "restore_drill")):
            nothing = run(job)
            assert nothing.success
            assert metadata_of(nothing, node).keys() == {"dagster/row_count", "seconds"}
            assert metadata_of(nothing, node)["dagster/row_count"] == 0
        add_document(connection, "csrd", "a.txt", ["one", "two"])
    killed = Path(settings.backup_location) / "pgvector" / "csrd-29990101T000000Z-abcdef"
    killed.mkdir(parents=True)
    (killed / "dump").write_bytes(b"not all of it")
    made = run("back_up")
    assert made.success
    assert checks_of(made) == {"export_intact": True}
    rmtree(killed)
    shown = metadata_of(made, "backup_export")
    assert shown["dagster/row_count"] > 0
    assert shown["size_bytes"] > 0
    proven = run("prove_exports")
    assert proven.success
    assert checks_of(proven) == {
        "export_proven": True,
        "recovery_time": True,
        "recovery_point": True,
    }
    shown = metadata_of(proven, "restore_drill")
    assert (shown["passed"], shown["restore_seconds"] > 0) == (True, True)
    assert run("prune_exports").success
    [listed] = exports.list_exports(open_location(settings.backup_location))
    assert listed.state == "good"


def test_damage_fails_the_run_and_says_what_it_is(
    run: Run, fresh: Database, settings: Settings, add_document: AddDocument
) -> None:
    with fresh.connect() as connection:
        namespaces.register(connection, "csrd")
        add_document(connection, "csrd", "a.txt", ["one", "two"])
    assert run("back_up").success
    [dump] = Path(settings.backup_location).rglob("dump")
    data = bytearray(dump.read_bytes())
    data[len(data) // 2] ^= 1
    dump.write_bytes(data)
    failed = run("prove_exports")
    assert not failed.success
    assert checks_of(failed)["export_proven"] is False
    [check] = [e for e in failed.get_asset_check_evaluations() if e.check_name == "export_proven"]
    assert "does not match its SHA-256" in (check.description or "")
    assert "does not match its SHA-256" in metadata_of(failed, "restore_drill")["problem"]
