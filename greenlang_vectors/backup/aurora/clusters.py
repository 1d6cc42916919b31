"""Clusters and their instances as AWS has them, and how far back Aurora can go by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from greenlang_vectors.backup.aurora.errors import (
    AuroraUnavailable,
    OutsideWindow,
    UnknownCluster,
)
from greenlang_vectors.backup.aurora.rds import Rds, in_utc

ENGINE = "aurora-postgresql"
SHORTEST_RETENTION, LONGEST_RETENTION = 1, 35
"""Days that Aurora keeps automated backups (BackupRetentionPeriod of ModifyDBCluster)."""

NOT_FOUND = {"DBClusterNotFoundFault", "DBInstanceNotFound"}


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster.

    Attributes:
        earliest, latest: the times between which it can be restored to any second.
        retention_days: how long Aurora keeps its automated backups.
        writer: the instance that takes writes; None while there is none.
        readers: the others, in the order they would take over.
        record: all that AWS says of it.
    """

    id: str
    status: str
    endpoint: str
    port: int
    earliest: datetime | None
    latest: datetime | None
    retention_days: int
    writer: str | None
    readers: list[str]
    tags: Mapping[str, str]
    record: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance of a cluster."""

    id: str
    cluster: str | None
    status: str
    record: Mapping[str, Any] = field(repr=False)

    @property
    def instance_class(self) -> str:
        """Such as db.r6g.2xlarge, or db.serverless."""
        return str(self.record["DBInstanceClass"])

    @property
    def parameter_group(self) -> str | None:
        """Its own parameter group."""
        groups = self.record.get("DBParameterGroups") or []
        return groups[0]["DBParameterGroupName"] if groups else None


def get(rds: Rds, cluster: str) -> Cluster:
    """The cluster.

    Raises:
        UnknownCluster: there is none of that name in the region.
    """
    found = find(rds, cluster)
    if found is None:
        raise UnknownCluster(
            f"There is no cluster {cluster!r} in {rds.region}.",
            "Set GREENLANG_AURORA_CLUSTER and GREENLANG_AURORA_REGION.",
        )
    return found


def find(rds: Rds, cluster: str) -> Cluster | None:
    """The cluster; None if there is none of that name in the region."""
    try:
        [record] = rds.call("describe_db_clusters", DBClusterIdentifier=cluster)["DBClusters"]
    except AuroraUnavailable as error:
        if error.code in NOT_FOUND:
            return None
        raise
    members = sorted(record.get("DBClusterMembers") or [], key=lambda m: m.get("PromotionTier", 1))
    writers = [m["DBInstanceIdentifier"] for m in members if m["IsClusterWriter"]]
    return Cluster(
        id=record["DBClusterIdentifier"],
        status=record["Status"],
        endpoint=record.get("Endpoint", ""),
        port=int(record.get("Port", 5432)),
        earliest=in_utc(record.get("EarliestRestorableTime")),
        latest=in_utc(record.get("LatestRestorableTime")),
        retention_days=int(record.get("BackupRetentionPeriod", 0)),
        writer=writers[0] if writers else None,
        readers=[m["DBInstanceIdentifier"] for m in members if not m["IsClusterWriter"]],
        tags={tag["Key"]: tag["Value"] for tag in record.get("TagList") or []},
        record=record,
    )


def find_instance(rds: Rds, instance: str) -> Instance | None:
    """The instance; None if there is none of that name in the region."""
    asked = {"DBInstanceIdentifier": instance}
    try:
        [record] = rds.call("describe_db_instances", **asked)["DBInstances"]
    except AuroraUnavailable as error:
        if error.code in NOT_FOUND:
            return None
        raise
    return Instance(
        record["DBInstanceIdentifier"],
        record.get("DBClusterIdentifier"),
        record["DBInstanceStatus"],
        record,
    )


def within_window(cluster: Cluster, moment: datetime) -> None:
    """Whether the cluster can be restored to this time (PRD 12.3.1).

    Raises:
        OutsideWindow: it cannot.
    """
    earliest, latest = cluster.earliest, cluster.latest
    if earliest is None or latest is None or not earliest <= moment <= latest:
        raise OutsideWindow(
            f"{cluster.id} cannot be restored to {moment.isoformat()}, only from"
            f" {earliest and earliest.isoformat()} to {latest and latest.isoformat()}.",
            "The newest restorable time is up to 5 minutes old; for an older one, restore a"
            " snapshot.",
        )


def keep_automated(rds: Rds, cluster: Cluster, days: int, *, shorten: bool = False) -> bool:
    """See that Aurora keeps automated backups for so many days (PRD 12.1: 35); True if changed.

    Args:
        shorten: whether fewer days than now are wanted, which deletes what is older.

    Raises:
        OutsideWindow: Aurora cannot, or backups would be deleted without being asked to.
    """
    if not SHORTEST_RETENTION <= days <= LONGEST_RETENTION:
        raise OutsideWindow(
            f"Aurora keeps automated backups for {SHORTEST_RETENTION} to {LONGEST_RETENTION} days,"
            f" not {days}.",
            "Manual snapshots are kept for as long as you like.",
        )
    if days < cluster.retention_days and not shorten:
        raise OutsideWindow(
            f"{cluster.id} keeps automated backups for {cluster.retention_days} days; {days} would"
            " delete the oldest.",
            "Say so with --shorten.",
        )
    if days == cluster.retention_days:
        return False
    rds.call(
        "modify_db_cluster",
        DBClusterIdentifier=cluster.id,
        BackupRetentionPeriod=days,
        ApplyImmediately=True,
    )
    return True
