"""What could be restored is held against PRD 12.4, and retention is lengthened, never shortened."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from greenlang_vectors.backup.aurora import clusters, making, routine, runbook
from greenlang_vectors.backup.aurora.deployment import Deployment
from greenlang_vectors.backup.aurora.errors import CannotCopy, OutsideWindow
from greenlang_vectors.backup.aurora.runbook import Runbook

from .conftest import CLUSTER, ELSEWHERE, Aws

pytestmark = pytest.mark.integration

TUESDAY, SUNDAY, FIRST = date(2026, 2, 3), date(2026, 2, 8), date(2026, 2, 1)


def look(aurora: Deployment) -> Runbook:
    return runbook.look(aurora, datetime.now(UTC))


def states(aurora: Deployment) -> dict[str, str]:
    return {each.name: each.state for each in look(aurora).objectives}


def test_before_the_first_snapshot_every_tier_is_missing(aurora: Deployment) -> None:
    found = look(aurora)
    assert found.breached
    assert {each.name for each in found.objectives if each.state == "breached"} == {
        *("daily snapshot", "weekly snapshot", "monthly snapshot"),
        "regional disaster",
    }
    assert "automated backups are kept for 7 days instead of 35" in found.problems


def test_after_the_first_routine_all_is_met_or_not_due(aws: Aws, aurora: Deployment) -> None:
    done = routine.run(aurora, TUESDAY, datetime.now(UTC))
    assert done.lengthened
    assert done.copy is not None
    assert states(aurora) == {
        "data corruption": "met",
        "full cluster loss": "met",
        "daily snapshot": "met",
        "weekly snapshot": "not due",
        "monthly snapshot": "not due",
        "regional disaster": "met",
    }
    assert look(aurora).problems == []
    assert aws.backend().clusters[CLUSTER].backup_retention_period == 35


def test_ages_are_late_and_then_breached(aws: Aws, aurora: Deployment) -> None:
    done = routine.run(aurora, SUNDAY, datetime.now(UTC))
    assert done.copy is not None
    aws.age(done.snapshot.id, days=1.5)
    tags = aws.snapshot(done.copy.id, ELSEWHERE).tags
    [taken_at] = [tag for tag in tags if tag["Key"] == "greenlang:taken-at"]
    taken_at["Value"] = (datetime.now(UTC) - timedelta(days=3)).isoformat()
    found = states(aurora)
    assert found["daily snapshot"] == "late"
    assert found["weekly snapshot"] == "met"
    assert found["regional disaster"] == "breached"
    assert any("holds what was 1 day, 12:00:" in each for each in look(aurora).problems)


def test_a_monthly_snapshot_stands_in_for_the_shorter_tiers(aurora: Deployment) -> None:
    routine.run(aurora, FIRST, datetime.now(UTC))
    assert {states(aurora)[f"{tier} snapshot"] for tier in ("daily", "weekly", "monthly")} == {
        "met"
    }


def test_a_cluster_that_is_gone_is_found_not_raised(aws: Aws, aurora: Deployment) -> None:
    routine.run(aurora, FIRST, datetime.now(UTC))
    aws.backend().clusters.clear()
    found = states(aurora)
    assert found["data corruption"] == "breached"
    assert found["full cluster loss"] == "met"  # by the snapshot of a moment ago
    assert found["daily snapshot"] == "met"


def test_without_a_region_for_copies_the_promise_is_not_set_up(aurora: Deployment) -> None:
    alone = replace(aurora, copies=None)
    done = routine.run(alone, FIRST, datetime.now(UTC))
    assert done.copy is None
    assert states(alone)["regional disaster"] == "not set up"
    assert look(alone).problems == []


def test_a_quota_that_is_nearly_reached_is_said(aurora: Deployment) -> None:
    routine.run(aurora, FIRST, datetime.now(UTC))
    assert look(replace(aurora, quota=1)).problems == [
        "1 manual snapshots of the 1 that are allowed"
    ]


def test_a_repeated_routine_does_nothing_more(aws: Aws, aurora: Deployment) -> None:
    first = routine.run(aurora, TUESDAY, datetime.now(UTC))
    before = list(aws.changes)
    again = routine.run(aurora, TUESDAY, datetime.now(UTC))
    assert aws.changes == before
    assert (again.snapshot, again.copy) == (first.snapshot, first.copy)
    assert not again.lengthened


def test_a_routine_shortens_no_retention(aws: Aws, aurora: Deployment) -> None:
    done = routine.run(replace(aurora, automated_days=3), TUESDAY, datetime.now(UTC))
    assert not done.lengthened
    assert aws.backend().clusters[CLUSTER].backup_retention_period == 7


def test_where_the_copy_fails_nothing_is_pruned(aws: Aws, aurora: Deployment) -> None:
    brief = replace(aurora, keep=dict.fromkeys(aurora.keep, timedelta(hours=1)), copy_key=None)
    for day in range(4):
        made = making.create(aurora.rds, CLUSTER, "daily", TUESDAY + timedelta(days=day), quota=100)
        aws.age(made.id, days=10 - day)
    with pytest.raises(CannotCopy):
        routine.run(brief, TUESDAY + timedelta(days=8), datetime.now(UTC))
    assert aws.asked("delete_db_cluster_snapshot") == []
    done = routine.run(
        replace(brief, copy_key=aurora.copy_key),
        TUESDAY + timedelta(days=8),
        datetime.now(UTC),
    )
    assert len(done.pruned) == 4


@pytest.mark.parametrize("days", [0, 36, -1])
def test_days_that_aurora_cannot_keep_are_refused_before_the_call(
    aws: Aws, aurora: Deployment, days: int
) -> None:
    with pytest.raises(OutsideWindow, match="1 to 35"):
        clusters.keep_automated(aurora.rds, clusters.get(aurora.rds, CLUSTER), days, shorten=True)
    assert aws.changes == []


def test_retention_is_shortened_only_when_told_to(aws: Aws, aurora: Deployment) -> None:
    cluster = clusters.get(aurora.rds, CLUSTER)
    with pytest.raises(OutsideWindow, match="delete the oldest"):
        clusters.keep_automated(aurora.rds, cluster, 6)
    assert not clusters.keep_automated(aurora.rds, cluster, 7)
    assert aws.changes == []
    assert clusters.keep_automated(aurora.rds, cluster, 6, shorten=True)
    assert clusters.get(aurora.rds, CLUSTER).retention_days == 6
