"""Snapshots made, and copied to another region, until they are available.

Whatever was begun and then interrupted is found by its name and gone on with, so both may be
repeated; one of ours that failed is made anew.
"""

from __future__ import annotations

from datetime import date, timedelta

from greenlang_vectors.backup.aurora import clusters, names, snapshots, waiting
from greenlang_vectors.backup.aurora.errors import (
    AuroraUnavailable,
    CannotCopy,
    NameTaken,
    SnapshotFailed,
    SnapshotQuotaReached,
)
from greenlang_vectors.backup.aurora.names import Tier
from greenlang_vectors.backup.aurora.rds import Rds
from greenlang_vectors.backup.aurora.snapshots import AVAILABLE, FAILED, Snapshot
from greenlang_vectors.progress import Progress, silent

_UNDER_WAY = {"creating", "copying", "pending"}
_EXISTS = "DBClusterSnapshotAlreadyExistsFault"
_QUOTA = "SnapshotQuotaExceeded"


def create(
    rds: Rds, cluster: str, tier: Tier, day: date, *, quota: int, progress: Progress = silent
) -> Snapshot:
    """The cluster's snapshot of this tier and day, made and available.

    The second call on a day finds the first one's. One of ours that failed is made anew.

    Args:
        quota: how many manual snapshots the account may have in the region.

    Raises:
        UnknownCluster: there is none of that name.
        SnapshotQuotaReached: refused before the call.
        SnapshotFailed: AWS could not finish it.
    """
    clusters.get(rds, cluster)
    name, found = _free_name(rds, cluster, tier, day)
    if found is None:
        _within_quota(rds, quota)
        tags = {
            names.MADE_BY: names.PRODUCT,
            names.CLUSTER: cluster,
            names.TIER: tier,
        }
        _begin(
            rds,
            "create_db_cluster_snapshot",
            DBClusterSnapshotIdentifier=name,
            DBClusterIdentifier=cluster,
            Tags=names.tag_list(tags),
        )
    return _available(rds, name, waiting.SNAPSHOT_LIMIT, progress)


def copy(
    source: Snapshot,
    to: Rds,
    *,
    kms_key: str | None,
    quota: int,
    progress: Progress = silent,
) -> Snapshot:
    """The copy of the snapshot in another region, made and available (PRD 12.2).

    It is asked for in the region it goes to, and keeps the tier and the time of its source.

    Args:
        kms_key: a key of that region; needed for an encrypted snapshot.

    Raises:
        CannotCopy: the source is not available or already there, or the key does not fit.
        SnapshotQuotaReached: refused before the call.
        SnapshotFailed: AWS could not finish it.
    """
    if source.region == to.region:
        raise CannotCopy(
            f"{source.id} is in {to.region} already.",
            "Set GREENLANG_AURORA_DR_REGION to another region.",
        )
    if source.status != AVAILABLE or source.taken_at is None:
        raise CannotCopy(f"{source.id} is {source.status}.", "Wait until it is available.")
    key: dict[str, str] = {}
    if source.encrypted:
        if kms_key is None:
            raise CannotCopy(
                f"{source.id} is encrypted: its copy needs a KMS key of {to.region}.",
                "Set GREENLANG_AURORA_DR_KMS_KEY.",
            )
        key = {"KmsKeyId": names.key_of_region(kms_key, to.region)}
    name = names.copy_name(source.id)
    found = snapshots.find(to, name)
    if found is not None and found.copied_from != source.arn:
        raise NameTaken(
            f"{name} in {to.region} is no copy of {source.arn}.", "Rename or delete it in AWS."
        )
    if found is not None and found.status == FAILED:
        snapshots.delete(to, found)
        found = None
    if found is None:
        _within_quota(to, quota)
        tags = {
            names.MADE_BY: names.PRODUCT,
            names.CLUSTER: source.cluster,
            names.TAKEN_AT: source.taken_at.isoformat(),
            names.COPIED_FROM: source.arn,
        }
        _begin(
            to,
            "copy_db_cluster_snapshot",
            SourceDBClusterSnapshotIdentifier=source.arn,
            SourceRegion=source.region,
            TargetDBClusterSnapshotIdentifier=name,
            Tags=names.tag_list(tags | ({names.TIER: source.tier} if source.tier else {})),
            **key,
        )
    return _available(to, name, waiting.COPY_LIMIT, progress)


def _free_name(rds: Rds, cluster: str, tier: Tier, day: date) -> tuple[str, Snapshot | None]:
    """The name for this snapshot, and the snapshot itself if it is there already."""
    for name in names.candidates(tier, day, cluster):
        found = snapshots.find(rds, name)
        if found is None:
            return name, None
        if (found.cluster, found.tier) == (cluster, tier):
            if found.status != FAILED:
                return name, found
            snapshots.delete(rds, found)
            return name, None
    raise NameTaken(
        f"Snapshots that were not made here have every name for {tier} {day} of {cluster}.",
        "Rename or delete one in AWS.",
    )


def _begin(rds: Rds, operation: str, **arguments: object) -> None:
    try:
        rds.call(operation, **arguments)
    except AuroraUnavailable as error:
        if error.code == _QUOTA:
            raise _quota_reached(rds.region, error.message) from None
        if error.code != _EXISTS:  # somebody has begun the same one meanwhile
            raise


def _within_quota(rds: Rds, quota: int) -> None:
    present = snapshots.manual_in_region(rds)
    if present >= quota:
        raise _quota_reached(rds.region, f"There are {present} manual snapshots of {quota}.")


def _quota_reached(region: str, said: str) -> SnapshotQuotaReached:
    return SnapshotQuotaReached(
        f"No more manual snapshots can be made in {region}: {said}",
        "Prune with `snapshots prune`, or have AWS raise the quota and set"
        " GREENLANG_AURORA_SNAPSHOT_QUOTA.",
    )


def _available(rds: Rds, name: str, limit: timedelta, progress: Progress) -> Snapshot:
    def look() -> Snapshot:
        found = snapshots.find(rds, name)
        if found is None:
            raise SnapshotFailed(f"{name} was deleted in {rds.region} while it was made.")
        progress(found.progress, 100, "%")
        return found

    found = waiting.until(
        look, lambda seen: seen.status not in _UNDER_WAY, what=f"the snapshot {name}", limit=limit
    )
    if found.status != AVAILABLE:
        raise SnapshotFailed(
            f"The snapshot {name} in {rds.region} is {found.status}.",
            "The events of the cluster in AWS say why; the same command makes it anew.",
        )
    return found
