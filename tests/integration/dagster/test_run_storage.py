"""What reads and deletes in Dagster's own storage does so in PostgreSQL, too."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import dagster as dg
import pytest
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from sqlalchemy import text

from greenlang_vectors.settings import Settings
from greenlang_vectors.store.database import ensure_database
from resources import event_log
from schedules.failure_sensor import failed_runs
from schedules.jobs import KEEP_RUNS

from .conftest import QUIET

pytestmark = pytest.mark.integration

KEY = dg.AssetKey("watched")


@dg.asset
def watched(context: dg.AssetExecutionContext) -> None:
    print("Something is written.")
    if context.run.tags.get("break") == "yes":
        raise dg.Failure("It broke.")


@dg.asset_check(asset=watched)
def looks_well() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True)


JOB = dg.Definitions(
    assets=[watched], asset_checks=[looks_well], jobs=[dg.define_asset_job("watch")]
).resolve_job_def("watch")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def instance(server: str, home: Path) -> Iterator[dg.DagsterInstance]:
    url = ensure_database(server, f"runs_{uuid4().hex[:12]}")
    url = url.replace("postgresql", "postgresql+psycopg2", 1)
    overrides = {"storage": {"postgres": {"postgres_url": url}}}
    with dg.DagsterInstance.local_temp(str(home), overrides=overrides) as made:
        yield made


def run(instance: dg.DagsterInstance, *, broken: bool = False) -> str:
    return JOB.execute_in_process(
        instance=instance,
        run_config=QUIET,
        raise_on_error=False,
        tags={"break": "yes" if broken else "no"},
    ).run_id


def count(instance: dg.DagsterInstance, table: str) -> int:
    storage = instance.event_log_storage
    assert isinstance(storage, SqlEventLogStorage)
    with storage.index_connection() as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


def report(instance: dg.DagsterInstance, *names: str) -> None:
    for name in names:
        instance.report_runless_asset_event(
            dg.AssetMaterialization(
                KEY, partition="csrd", tags={"dagster/data_version": name}, description=name
            )
        )
        time.sleep(0.01)


def reported(instance: dg.DagsterInstance) -> list[str | None]:
    found = instance.fetch_materializations(KEY, limit=10).records
    return [each.asset_materialization.description for each in found if each.asset_materialization]


def test_a_run_goes_with_all_that_belongs_to_it(instance: dg.DagsterInstance, home: Path) -> None:
    runs = [run(instance) for _ in range(2)]
    logs = home / "storage"
    assert all((logs / each).is_dir() for each in runs)
    assert count(instance, "asset_check_executions") == 2
    now = datetime.now(UTC)
    assert event_log.delete_runs(instance, now - KEEP_RUNS) == 0
    assert event_log.delete_runs(instance, now + timedelta(minutes=1)) == 2
    assert not instance.get_runs()
    assert not instance.all_logs(runs[0])
    assert count(instance, "asset_check_executions") == 0
    assert not any((logs / each).exists() for each in runs)


def test_of_events_without_a_run_the_newest_stays(instance: dg.DagsterInstance) -> None:
    report(instance, "first", "second")
    assert count(instance, "asset_event_tags") == 2
    now = datetime.now(UTC)
    assert event_log.delete_runless_events(instance, now - KEEP_RUNS) == 0
    assert event_log.delete_runless_events(instance, now + timedelta(minutes=1)) == 1
    assert reported(instance) == ["second"]
    assert count(instance, "asset_event_tags") == 1
    report(instance, "third")
    assert reported(instance) == ["third", "second"]


def test_the_sensor_goes_through_failed_runs_one_after_the_other(
    instance: dg.DagsterInstance,
) -> None:
    cursor: str | None = None

    def tick() -> str:
        nonlocal cursor
        with dg.build_sensor_context(
            instance=instance, cursor=cursor, resources={"settings": Settings()}
        ) as context:
            result = failed_runs(context)
        assert isinstance(result, dg.SensorResult)
        assert isinstance(result.skip_reason, dg.SkipReason)
        cursor = result.cursor
        return str(result.skip_reason.skip_message)

    run(instance, broken=True)
    assert tick() == "From now on failed runs are told."
    assert tick() == "No run has failed."
    run(instance, broken=True)
    run(instance)
    run(instance, broken=True)
    assert tick() == "watch: watched failed: It broke. watch: watched failed: It broke."
    assert tick() == "No run has failed."
