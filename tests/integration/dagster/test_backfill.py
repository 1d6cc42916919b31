"""Backfills by the real daemon, on PostgreSQL storage: all assets, moves from Weaviate, and a
fan-out over processes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import dagster as dg
import pytest
import yaml
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill

from greenlang_vectors.documents.source import listing_fingerprint, source_from_uri
from greenlang_vectors.migration.peer import open_peer
from greenlang_vectors.migration.phases import start
from greenlang_vectors.migration.plan import Plan, VectorMapping
from greenlang_vectors.quality.checks import CHECKS
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import namespaces, weaviate_migrations
from greenlang_vectors.store.database import Database, ensure_database
from greenlang_vectors.store.namespaces import PRD_NAMESPACES
from local.instance import open_instance, prepare_home

from .toy import defs

if TYPE_CHECKING:
    from local.weaviate_server.server import WeaviateServer

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

SECONDS = 480
FILLED, MOVED = PRD_NAMESPACES[:2], PRD_NAMESPACES[3:]
OBJECTS = 30
ENDED = {
    BulkActionStatus.COMPLETED_SUCCESS,
    BulkActionStatus.COMPLETED_FAILED,
    BulkActionStatus.FAILED,
}
GRAPH = defs.get_repository_def().asset_graph
MOVES = dg.AssetSelection.groups("weaviate").resolve(GRAPH) & GRAPH.materializable_asset_keys
EVERYTHING = dg.AssetSelection.groups("ingestion").resolve(GRAPH) | MOVES
FANNED_OUT, LOST = ("forestry", "mining", "fishery"), "fishery"
IN_PROCESS: dict[str, object] = {"in_process": {}}
IN_PROCESSES: dict[str, object] = {
    "multiprocess": {
        "max_concurrent": 1,
        "start_method": {"forkserver": {"preload_modules": ["greenlang_vectors.definitions"]}},
    }
}
REQUESTS = {
    "everything": (FILLED, sorted(EVERYTHING), IN_PROCESS),
    "moves": (MOVED, sorted(MOVES), IN_PROCESS),
    "fan_out": (FANNED_OUT, [dg.AssetKey("documents")], IN_PROCESSES),
}
"""Backfills: of which namespaces, what, and in which processes their steps run."""


@pytest.fixture(scope="module")
def weaviate() -> Iterator[WeaviateServer]:
    """A stand-in server with a collection for each namespace that moves."""
    pytest.importorskip("weaviate", reason="needs the extra weaviate")
    from local.weaviate_server.samples import PASSAGES, sample_objects
    from local.weaviate_server.server import WeaviateServer

    with WeaviateServer(process=True) as server:
        for name in MOVED:
            server.control.create({**PASSAGES, "class": name.capitalize()})
            server.control.put(name.capitalize(), list(sample_objects(OBJECTS, 8)))
        yield server


@pytest.fixture(scope="module")
def home(
    server: str,
    new_database: Callable[[], str],
    weaviate: WeaviateServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Path]:
    """A Dagster home over two databases of its own, named in the environment."""
    runs = ensure_database(server, f"runs_{uuid4().hex[:12]}")
    with pytest.MonkeyPatch.context() as environment:
        for name, value in {
            "GREENLANG_DATA_DIR": str(tmp_path_factory.mktemp("home")),
            "GREENLANG_DATABASE_URL": new_database(),
            "DAGSTER_POSTGRES_URL": runs.replace("postgresql", "postgresql+psycopg2", 1),
            "DAGSTER_HOME": "",
            "WEAVIATE_URL": weaviate.url,
            "WEAVIATE_GRPC_PORT": str(weaviate.grpc_port),
        }.items():
            environment.setenv(name, value)
        yield prepare_home(Settings())


@pytest.fixture(scope="module")
def instance(home: Path) -> Iterator[dg.DagsterInstance]:
    with open_instance(home) as made:
        yield made


@pytest.fixture(scope="module")
def corpus(
    home: Path, instance: dg.DagsterInstance, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Registered namespaces whose listing is remembered: no sensor asks for runs of them. The
    moves of some have begun."""
    assert home.is_dir()
    database = Database(os.environ["GREENLANG_DATABASE_URL"])
    with database.connect() as connection:
        for name in (*PRD_NAMESPACES, *FANNED_OUT):
            folder = tmp_path_factory.mktemp(name)
            for number in range(2):
                (folder / f"{number}.md").write_text(f"# {name} {number}\n\nA rule of {name}.")
            namespaces.register(connection, name, source_uri=str(folder))
            listing = listing_fingerprint(source_from_uri(str(folder)).list())
            namespaces.remember_listing(connection, name, listing)
            if name == LOST:
                shutil.rmtree(folder)
    with open_peer(Settings()) as peer:
        for name in MOVED:
            plan = Plan(
                collection=name.capitalize(),
                vectors=(VectorMapping(model="gl-test"),),
                content="text",
                source_id="source_id",
                chunk_index="chunk_index",
            )
            with database.connect() as connection:
                weaviate_migrations.save_plan(connection, name, plan.model_dump(mode="json"))
            start(database, peer, name)
    instance.add_dynamic_partitions("namespace", [*PRD_NAMESPACES, *FANNED_OUT])


