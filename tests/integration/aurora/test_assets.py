"""The asset, its check and its schedules in Dagster, with a cluster and without one."""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg
import pytest

from assets.aurora_snapshots import UNSET, aurora_snapshots, recovery_objectives
from greenlang_vectors.settings import Settings
from resources.progress import LoggedProgress
from schedules.snapshots import daily_aurora_snapshots, hourly_recovery_objectives

from .conftest import CLUSTER, ELSEWHERE, HOME, Aws

pytestmark = pytest.mark.integration


def materialize(
    settings: Settings, day: str, raise_on_error: bool = True
) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        [aurora_snapshots, recovery_objectives],
        resources={"settings": settings, "progress": LoggedProgress()},
        run_config={"ops": {"aurora_snapshots": {"config": {"day": day}}}},
        raise_on_error=raise_on_error,
    )


def check(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    [evaluation] = result.get_asset_check_evaluations()
    return evaluation


def test_a_run_makes_copies_and_checks(aws: Aws, aurora_settings: Settings) -> None:
    result = materialize(aurora_settings, "2026-02-01")
    [made] = result.asset_materializations_for_node("aurora_snapshots")
    assert made.metadata["snapshot"].value == "greenlang-monthly-2026-02-01"
    assert made.metadata["copy"].value == f"greenlang-dr-monthly-2026-02-01 ({ELSEWHERE})"
    table = made.metadata["snapshots"].value
    assert [row.data["region"] for row in table.records] == [HOME, ELSEWHERE]
    assert aws.manual(ELSEWHERE) == ["greenlang-dr-monthly-2026-02-01"]
    assert check(result).passed
    assert len(check(result).metadata["objectives"].value.records) == 6


def test_a_breach_is_an_error_and_what_is_late_a_warning(
    aws: Aws, aurora_settings: Settings
) -> None:
    name = "greenlang-monthly-2026-02-01"
    materialize(aurora_settings, "2026-02-01")
    found = {}
    for days in (1.5, 3.0):
        aws.age(name, days=days)
        evaluation = check(materialize(aurora_settings, "2026-02-01"))
        found[days] = (evaluation.passed, evaluation.severity)
        assert "daily snapshot" in (evaluation.description or "")
    assert found == {
        1.5: (False, dg.AssetCheckSeverity.WARN),
        3.0: (False, dg.AssetCheckSeverity.ERROR),
    }


def test_a_failed_run_says_what_helps(aws: Aws, aurora_settings: Settings) -> None:
    unfit = aurora_settings.model_copy(update={"aurora_dr_kms_key": None})
    result = materialize(unfit, "2026-02-01", raise_on_error=False)
    assert not result.success
    [failure] = [event for event in result.all_events if event.is_step_failure]
    data = failure.step_failure_data.user_failure_data
    assert data is not None
    assert "GREENLANG_AURORA_DR_KMS_KEY" in (data.description or "")
    assert aws.asked("delete_db_cluster_snapshot") == []


def test_without_a_cluster_a_run_does_nothing_and_says_so(aws: Aws) -> None:
    result = materialize(Settings(), "2026-02-01")
    assert result.success
    assert result.asset_materializations_for_node("aurora_snapshots") == []
    assert aws.changes == []
    assert "GREENLANG_AURORA_CLUSTER" in str(
        aurora_snapshots.specs_by_key[aurora_snapshots.key].description
    )


@pytest.mark.parametrize("schedule", [daily_aurora_snapshots, hourly_recovery_objectives])
def test_schedules_start_runs_only_where_a_cluster_is_set(
    schedule: dg.ScheduleDefinition,
) -> None:
    def tick(settings: Settings) -> object:
        context = dg.build_schedule_context(
            scheduled_execution_time=datetime(2026, 2, 8, tzinfo=UTC),
            resources={"settings": settings},
        )
        return schedule(context)

    skipped = tick(Settings())
    assert isinstance(skipped, dg.SkipReason)
    assert skipped.skip_message == UNSET
    asked = tick(Settings(aurora_cluster=CLUSTER))
    assert isinstance(asked, dg.RunRequest)
    if schedule is daily_aurora_snapshots:
        assert asked.run_config["ops"]["aurora_snapshots"]["config"] == {"day": "2026-02-08"}
        assert asked.run_key == "2026-02-08"
