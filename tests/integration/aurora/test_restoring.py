"""Restores end with an instance that is ready, like their source, and may be repeated."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from greenlang_vectors.backup.aurora import making, snapshots
from greenlang_vectors.backup.aurora.deployment import Deployment
from greenlang_vectors.backup.aurora.errors import (
    AuroraUnavailable,
    InvalidName,
    NameTaken,
    OutsideWindow,
    RestoreFailed,
    UnknownCluster,
)
from greenlang_vectors.backup.aurora.restoring import (
    Placement,
    restore_snapshot,
    restore_to_time,
)
from greenlang_vectors.backup.aurora.snapshots import Snapshot

from .conftest import CLUSTER, ELSEWHERE, HOME, READER, WRITER, Aws

pytestmark = pytest.mark.integration

NEW = "greenlang-recovery"
LIKE_SOURCE = Placement()
RESTORES = ("restore_db_cluster_from_snapshot", "restore_db_cluster_to_point_in_time")


@pytest.fixture
def snapshot(aws: Aws, aurora: Deployment) -> Snapshot:
    made = making.create(
        aurora.rds, CLUSTER, "daily", datetime(2026, 2, 3, tzinfo=UTC).date(), quota=100
    )
    aws.changes.clear()
    return made


@pytest.fixture
def hour_ago(aws: Aws) -> datetime:
    """A time the cluster can be restored to."""
    aws.backend().clusters[CLUSTER].earliest_restorable_time = datetime.now(UTC) - timedelta(days=7)
    return datetime.now(UTC) - timedelta(hours=1)


def test_a_snapshot_becomes_a_cluster_like_its_source_with_an_instance(
    aws: Aws, aurora: Deployment, snapshot: Snapshot
) -> None:
    heard: list[int] = []
    restored = restore_snapshot(
        aurora.rds, snapshot, NEW, LIKE_SOURCE, lambda done, _, __: heard.append(done)
    )
    assert (restored.cluster, restored.instance, restored.port) == (NEW, f"{NEW}-instance", 5432)
    assert restored.endpoint.startswith(f"{NEW}.cluster-")
    assert heard == [0, 1, 2, 3]
    cluster = aws.backend().clusters[NEW]
    assert cluster.engine_version == "15.4"
    assert cluster.vpc_security_group_ids == ["sg-12345678"]
    assert cluster.db_subnet_group_name == "default"
    [asked] = aws.asked("restore_db_cluster_from_snapshot")
    assert asked["db_cluster_parameter_group_name"] == f"{CLUSTER}-parameters"
    [instance] = cluster.members
    assert instance.db_instance_class == "db.r6g.2xlarge"
    assert instance.status == "available"


def test_a_time_becomes_a_cluster_like_its_source_with_an_instance(
    aws: Aws, aurora: Deployment, hour_ago: datetime
) -> None:
    restored = restore_to_time(aurora.rds, CLUSTER, NEW, hour_ago, LIKE_SOURCE)
    said = f"{hour_ago:%Y-%m-%dT%H:%M:%SZ}"
    assert restored.restored_from == f"{CLUSTER}@{said}"
    [asked] = aws.asked("restore_db_cluster_to_point_in_time")
    assert asked["restore_to_time"] == hour_ago.replace(microsecond=0, tzinfo=None) or asked[
        "restore_to_time"
    ] == hour_ago.replace(microsecond=0)
    assert asked["db_cluster_parameter_group_name"] == f"{CLUSTER}-parameters"
    cluster = aws.backend().clusters[NEW]
    assert cluster.vpc_security_group_ids == ["sg-12345678"]
    assert [each.db_instance_class for each in cluster.members] == ["db.r6g.2xlarge"]


def test_the_newest_restorable_time_needs_no_time(aws: Aws, aurora: Deployment) -> None:
    restored = restore_to_time(aurora.rds, CLUSTER, NEW, None, LIKE_SOURCE)
    assert restored.restored_from == f"{CLUSTER}@latest"
    [asked] = aws.asked("restore_db_cluster_to_point_in_time")
    assert asked["use_latest_restorable_time"] is True
    assert "restore_to_time" not in asked


@pytest.mark.parametrize("offset", [timedelta(days=-8), timedelta(hours=1)])
def test_a_time_outside_the_window_is_refused_before_the_call(
    aws: Aws, aurora: Deployment, hour_ago: datetime, offset: timedelta
) -> None:
    with pytest.raises(OutsideWindow, match="only from"):
        restore_to_time(aurora.rds, CLUSTER, NEW, hour_ago + offset * 2, LIKE_SOURCE)
    assert aws.changes == []


def test_what_is_given_goes_first(aws: Aws, aurora: Deployment, snapshot: Snapshot) -> None:
    given = Placement(
        instance_class="db.r6g.large",
        security_groups=["sg-1", "sg-2"],
        cluster_parameter_group="another",
        kms_key="alias/another",
    )
    restore_snapshot(aurora.rds, snapshot, NEW, given)
    cluster = aws.backend().clusters[NEW]
    assert cluster.vpc_security_group_ids == ["sg-1", "sg-2"]
    assert cluster.kms_key_id == "alias/another"
    assert cluster.members[0].db_instance_class == "db.r6g.large"
    [asked] = aws.asked("restore_db_cluster_from_snapshot")
    assert asked["db_cluster_parameter_group_name"] == "another"


def test_names_that_something_else_has_are_refused_before_the_call(
    aws: Aws, aurora: Deployment, snapshot: Snapshot, hour_ago: datetime
) -> None:
    aws.client().create_db_instance(
        DBInstanceIdentifier=f"{NEW}-instance",
        DBClusterIdentifier=CLUSTER,
        DBInstanceClass="db.r6g.large",
        Engine="aurora-postgresql",
    )
    aws.changes.clear()
    for taken in (CLUSTER, NEW):
        with pytest.raises(NameTaken, match="--as"):
            restore_snapshot(aurora.rds, snapshot, taken, LIKE_SOURCE)
        with pytest.raises(NameTaken, match="--as"):
            restore_to_time(aurora.rds, CLUSTER, taken, hour_ago, LIKE_SOURCE)
    for invalid in ("-x", "x--y", "1x", "x" * 64, "x-", "ex ample"):
        with pytest.raises(InvalidName):
            restore_snapshot(aurora.rds, snapshot, invalid, LIKE_SOURCE)
    assert aws.changes == []


def test_a_restore_that_was_killed_at_any_point_goes_on(
    aws: Aws, aurora: Deployment, snapshot: Snapshot, hour_ago: datetime
) -> None:
    class Killed(BaseException):
        pass

    def kill_at(step: int) -> None:
        def progress(done: int, total: int, unit: str) -> None:  # noqa: ARG001
            if done == step:
                raise Killed

        with pytest.raises(Killed):
            restore_to_time(aurora.rds, CLUSTER, NEW, hour_ago, LIKE_SOURCE, progress)

    for step in (0, 1, 2, 3):
        kill_at(step)
    restored = restore_to_time(aurora.rds, CLUSTER, NEW, hour_ago, LIKE_SOURCE)
    assert restored.instance in aws.backend().databases
    assert [name for name, _ in aws.changes] == [RESTORES[1], "create_db_instance"]
    with pytest.raises(NameTaken):  # another restore does not take it up
        restore_snapshot(aurora.rds, snapshot, NEW, LIKE_SOURCE)


def test_a_repeat_goes_on_after_the_window_has_moved_past_its_time(
    aws: Aws, aurora: Deployment, hour_ago: datetime
) -> None:
    restore_to_time(aurora.rds, CLUSTER, NEW, hour_ago, LIKE_SOURCE)
    aws.backend().clusters[CLUSTER].earliest_restorable_time = datetime.now(UTC)
    assert restore_to_time(aurora.rds, CLUSTER, NEW, hour_ago, LIKE_SOURCE).cluster == NEW


def test_a_cluster_or_an_instance_that_does_not_come_is_an_error(
    aws: Aws, aurora: Deployment, snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    from moto.rds.models import DBCluster, DBInstance

    with pytest.MonkeyPatch.context() as broken:
        broken.setattr(
            DBCluster, "status", property(lambda _: "inaccessible-encryption-credentials")
        )
        with pytest.raises(RestoreFailed, match=f"{NEW} is inaccessible"):
            restore_snapshot(aurora.rds, snapshot, NEW, LIKE_SOURCE)
    assert aws.asked("create_db_instance") == []
    incompatible = property(lambda _: "incompatible-network", lambda _, __: None)
    monkeypatch.setattr(DBInstance, "status", incompatible, raising=False)
    with pytest.raises(RestoreFailed, match=f"{NEW}-instance is incompatible-network"):
        restore_snapshot(aurora.rds, snapshot, NEW, LIKE_SOURCE)


def test_the_cluster_and_then_its_instance_are_waited_for(
    aws: Aws, aurora: Deployment, snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    from moto.rds.models import DBCluster, DBInstance

    seen: list[str] = []

    def staged(kind: str, *said: str) -> property:
        looks = iter(said)

        def status(_: object) -> str:
            now = next(looks, "available")
            seen.append(f"{kind} {now}, {len(aws.asked('create_db_instance'))} asked for")
            return now

        return property(status, lambda _, __: None)

    monkeypatch.setattr(DBCluster, "status", staged("cluster", *["creating"] * 5))
    monkeypatch.setattr(DBInstance, "status", staged("instance", *["creating"] * 5), raising=False)
    restore_snapshot(aurora.rds, snapshot, NEW, Placement("db.r6g.large"))
    assert "cluster creating, 1 asked for" not in seen
    assert seen.index("cluster available, 0 asked for") < seen.index(
        "instance creating, 1 asked for"
    )
    assert seen.count("instance creating, 1 asked for") > 1
    assert "instance available, 1 asked for" in seen


def test_a_snapshot_that_is_not_available_is_not_restored(
    aws: Aws, aurora: Deployment, snapshot: Snapshot
) -> None:
    with pytest.raises(RestoreFailed, match="creating"):
        restore_snapshot(aurora.rds, replace(snapshot, status="creating"), NEW, LIKE_SOURCE)
    assert aws.changes == []


def test_a_copy_is_restored_in_its_region_where_told_how(
    aws: Aws, aurora: Deployment, snapshot: Snapshot
) -> None:
    assert aurora.copies is not None
    copied = making.copy(snapshot, aurora.copies, kms_key=aurora.copy_key, quota=100)
    with pytest.raises(UnknownCluster, match="--subnet-group"):
        restore_snapshot(aurora.copies, copied, NEW, LIKE_SOURCE)
    assert aws.asked(RESTORES[0]) == []
    told = Placement("db.r6g.large", "default", ["sg-9"])
    restored = restore_snapshot(aurora.copies, copied, NEW, told)
    assert f".{ELSEWHERE}." in restored.endpoint
    assert NEW not in aws.backend(HOME).clusters
    assert aws.backend(ELSEWHERE).clusters[NEW].kms_key_id == aws.copy_key


def test_a_cluster_without_instances_needs_to_be_told_the_class(
    aws: Aws, aurora: Deployment, snapshot: Snapshot
) -> None:
    for instance in (READER, WRITER):
        aws.backend().databases.pop(instance)
    with pytest.raises(UnknownCluster, match="--instance-class"):
        restore_snapshot(aurora.rds, snapshot, NEW, LIKE_SOURCE)
    restore_snapshot(aurora.rds, snapshot, NEW, Placement("db.r6g.large"))


def test_what_aws_refuses_is_said_in_its_words(aurora: Deployment) -> None:
    found = [each for each in snapshots.all_of(aurora.rds, CLUSTER) if not each.manual]
    gone = replace(found[0], id="gone", arn=found[0].arn.replace(found[0].id, "gone"))
    with pytest.raises(AuroraUnavailable, match="gone"):
        restore_snapshot(aurora.rds, gone, NEW, LIKE_SOURCE)
