"""Snapshots are made once a day and tier, seen to be finished, and copied to another region."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import chain, repeat

import pytest

from greenlang_vectors.backup.aurora import making, names, snapshots
from greenlang_vectors.backup.aurora.deployment import Deployment
from greenlang_vectors.backup.aurora.errors import (
    CannotCopy,
    NameTaken,
    SnapshotFailed,
    SnapshotQuotaReached,
    TookTooLong,
    UnknownCluster,
)
from greenlang_vectors.backup.aurora.rds import Rds
from greenlang_vectors.backup.aurora.snapshots import Snapshot

from .conftest import CLUSTER, ELSEWHERE, HOME, PASSWORD, Aws

pytestmark = pytest.mark.integration

DAY = date(2026, 2, 3)
DAILY = "greenlang-daily-2026-02-03"


def make(aurora: Deployment, day: date = DAY) -> Snapshot:
    return making.create(aurora.rds, CLUSTER, "daily", day, quota=aurora.quota)


def copied(aurora: Deployment, source: Snapshot, key: str | None = None) -> Snapshot:
    assert aurora.copies is not None
    return making.copy(source, aurora.copies, kms_key=key or aurora.copy_key, quota=aurora.quota)


class Stages:
    """What AWS says of every snapshot, one look after the other; the last one for good."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *said: tuple[str, int]) -> None:
        from moto.rds.models import DBClusterSnapshot

        self._said: Iterator[tuple[str, int]] = chain(said, repeat(said[-1]))
        self._now = said[0]

        def status(_: object) -> str:
            self._now = next(self._said)
            return self._now[0]

        ignored = lambda _, __: None  # noqa: E731
        monkeypatch.setattr(DBClusterSnapshot, "status", property(status, ignored), raising=False)
        monkeypatch.setattr(
            DBClusterSnapshot,
            "percent_progress",
            property(lambda _: self._now[1], ignored),
            raising=False,
        )


def test_a_snapshot_says_whose_and_of_which_tier_it_is(aws: Aws, aurora: Deployment) -> None:
    before = datetime.now(UTC) - timedelta(seconds=2)
    made = make(aurora)
    assert (made.id, made.tier, made.cluster, made.status) == (DAILY, "daily", CLUSTER, "available")
    assert made.taken_at is not None
    assert made.taken_at > before
    tags = {tag["Key"]: tag["Value"] for tag in aws.snapshot(DAILY).tags}
    assert tags == {
        names.MADE_BY: "greenlang-vectors",
        names.CLUSTER: CLUSTER,
        names.TIER: "daily",
    }


def test_the_second_of_a_day_is_the_first_one(aws: Aws, aurora: Deployment) -> None:
    assert make(aurora) == make(aurora)
    assert make(aurora, date(2026, 2, 4)).id == "greenlang-daily-2026-02-04"
    assert aws.manual() == [DAILY, "greenlang-daily-2026-02-04"]
    assert len(aws.asked("create_db_cluster_snapshot")) == 2


