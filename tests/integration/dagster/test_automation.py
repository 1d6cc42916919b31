"""Schedules and sensors: partitions follow the registry, runs follow the sources and the clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import numpy as np
import pytest

from greenlang_vectors.documents.source import listing_fingerprint, source_from_uri
from greenlang_vectors.embedding.cache import PostgresCache
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import namespaces, search_logs, weaviate_shadow_reads
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.search_logs import LoggedSearch
from greenlang_vectors.store.weaviate_shadow_reads import ShadowRead
from schedules.jobs import KEEP_RUNS, housekeeping
from schedules.schedules import daily_refresh
from schedules.sensors import namespace_registry, source_changes

from .conftest import QUIET

pytestmark = pytest.mark.integration


class Ticks:
    """A sensor evaluated again and again, its cursor kept as the daemon keeps it."""

    def __init__(
        self, sensor: dg.SensorDefinition, instance: dg.DagsterInstance, database: Database
    ) -> None:
        self.sensor, self.instance, self.database = sensor, instance, database
        self.cursor: str | None = None

    def __call__(self) -> dg.SensorResult:
        with dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, resources={"database": self.database}
        ) as context:
            result = self.sensor(context)
        if isinstance(result, dg.SkipReason):
            return dg.SensorResult(skip_reason=result)
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor or self.cursor
        return result


@pytest.fixture
def registry_ticks(instance: dg.DagsterInstance, fresh: Database) -> Ticks:
    return Ticks(namespace_registry, instance, fresh)


@pytest.fixture
def source_ticks(instance: dg.DagsterInstance, fresh: Database) -> Ticks:
    return Ticks(source_changes, instance, fresh)


@pytest.fixture
def listed(fresh: Database) -> Callable[[str], None]:
    """Notes, as the documents stage does, that a namespace's source was worked through."""

    def note(name: str) -> None:
        with fresh.connect() as connection:
            uri = namespaces.get(connection, name).source_uri
            assert uri is not None
            listing = listing_fingerprint(source_from_uri(uri).list())
            namespaces.remember_listing(connection, name, listing)

    return note


def asked(result: dg.SensorResult) -> list[str | None]:
    return [request.partition_key for request in result.run_requests or []]


def unfinished_run(instance: dg.DagsterInstance, name: str) -> dg.DagsterRun:
    return instance.add_run(
        dg.DagsterRun(
            job_name="ingest",
            run_id=f"run-{name}",
            status=dg.DagsterRunStatus.STARTED,
            tags={"dagster/partition": name},
        )
    )


def test_partitions_follow_the_registry(
    registry_ticks: Ticks,
    namespace: Callable[[str], Path],
    instance: dg.DagsterInstance,
    fresh: Database,
) -> None:
    namespace("csrd")
    namespace("eudr")
    instance.add_dynamic_partitions("namespace", ["eudr", "gone"])
    add, delete = registry_ticks().dynamic_partitions_requests or []
    assert isinstance(add, dg.AddDynamicPartitionsRequest)
    assert isinstance(delete, dg.DeleteDynamicPartitionsRequest)
    assert (add.partition_keys, delete.partition_keys) == (["csrd"], ["gone"])
    instance.add_dynamic_partitions("namespace", ["csrd"])
    instance.delete_dynamic_partition("namespace", "gone")
    assert not registry_ticks().dynamic_partitions_requests
    with fresh.connect() as connection:
        namespaces.drop(connection, "csrd")
    (delete,) = registry_ticks().dynamic_partitions_requests or []
    assert delete.partition_keys == ["csrd"]


def test_a_changed_source_asks_for_one_run_of_its_namespace(
    source_ticks: Ticks,
    namespace: Callable[[str], Path],
    listed: Callable[[str], None],
    instance: dg.DagsterInstance,
) -> None:
    folder = namespace("csrd")
    namespace("cbam")
    listed("cbam")
    assert asked(source_ticks()) == []  # Dagster does not know the namespaces yet
    instance.add_dynamic_partitions("namespace", ["csrd", "cbam"])
    assert asked(source_ticks()) == ["csrd"]
    assert asked(source_ticks()) == []
    listed("csrd")
    assert asked(source_ticks()) == []
    (folder / "new.txt").write_text("A new rule.")
    assert asked(source_ticks()) == ["csrd"]
    listed("csrd")
    (folder / "new.txt").unlink()
    assert asked(source_ticks()) == ["csrd"]


