"""What is old goes, by AWS's clock; what is young, pinned, proven or not ours stays, always."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from greenlang_vectors.backup.aurora import making, names, pruning, snapshots
from greenlang_vectors.backup.aurora.deployment import Deployment
from greenlang_vectors.backup.aurora.errors import AuroraUnavailable, Protected
from greenlang_vectors.backup.aurora.rds import Rds

from .conftest import CLUSTER, ELSEWHERE, HOME, Aws

pytestmark = pytest.mark.integration

FIRST = date(2026, 1, 5)  # a Monday
OLD = 7
"""Of ten snapshots, a day apart, as many are older than they are kept."""

Prune = Callable[..., list[str]]


def name(number: int) -> str:
    return f"greenlang-daily-{(FIRST + timedelta(days=number)).isoformat()}"


@pytest.fixture
def short(aurora: Deployment) -> Deployment:
    """Daily ones are kept for two and a half days."""
    return replace(aurora, keep={**aurora.keep, "daily": timedelta(days=2.5)})


@pytest.fixture
def ten(aws: Aws) -> list[str]:
    """Ten daily snapshots, the newest of this moment."""
    for number in range(10):
        aws.client().create_db_cluster_snapshot(
            DBClusterSnapshotIdentifier=name(number),
            DBClusterIdentifier=CLUSTER,
            Tags=names.tag_list({names.MADE_BY: names.PRODUCT, names.TIER: "daily"}),
        )
        aws.age(name(number), days=9 - number)
    return [name(number) for number in range(10)]


@pytest.fixture
def prune(short: Deployment) -> Prune:
    def run(now: datetime | None = None, *, dry_run: bool = False) -> list[str]:
        moment = now or datetime.now(UTC)
        gone = pruning.prune(short.rds, CLUSTER, short.keep, moment, dry_run=dry_run)
        return [each.id for each in gone]

    return run


def test_what_is_old_goes_oldest_first_and_only_when_asked(
    aws: Aws, ten: list[str], prune: Prune
) -> None:
    assert prune(dry_run=True) == ten[:OLD]
    assert aws.manual() == ten
    assert prune() == ten[:OLD]
    assert aws.manual() == ten[OLD:]
    assert prune() == []


@pytest.mark.parametrize("jump", [timedelta(days=-4000), timedelta(days=4000)])
def test_a_clock_that_jumps_deletes_nothing_young(
    aws: Aws, ten: list[str], prune: Prune, jump: timedelta
) -> None:
    gone = prune(datetime.now(UTC) + jump)
    assert set(gone) <= set(ten[:OLD])
    assert set(aws.manual()) >= set(ten[OLD:])


def test_pinned_and_proven_ones_stay(
    aws: Aws, short: Deployment, ten: list[str], prune: Prune
) -> None:
    pinned, older, proven = (snapshots.get(short.rds, CLUSTER, name(n)) for n in (1, 2, 3))
    snapshots.pin(short.rds, pinned, pinned=True)
    for each in (older, proven):
        snapshots.tag(short.rds, each, {"greenlang:verified": "2026-01-09T00:00:00Z"})
    assert prune() == [ten[0], ten[2], *ten[4:OLD]]
    assert aws.manual() == [ten[1], ten[3], *ten[OLD:]]


def test_snapshots_that_never_became_available_protect_nothing(
    aws: Aws, ten: list[str], prune: Prune
) -> None:
    for each in ten[3:]:
        aws.snapshot(each).status = "failed"
    assert prune() == ten[:2]


def test_what_was_not_made_here_stays(aws: Aws, ten: list[str], prune: Prune) -> None:
    aws.client().create_db_cluster_snapshot(
        DBClusterSnapshotIdentifier="greenlang-daily-2020-01-01",
        DBClusterIdentifier=CLUSTER,
        Tags=[{"Key": "greenlang:tier", "Value": "daily"}],
    )
    aws.age("greenlang-daily-2020-01-01", days=2000)
    [automated] = [
        each for each in aws.backend().cluster_snapshots if each.startswith(f"rds:{CLUSTER}")
    ]
    aws.age(automated, days=30)
    assert prune() == ten[:OLD]
    assert automated in aws.backend().cluster_snapshots
    assert "greenlang-daily-2020-01-01" in aws.manual()


def test_an_automated_snapshot_is_never_asked_to_go(aws: Aws, short: Deployment) -> None:
    [automated] = [each for each in snapshots.all_of(short.rds, CLUSTER) if not each.manual]
    for each in (automated, replace(automated, tier="daily")):
        with pytest.raises(Protected, match="automated"):
            snapshots.delete(short.rds, each)
    assert aws.asked("delete_db_cluster_snapshot") == []


def test_one_that_is_pinned_while_others_go_stays(
    aws: Aws, short: Deployment, ten: list[str], prune: Prune, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = snapshots.delete

    def pin_the_next(rds: Rds, snapshot: snapshots.Snapshot) -> None:
        real(rds, snapshot)
        if snapshot.id == ten[0]:
            snapshots.pin(short.rds, snapshots.get(short.rds, CLUSTER, ten[1]), pinned=True)

    monkeypatch.setattr(snapshots, "delete", pin_the_next)
    assert prune() == [ten[0], *ten[2:OLD]]
    assert ten[1] in aws.manual()


def test_copies_go_in_their_region_by_the_age_of_what_they_hold(
    aws: Aws, short: Deployment, ten: list[str]
) -> None:
    assert short.copies is not None
    for each in snapshots.all_of(short.rds, CLUSTER):
        if each.manual:
            making.copy(each, short.copies, kms_key=short.copy_key, quota=100)
    now = datetime.now(UTC)
    gone = pruning.prune(short.copies, CLUSTER, short.keep, now, dry_run=False)
    assert [each.id for each in gone] == [
        each.replace("greenlang-", "greenlang-dr-") for each in ten[:OLD]
    ]
    assert len(aws.manual(ELSEWHERE)) == 10 - OLD
    assert aws.manual(HOME) == ten


def test_when_aws_refuses_nothing_is_deleted(
    aws: Aws, ten: list[str], prune: Prune, monkeypatch: pytest.MonkeyPatch
) -> None:
    from moto.rds.exceptions import RDSClientError
    from moto.rds.models import RDSBackend

    def expired(*_: object, **__: object) -> None:
        raise RDSClientError("ExpiredToken", "The security token is expired")

    monkeypatch.setattr(RDSBackend, "describe_db_cluster_snapshots", expired)
    with pytest.raises(AuroraUnavailable, match="Renew the credentials"):
        prune()
    assert aws.asked("delete_db_cluster_snapshot") == []
    assert aws.manual() == ten