def test_one_that_was_begun_by_a_run_that_was_killed_is_waited_for(
    aws: Aws, aurora: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(aurora)
    Stages(monkeypatch, ("creating", 40), ("creating", 80), ("available", 100))
    heard: list[int] = []
    made = making.create(
        aurora.rds,
        CLUSTER,
        "daily",
        DAY,
        quota=aurora.quota,
        progress=lambda done, _, __: heard.append(done),
    )
    assert made.status == "available"
    assert heard == [80, 100]
    assert len(aws.asked("create_db_cluster_snapshot")) == 1


def test_one_that_somebody_else_begins_at_the_same_moment_is_shared(
    aws: Aws, aurora: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(aurora)
    looks = iter([None])
    real = snapshots.find
    monkeypatch.setattr(snapshots, "find", lambda rds, name: next(looks, real(rds, name)))
    assert make(aurora).status == "available"
    assert aws.manual() == [DAILY]


def test_a_snapshot_that_fails_is_an_error_and_the_next_run_makes_it_anew(
    aws: Aws, aurora: Deployment
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        Stages(patched, ("creating", 40), ("failed", 40))
        with pytest.raises(SnapshotFailed, match=f"{DAILY} in {HOME} is failed"):
            make(aurora)
    aws.snapshot(DAILY).status = "failed"
    assert make(aurora).status == "available"
    operations = [name for name, _ in aws.changes]
    assert operations == [
        *("create_db_cluster_snapshot", "delete_db_cluster_snapshot"),
        "create_db_cluster_snapshot",
    ]


def test_a_snapshot_that_takes_too_long_is_left_to_go_on(
    aurora: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    Stages(monkeypatch, ("creating", 40))
    monkeypatch.setattr("greenlang_vectors.backup.aurora.waiting.SNAPSHOT_LIMIT", timedelta(0))
    with pytest.raises(TookTooLong, match="run the same command again"):
        make(aurora)


def test_another_cluster_of_the_region_has_names_of_its_own(aws: Aws, aurora: Deployment) -> None:
    aws.client().create_db_cluster(
        DBClusterIdentifier="other",
        Engine="aurora-postgresql",
        MasterUsername="greenlang",
        MasterUserPassword=PASSWORD,
    )
    make(aurora)
    for _ in range(2):
        other = making.create(aurora.rds, "other", "daily", DAY, quota=aurora.quota)
        assert other.id == f"{DAILY}-other"
    assert [each.id for each in snapshots.all_of(aurora.rds, "other") if each.manual] == [other.id]
    assert make(aurora).id == DAILY


def test_a_snapshot_made_by_hand_under_the_name_is_left_alone(aws: Aws, aurora: Deployment) -> None:
    aws.client().create_db_cluster_snapshot(
        DBClusterSnapshotIdentifier=DAILY, DBClusterIdentifier=CLUSTER
    )
    assert make(aurora).id == f"{DAILY}-{CLUSTER}"


def test_the_quota_is_seen_before_the_call(aws: Aws, aurora: Deployment) -> None:
    make(aurora)
    with pytest.raises(SnapshotQuotaReached, match="1 manual snapshots of 1"):
        making.create(aurora.rds, CLUSTER, "daily", date(2026, 2, 4), quota=1)
    assert len(aws.asked("create_db_cluster_snapshot")) == 1
    assert making.create(aurora.rds, CLUSTER, "daily", DAY, quota=1).id == DAILY


def test_a_quota_of_which_only_aws_knows_is_named(
    aurora: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(aurora)
    monkeypatch.setenv("MOTO_RDS_SNAPSHOT_LIMIT", "1")
    with pytest.raises(SnapshotQuotaReached, match="GREENLANG_AURORA_SNAPSHOT_QUOTA"):
        make(aurora, date(2026, 2, 4))


def test_an_unknown_cluster_is_a_usage_error(aurora: Deployment) -> None:
    with pytest.raises(UnknownCluster, match="nobodys"):
        making.create(aurora.rds, "nobodys", "daily", DAY, quota=100)


def test_a_copy_is_asked_for_where_it_goes_with_a_key_of_that_region(
    aws: Aws, aurora: Deployment
) -> None:
    aws_source = make(aurora)
    aws.age(DAILY, days=3)
    source = snapshots.get(aurora.rds, CLUSTER, DAILY)
    made = copied(aurora, source)
    assert (made.id, made.region, made.tier) == (
        "greenlang-dr-daily-2026-02-03",
        ELSEWHERE,
        "daily",
    )
    assert made.taken_at == source.taken_at
    assert made.copied_from == aws_source.arn
    assert aws.manual(HOME) == [DAILY]
    assert aws.manual(ELSEWHERE) == [made.id]
    [asked] = aws.asked("copy_db_cluster_snapshot")
    assert asked["source_db_cluster_snapshot_identifier"] == source.arn
    assert asked["kms_key_id"] == aws.copy_key
    assert "Action=CopyDBClusterSnapshot" in asked["pre_signed_url"]
    assert aws.snapshot(made.id, ELSEWHERE).kms_key_id == aws.copy_key


def test_the_second_copy_is_the_first_one(aws: Aws, aurora: Deployment) -> None:
    source = make(aurora)
    assert copied(aurora, source) == copied(aurora, source)
    assert len(aws.asked("copy_db_cluster_snapshot")) == 1


def test_a_copy_that_failed_is_made_anew(aws: Aws, aurora: Deployment) -> None:
    source = make(aurora)
    first = copied(aurora, source)
    aws.snapshot(first.id, ELSEWHERE).status = "failed"
    assert copied(aurora, source).status == "available"
    assert len(aws.asked("copy_db_cluster_snapshot")) == 2


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (None, f"needs a KMS key of {ELSEWHERE}"),
        (f"arn:aws:kms:{HOME}:123456789012:key/abc", f"is in {HOME}"),
        (f"arn:aws:kms:{HOME}:123456789012:alias/greenlang", f"is in {HOME}"),
    ],
)
def test_a_key_that_does_not_fit_is_refused_before_the_call(
    aws: Aws, aurora: Deployment, key: str | None, said: str
) -> None:
    with pytest.raises(CannotCopy, match=said):
        copied(replace(aurora, copy_key=key), make(aurora))
    assert aws.asked("copy_db_cluster_snapshot") == []


def test_an_unencrypted_snapshot_is_copied_without_a_key(aws: Aws, aurora: Deployment) -> None:
    source = replace(make(aurora), encrypted=False)
    copied(aurora, source)
    assert aws.asked("copy_db_cluster_snapshot")[0].get("kms_key_id") is None


def test_what_cannot_be_copied_is_refused_before_the_call(aws: Aws, aurora: Deployment) -> None:
    source = make(aurora)
    for unfit, said in (
        (replace(source, status="creating"), "creating"),
        (replace(source, region=ELSEWHERE), f"is in {ELSEWHERE} already"),
    ):
        with pytest.raises(CannotCopy, match=said):
            copied(aurora, unfit)
    assert aws.asked("copy_db_cluster_snapshot") == []


def test_a_name_that_something_else_has_there_is_not_taken_for_the_copy(
    aws: Aws, aurora: Deployment
) -> None:
    source = make(aurora)
    made = copied(aurora, source)
    with pytest.raises(NameTaken, match=made.id):
        copied(aurora, replace(source, arn=f"{source.arn}x"))
    assert len(aws.asked("copy_db_cluster_snapshot")) == 1


def test_a_pin_comes_and_goes(aurora: Deployment) -> None:
    made = make(aurora)
    snapshots.pin(aurora.rds, made, pinned=True)
    assert snapshots.get(aurora.rds, CLUSTER, DAILY).pinned
    snapshots.pin(aurora.rds, made, pinned=False)
    assert not snapshots.get(aurora.rds, CLUSTER, DAILY).pinned


def test_a_cluster_that_is_gone_still_has_its_snapshots(aws: Aws, aurora: Deployment) -> None:
    make(aurora)
    aws.backend().clusters.clear()
    assert DAILY in [each.id for each in snapshots.all_of(Rds(HOME), CLUSTER)]
