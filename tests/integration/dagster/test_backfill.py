"""A backfill of all namespaces by the real daemon, on PostgreSQL storage."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import dagster as dg
import pytest
import yaml
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill

from greenlang_vectors.documents.source import listing_fingerprint, source_from_uri
from greenlang_vectors.quality.checks import CHECKS
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import namespaces
from greenlang_vectors.store.database import Database, ensure_database
from greenlang_vectors.store.namespaces import PRD_NAMESPACES
from local.instance import open_instance, prepare_home

from .toy import defs

pytestmark = pytest.mark.integration

SECONDS = 480
FILLED = PRD_NAMESPACES[:3]
ENDED = {
    BulkActionStatus.COMPLETED_SUCCESS,
    BulkActionStatus.COMPLETED_FAILED,
    BulkActionStatus.FAILED,
}


@pytest.fixture
def home(
    server: str,
    new_database: Callable[[], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A Dagster home over two databases of its own, named in the environment."""
    url = new_database()
    runs = ensure_database(server, f"runs_{uuid4().hex[:12]}")
    monkeypatch.setenv("GREENLANG_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("GREENLANG_DATABASE_URL", url)
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", runs.replace("postgresql", "postgresql+psycopg2", 1))
    monkeypatch.setenv("DAGSTER_HOME", "")
    return prepare_home(Settings())


@pytest.fixture
def instance(home: Path) -> Iterator[dg.DagsterInstance]:
    with open_instance(home) as made:
        yield made


@pytest.fixture
def corpus(home: Path, instance: dg.DagsterInstance, tmp_path: Path) -> None:  # noqa: ARG001
    """Registered namespaces whose listing is remembered: no sensor asks for runs of them."""
    database = Database(os.environ["GREENLANG_DATABASE_URL"])
    with database.connect() as connection:
        for name in PRD_NAMESPACES:
            folder = tmp_path / name
            folder.mkdir()
            for number in range(2):
                (folder / f"{number}.md").write_text(f"# {name} {number}\n\nA rule of {name}.")
            namespaces.register(connection, name, source_uri=str(folder))
            listing = listing_fingerprint(source_from_uri(str(folder)).list())
            namespaces.remember_listing(connection, name, listing)
    instance.add_dynamic_partitions("namespace", PRD_NAMESPACES)


@pytest.fixture
def daemon(home: Path, repository: Path, corpus: None) -> Iterator[Path]:  # noqa: ARG001
    """The daemon over the toy code location; returns its log."""
    location = {
        "relative_path": str(Path(__file__).with_name("toy.py")),
        "working_directory": str(repository),
    }
    workspace = home / "workspace.yaml"
    workspace.write_text(yaml.safe_dump({"load_from": [{"python_file": location}]}))
    log = home / "daemon.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "dagster._daemon", "run", "-w", str(workspace)],
            cwd=repository,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        yield log
        process.terminate()
        process.wait(60)


@pytest.mark.timeout(600)
def test_a_backfill_is_a_run_for_each_namespace_with_its_own_check_results(
    instance: dg.DagsterInstance, daemon: Path
) -> None:
    graph = defs.get_repository_def().asset_graph
    moving = dg.AssetSelection.groups("weaviate").resolve(graph)  # none of these is planned
    keys = sorted(graph.materializable_asset_keys - moving)
    instance.add_backfill(
        PartitionBackfill.from_asset_partitions(
            backfill_id="everything",
            asset_graph=graph,
            partition_names=FILLED,
            asset_selection=keys,
            backfill_timestamp=time.time(),
            tags={},
            dynamic_partitions_store=instance,
            all_partitions=False,
            title=None,
            description=None,
            run_config=None,
        )
    )
    deadline = time.monotonic() + SECONDS
    while (backfill := instance.get_backfill("everything")) is not None:
        if backfill.status in ENDED or time.monotonic() > deadline:
            break
        time.sleep(1)
    assert backfill is not None
    assert backfill.status is BulkActionStatus.COMPLETED_SUCCESS, daemon.read_text()
    runs = instance.get_runs()
    assert sorted(run.tags["dagster/partition"] for run in runs) == sorted(FILLED)
    assert {run.status for run in runs} == {dg.DagsterRunStatus.SUCCESS}
    for run in runs:
        results = [
            entry.dagster_event.asset_check_evaluation_data
            for entry in instance.all_logs(
                run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION
            )
            if entry.dagster_event is not None
        ]
        assert {(r.check_name, r.partition, r.passed) for r in results} == {
            (check.name, run.tags["dagster/partition"], True) for check in CHECKS
        }
    for key in keys:
        assert instance.get_materialized_partitions(key) == set(FILLED)