def test_a_source_that_changes_back_is_noticed(
    source_ticks: Ticks,
    namespace: Callable[[str], Path],
    listed: Callable[[str], None],
    instance: dg.DagsterInstance,
) -> None:
    file = namespace("csrd") / "part1.md"
    instance.add_dynamic_partitions("namespace", ["csrd"])
    for name in ["a.md", "b.md", "a.md", "b.md"]:
        file = file.rename(file.with_name(name))
        assert asked(source_ticks()) == ["csrd"]
        listed("csrd")
        assert asked(source_ticks()) == []


def test_no_run_is_asked_for_while_one_is_under_way(
    source_ticks: Ticks, namespace: Callable[[str], Path], instance: dg.DagsterInstance
) -> None:
    namespace("csrd")
    namespace("cbam")
    instance.add_dynamic_partitions("namespace", ["csrd", "cbam"])
    run = unfinished_run(instance, "csrd")
    assert asked(source_ticks()) == ["cbam"]
    instance.report_run_failed(run)
    assert asked(source_ticks()) == ["csrd"]


def test_a_source_that_cannot_be_listed_holds_up_no_other(
    source_ticks: Ticks, namespace: Callable[[str], Path], instance: dg.DagsterInstance
) -> None:
    gone, _ = namespace("csrd"), namespace("cbam")
    gone.rename(gone.with_name("elsewhere"))
    instance.add_dynamic_partitions("namespace", ["csrd", "cbam"])
    assert asked(source_ticks()) == ["cbam"]
    skipped = source_ticks()
    assert asked(skipped) == []
    assert "csrd: " in str(skipped.skip_reason)
    assert str(gone) in str(skipped.skip_reason)


def test_every_namespace_is_refreshed_once_a_day(tmp_path: Path) -> None:
    three = datetime(2026, 1, 1, 3, tzinfo=UTC)
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        instance.add_dynamic_partitions("namespace", ["csrd", "cbam"])
        with dg.build_schedule_context(
            instance=instance, scheduled_execution_time=three
        ) as context:
            requests = [r for r in daily_refresh(context) if isinstance(r, dg.RunRequest)]
    assert {request.partition_key for request in requests} == {"cbam", "csrd"}
    assert len({request.run_key for request in requests}) == 2


def test_housekeeping_deletes_what_nobody_needs(
    instance: dg.DagsterInstance, fresh: Database
) -> None:
    vector = {"0" * 64: np.ones(3, np.float32)}
    PostgresCache(fresh.connection, "expired", ttl_seconds=0).put(vector)
    PostgresCache(fresh.connection, "alive", ttl_seconds=3600).put(vector)
    now = datetime.now(UTC)
    for name, age in [("old", KEEP_RUNS + timedelta(days=1)), ("new", timedelta(days=1))]:
        run = dg.DagsterRun(job_name="ingest", run_id=name, status=dg.DagsterRunStatus.SUCCESS)
        instance.run_storage.add_historical_run(run, now - age)
    with fresh.connect() as connection:
        namespaces.register(connection, "csrd")
        for days in (2, 8):
            search = LoggedSearch(
                "csrd", None, "text", "why?", None, None, 1, None, days, "", 1.0, None,
                at=now - timedelta(days=days),
            )  # fmt: skip
            assert search_logs.write(connection, [search]) == 1
            compared = ShadowRead("csrd", days, False, read_at=now - timedelta(days=days))
            assert weaviate_shadow_reads.write(connection, [compared]) == 1
            connection.execute(
                "INSERT INTO embedding_jobs (namespace, source_type, status, completed_at)"
                " VALUES ('csrd', 'sdk', 'succeeded', %s)",
                [now - timedelta(days=days)],
            )
    result = housekeeping.execute_in_process(
        instance=instance,
        resources={"database": fresh, "settings": Settings(search_log_days=7, job_days=7)},
        run_config=QUIET,
    )
    assert result.success
    with fresh.connect() as connection:
        left = connection.execute("SELECT fingerprint FROM embedding_cache").fetchall()
        logged = connection.execute("SELECT result_count FROM vector_search_logs").fetchall()
        compared_left = connection.execute("SELECT share FROM weaviate_shadow_reads").fetchall()
        jobs_left = connection.execute("SELECT count(*) FROM embedding_jobs").fetchall()
    assert logged == compared_left == [(2,)]
    assert jobs_left == [(1,)]
    assert left == [("alive",)]
    assert {run.run_id for run in instance.get_runs()} == {"new", result.run_id}
