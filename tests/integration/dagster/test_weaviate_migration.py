"""Namespaces leave Weaviate through Dagster: a backfill, its blocking check, repair, sensors."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import numpy as np
import pytest

from greenlang_vectors import direct
from greenlang_vectors.definitions import build_defs
from greenlang_vectors.documents.direct import DirectDocument
from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.migration.peer import open_peer
from greenlang_vectors.migration.phases import start
from greenlang_vectors.migration.plan import Gates, Plan, VectorMapping
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import namespaces, weaviate_migrations, weaviate_outbox
from greenlang_vectors.store.database import Database
from schedules.weaviate_sensors import NOTHING, weaviate_gates, weaviate_relay
from tests.integration.migration import shifting

from .conftest import QUIET
from .toy import ToyEmbedding

if TYPE_CHECKING:
    from local.weaviate_server.server import WeaviateServer
    from local.weaviate_server.store import Sent

pytestmark = pytest.mark.integration

OBJECTS = 30
DIMENSIONS = 8
MODEL = "gl-test"

Begin = Callable[[str], "list[Sent]"]
Run = Callable[..., dg.ExecuteInProcessResult]


@pytest.fixture(scope="module")
def running() -> Iterator[WeaviateServer]:
    pytest.importorskip("weaviate", reason="needs the extra weaviate")
    from local.weaviate_server.server import WeaviateServer

    with WeaviateServer(process=True) as server:
        yield server


@pytest.fixture
def settings(running: WeaviateServer, data_dir: Path, tmp_path: Path) -> Settings:
    return Settings(
        data_dir=data_dir,
        weaviate_url=running.url,
        weaviate_grpc_port=running.grpc_port,
        backup_location=str(tmp_path / "backups"),
    )


@pytest.fixture
def begin(
    fresh: Database, running: WeaviateServer, settings: Settings, instance: dg.DagsterInstance
) -> Begin:
    """Begins the move of a namespace whose objects are in a collection of its own."""
    from local.weaviate_server.samples import PASSAGES, sample_objects

    def make(name: str) -> list[Sent]:
        plan = Plan(
            collection=f"{name.capitalize()}{os.urandom(4).hex()}",
            vectors=(VectorMapping(model=MODEL),),
            content="text",
            source_id="source_id",
            chunk_index="chunk_index",
            language="english",
            gates=Gates(hold_seconds=0, reads=3),
        )
        running.control.create({**PASSAGES, "class": plan.collection})
        objects = list(sample_objects(OBJECTS, DIMENSIONS))
        running.control.put(plan.collection, objects)
        with fresh.connect() as connection:
            namespaces.register(connection, name)
            weaviate_migrations.save_plan(connection, name, plan.model_dump(mode="json"))
        with open_peer(settings) as peer:
            start(fresh, peer, name)
        instance.add_dynamic_partitions("namespace", [name])
        return objects

    return make


@pytest.fixture
def run(fresh: Database, settings: Settings, instance: dg.DagsterInstance) -> Run:
    """Runs a job in this process; of one namespace, where its name is given."""
    resources: dict[str, Any] = {
        "database": fresh,
        "embedding": ToyEmbedding(),
        "settings": settings,
    }
    defs = build_defs(resource_overrides=resources)

    def execute(
        job: str, partition: str | None = None, config: dict[str, Any] | None = None
    ) -> dg.ExecuteInProcessResult:
        return defs.resolve_job_def(job).execute_in_process(
            instance=instance,
            partition_key=partition,
            run_config={**QUIET, **(config or {})},
            raise_on_error=False,
        )

    return execute


def metadata(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, Any]:
    [found] = [
        event.materialization.metadata
        for event in result.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey(asset)
    ]
    return {name: value.value for name, value in found.items()}


def observed(result: dg.SensorResult) -> list[tuple[str | None, object]]:
    events = [e for e in result.asset_events or [] if isinstance(e, dg.AssetObservation)]
    assert {event.asset_key for event in events} <= {dg.AssetKey("weaviate_steps")}
    return [(event.partition, event.metadata["step"].value) for event in events]


def test_two_namespaces_are_moved_a_run_each(
    begin: Begin, run: Run, instance: dg.DagsterInstance
) -> None:
    for name in ("csrd", "eudr"):
        begin(name)
        result = run("migrate_from_weaviate", name)
        assert result.success
        filled = metadata(result, "weaviate_backfill")
        assert (filled["objects"], filled["written"], filled["failed"]) == (OBJECTS, OBJECTS, 0)
        assert filled["dagster/row_count"] == OBJECTS
        assert filled["objects_a_second"] > 0
        compared = metadata(result, "weaviate_verification")
        assert (compared["clean"], compared["weaviate"], compared["overlap"]) == (True, OBJECTS, 1)
        [judged] = result.get_asset_check_evaluations()
        assert (judged.check_name, judged.passed, judged.blocking) == ("weaviate_equal", True, True)
    for asset in ("weaviate_backfill", "weaviate_verification"):
        assert instance.get_materialized_partitions(dg.AssetKey(asset)) == {"csrd", "eudr"}


def test_a_difference_stops_the_run_is_listed_and_mended(
    begin: Begin, run: Run, running: WeaviateServer, fresh: Database
) -> None:
    objects = begin("csrd")
    assert run("migrate_from_weaviate", "csrd").success
    lost = objects[3].id
    with fresh.connect() as connection:
        plan = Plan.model_validate(weaviate_migrations.get(connection, "csrd").plan)
    running.control.delete(plan.collection, [lost])
    failed = run("migrate_from_weaviate", "csrd")
    assert not failed.success
    [judged] = failed.get_asset_check_evaluations()
    assert not judged.passed
    assert judged.severity is dg.AssetCheckSeverity.ERROR
    assert "1 objects differ" in str(judged.description)
    table = judged.metadata["differences"]
    assert isinstance(table, dg.TableMetadataValue)
    assert [record.data["object"] for record in table.records] == [lost]
    config = {"ops": {"mend_differences": {"config": {"namespace": "csrd"}}}}
    assert run("repair_from_weaviate", config=config).success
    assert run("migrate_from_weaviate", "csrd").success


def test_a_move_that_has_not_begun_is_skipped_and_says_what_begins_it(
    run: Run, fresh: Database, instance: dg.DagsterInstance
) -> None:
    with fresh.connect() as connection:
        namespaces.register(connection, "csrd")
    instance.add_dynamic_partitions("namespace", ["csrd"])
    for says in ("migrate plan", "migrate start"):
        result = run("migrate_from_weaviate", "csrd")
        assert result.success
        for asset in ("weaviate_backfill", "weaviate_verification"):
            seen = metadata(result, asset)
            assert seen.keys() - {"seconds"} == {"skipped"}
            assert says in seen["skipped"]
        [judged] = result.get_asset_check_evaluations()
        assert judged.passed
        assert says in str(judged.description)
        with fresh.connect() as connection:
            plan = Plan(collection="Passages")
            weaviate_migrations.save_plan(connection, "csrd", plan.model_dump(mode="json"))


def test_the_relay_carries_what_waits_and_costs_nothing_else(
    begin: Begin, fresh: Database, settings: Settings, toys: Embedders, running: WeaviateServer
) -> None:
    def tick() -> str:
        resources = {"database": fresh, "settings": settings}
        with dg.build_sensor_context(resources=resources) as context:
            skipped = weaviate_relay(context)
        assert isinstance(skipped, dg.SkipReason)
        return str(skipped.skip_message)

    assert tick() == NOTHING
    begin("csrd")
    asked = running.control.counted()
    assert tick() == NOTHING
    assert running.control.counted() == asked, "Weaviate is left alone where nothing waits"
    with fresh.connect() as connection:
        direct.put(
            connection,
            toys,
            "csrd",
            [DirectDocument("new", ["A new rule."])],
            supplied=direct.SuppliedVectors(MODEL, np.ones((1, DIMENSIONS), np.float32)),
            cache_seconds=60,
        )
    assert tick() == "csrd: 1 written, 0 deleted, 0 refused."
    with fresh.connect() as connection:
        assert weaviate_outbox.lag(connection, "csrd").documents == 0


def test_a_breached_gate_shifts_back_and_each_step_is_shown_once(
    fresh: Database, instance: dg.DagsterInstance
) -> None:
    cursor: str | None = None

    def tick() -> dg.SensorResult:
        nonlocal cursor
        with dg.build_sensor_context(
            instance=instance, cursor=cursor, resources={"database": fresh}
        ) as context:
            result = weaviate_gates(context)
        assert isinstance(result, dg.SensorResult)
        cursor = result.cursor
        return result

    assert observed(tick()) == []
    with fresh.connect() as connection:
        name = shifting.moving(connection, "shifting", share=50)
        shifting.read(connection, name)
        steps = ["plan", "parallel", "backfilled", "shifting"]
        assert observed(tick()) == [(name, step) for step in steps]
        shifting.read(connection, name, 40, overlap=0.1)
        assert observed(tick()) == [(name, "rollback")]
        assert weaviate_migrations.get(connection, name).share == 10
        assert observed(tick()) == []