@pytest.fixture(scope="module")
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


@pytest.fixture(scope="module")
def requested(instance: dg.DagsterInstance, daemon: Path) -> float:  # noqa: ARG001
    """All backfills, asked for at once; when they have to have ended."""
    for name, (partitions, keys, executor) in REQUESTS.items():
        instance.add_backfill(
            PartitionBackfill.from_asset_partitions(
                backfill_id=name,
                asset_graph=GRAPH,
                partition_names=partitions,
                asset_selection=keys,
                backfill_timestamp=time.time(),
                tags={},
                dynamic_partitions_store=instance,
                all_partitions=False,
                title=None,
                description=None,
                run_config={"execution": {"config": executor}},
            )
        )
    return time.monotonic() + SECONDS


def ended(
    instance: dg.DagsterInstance,
    name: str,
    until: float,
    daemon: Path,
    failed: Collection[str] = (),
) -> dict[str, dg.DagsterRun]:
    """The runs of a backfill by partition, one each: these have failed, all others succeeded."""
    while (backfill := instance.get_backfill(name)) is not None:
        if backfill.status in ENDED or time.monotonic() > until:
            break
        time.sleep(0.5)
    assert backfill is not None
    outcome = "COMPLETED_FAILED" if failed else "COMPLETED_SUCCESS"
    assert backfill.status is BulkActionStatus[outcome], daemon.read_text()
    runs = instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": name}))
    assert len(runs) == len(REQUESTS[name][0])
    by_partition = {run.tags["dagster/partition"]: run for run in runs}
    for partition, run in by_partition.items():
        assert run.status.value == ("FAILURE" if partition in failed else "SUCCESS")
    return by_partition


def judged(instance: dg.DagsterInstance, run: dg.DagsterRun) -> set[tuple[str, str | None, bool]]:
    """The checks of a run, with their partition and outcome."""
    events = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    results = [e.dagster_event.asset_check_evaluation_data for e in events if e.dagster_event]
    return {(each.check_name, each.partition, each.passed) for each in results}


def test_a_backfill_is_a_run_for_each_namespace_with_its_own_check_results(
    instance: dg.DagsterInstance, requested: float, daemon: Path
) -> None:
    """Of all assets: none of these namespaces moves, and that is no failure."""
    runs = ended(instance, "everything", requested, daemon)
    assert sorted(runs) == sorted(FILLED)
    for name, run in runs.items():
        own = (*(each.name for each in CHECKS), "weaviate_equal")
        assert judged(instance, run) == {
            *((check, name, True) for check in own),
            ("every_namespace_refreshed", None, True),
            ("no_job_is_stuck", None, True),
        }
    for key in EVERYTHING:
        assert set(FILLED) <= instance.get_materialized_partitions(key)


def test_moves_from_weaviate_are_a_run_for_each_namespace(
    instance: dg.DagsterInstance, requested: float, daemon: Path
) -> None:
    runs = ended(instance, "moves", requested, daemon)
    assert sorted(runs) == sorted(MOVED)
    database = Database(os.environ["GREENLANG_DATABASE_URL"])
    for name, run in runs.items():
        assert judged(instance, run) == {("weaviate_equal", name, True)}
        with database.connect() as connection:
            assert weaviate_migrations.get(connection, name).phase == "backfilled"
            moved = connection.execute(
                "SELECT count(*) FROM weaviate_objects WHERE namespace = %s", [name]
            ).fetchone()
        assert moved == (OBJECTS,)


def test_namespaces_fan_out_over_processes_and_one_that_fails_harms_no_other(
    instance: dg.DagsterInstance, requested: float, daemon: Path
) -> None:
    runs = ended(instance, "fan_out", requested, daemon, failed={LOST})
    assert sorted(runs) == sorted(FANNED_OUT)
    workers = {name: processes(instance, run) for name, run in runs.items()}
    assert {"documents"} < workers["mining"].keys() == workers["forestry"].keys()
    assert workers[LOST].keys() == {"documents"}
    steps = [pid for each in workers.values() for pid in each.values()]
    assert len(set(steps)) == len(steps)
    with Database(os.environ["GREENLANG_DATABASE_URL"]).connect() as connection:
        filled = connection.execute(
            "SELECT DISTINCT namespace FROM documents WHERE namespace = ANY(%s)",
            [[*FANNED_OUT]],
        ).fetchall()
    assert {name for (name,) in filled} == {*FANNED_OUT} - {LOST}


def processes(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dict[str | None, int | None]:
    """The process that each step of a run had."""
    started = dg.DagsterEventType.STEP_WORKER_STARTED
    events = [each.dagster_event for each in instance.all_logs(run.run_id, of_type=started)]
    return {each.step_key: each.pid for each in events if each}
