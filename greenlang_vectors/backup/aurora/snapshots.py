"""Cluster snapshots as AWS has them: found, pinned, deleted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from greenlang_vectors.backup.aurora import names
from greenlang_vectors.backup.aurora.errors import AuroraUnavailable, Protected, UnknownSnapshot
from greenlang_vectors.backup.aurora.names import Tier
from greenlang_vectors.backup.aurora.rds import Rds, in_utc

AVAILABLE = "available"
FAILED = "failed"
_NOT_FOUND = "DBClusterSnapshotNotFoundFault"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A cluster snapshot.

    Attributes:
        cluster: the cluster it was taken of, also where that is in another region or gone.
        taken_at: by AWS's clock; for a copy, when its source was taken; None while it begins.
        status: "available" once it can be restored.
        manual: automated ones are Aurora's own, and are never deleted here.
        tier: None for what this product did not make, which it never deletes either.
        verified_at: when a restore of it was proven.
        copied_from: the ARN of the snapshot it is a copy of.
    """

    id: str
    arn: str
    cluster: str
    region: str
    taken_at: datetime | None
    status: str
    progress: int
    manual: bool
    tier: Tier | None
    pinned: bool
    verified_at: str | None
    copied_from: str | None
    encrypted: bool
    engine_version: str


def all_of(rds: Rds, cluster: str) -> list[Snapshot]:
    """Every snapshot of the cluster in this region, the newest first, automated ones too.

    The whole region is listed, because AWS may refuse to list by a cluster that is not there.

    Raises:
        AuroraUnavailable: AWS cannot be asked.
    """
    records = rds.all("describe_db_cluster_snapshots", "DBClusterSnapshots")
    found = [_snapshot(rds, record) for record in records]
    mine = [snapshot for snapshot in found if snapshot.cluster == cluster]
    return sorted(mine, key=lambda s: s.taken_at or datetime.now(UTC), reverse=True)


def find(rds: Rds, name: str) -> Snapshot | None:
    """The snapshot of this name, of whichever cluster; None if there is none."""
    asked = {"DBClusterSnapshotIdentifier": name}
    try:
        records = rds.call("describe_db_cluster_snapshots", **asked)["DBClusterSnapshots"]
    except AuroraUnavailable as error:
        if error.code == _NOT_FOUND:
            return None
        raise
    return next((_snapshot(rds, record) for record in records), None)


def get(rds: Rds, cluster: str, snapshot_id: str) -> Snapshot:
    """The cluster's snapshot of this name.

    Raises:
        UnknownSnapshot: it is not in the region, or of another cluster.
    """
    found = find(rds, snapshot_id)
    if found is None or found.cluster != cluster:
        raise UnknownSnapshot(
            f"{snapshot_id!r} is no snapshot of {cluster} in {rds.region}.",
            "List them with `snapshots list`.",
        )
    return found


def delete(rds: Rds, snapshot: Snapshot) -> None:
    """Delete a snapshot that this product made and nobody pinned; one that is gone is gone.

    Raises:
        Protected: it is automated, or of somebody else, or pinned.
    """
    if not snapshot.manual or snapshot.tier is None or snapshot.pinned:
        raise Protected(
            f"{snapshot.id} is automated, pinned or was not made here, and stays.",
            "What was made by hand is deleted in AWS.",
        )
    try:
        rds.call("delete_db_cluster_snapshot", DBClusterSnapshotIdentifier=snapshot.id)
    except AuroraUnavailable as error:
        if error.code != _NOT_FOUND:
            raise


def pin(rds: Rds, snapshot: Snapshot, *, pinned: bool) -> None:
    """Keep the snapshot whatever its age, or no longer."""
    if pinned:
        tag(rds, snapshot, {names.PINNED: "true"})
    else:
        rds.call("remove_tags_from_resource", ResourceName=snapshot.arn, TagKeys=[names.PINNED])


def tag(rds: Rds, snapshot: Snapshot, tags: dict[str, str]) -> None:
    """Set these tags of the snapshot."""
    rds.call("add_tags_to_resource", ResourceName=snapshot.arn, Tags=names.tag_list(tags))


def manual_in_region(rds: Rds) -> int:
    """How many of the account's manual snapshots are in the region, of whichever cluster."""
    kind = {"SnapshotType": "manual"}
    return sum(1 for _ in rds.all("describe_db_cluster_snapshots", "DBClusterSnapshots", **kind))


def _snapshot(rds: Rds, record: dict[str, Any]) -> Snapshot:
    tags = _tags(record.get("TagList") or [])
    ours = tags.get(names.MADE_BY) == names.PRODUCT
    taken_at = in_utc(record.get("SnapshotCreateTime"))
    if ours and names.TAKEN_AT in tags:
        taken_at = datetime.fromisoformat(tags[names.TAKEN_AT])
    tier = tags.get(names.TIER) if ours else None
    return Snapshot(
        id=record["DBClusterSnapshotIdentifier"],
        arn=record["DBClusterSnapshotArn"],
        cluster=record["DBClusterIdentifier"],
        region=rds.region,
        taken_at=taken_at,
        status=record["Status"],
        progress=int(record.get("PercentProgress") or 0),
        manual=record["SnapshotType"] == "manual",
        tier=next((known for known in names.TIERS if known == tier), None),
        pinned=names.PINNED in tags,
        verified_at=tags.get(names.VERIFIED),
        copied_from=tags.get(names.COPIED_FROM) if ours else None,
        encrypted=bool(record.get("StorageEncrypted")),
        engine_version=record.get("EngineVersion", ""),
    )


def _tags(records: Iterable[dict[str, str]]) -> dict[str, str]:
    return {record["Key"]: record["Value"] for record in records}
