"""The day's routine: the snapshot that is due, its copy, and what may go.

Nothing is pruned before the day's snapshot and its copy are available: where either fails, all
that was there stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from greenlang_vectors.backup.aurora import clusters, making, names, pruning
from greenlang_vectors.backup.aurora.deployment import Deployment
from greenlang_vectors.backup.aurora.rds import Rds
from greenlang_vectors.backup.aurora.snapshots import Snapshot
from greenlang_vectors.progress import Progress, silent


@dataclass(frozen=True, slots=True)
class Routine:
    """What the routine did.

    Attributes:
        lengthened: whether Aurora was told to keep automated backups for more days.
        pruned: snapshots that went, of both regions.
    """

    snapshot: Snapshot
    copy: Snapshot | None
    lengthened: bool
    pruned: list[Snapshot]


def run(aurora: Deployment, day: date, now: datetime, progress: Progress = silent) -> Routine:
    """Do what is due on this day; a repeat does only what is missing.

    Automated backups that are kept for fewer days than set are kept longer from now on; nothing
    is ever shortened here.

    Args:
        now: the present, for pruning.

    Raises:
        AuroraUnavailable, SnapshotFailed, SnapshotQuotaReached, CannotCopy: see `making`.
    """
    rds, cluster = aurora.rds, aurora.cluster
    seen = clusters.get(rds, cluster)
    lengthened = seen.retention_days < aurora.automated_days and clusters.keep_automated(
        rds, seen, aurora.automated_days
    )
    snapshot = making.create(
        rds, cluster, names.due_tier(day), day, quota=aurora.quota, progress=progress
    )
    copy = None
    regions: list[Rds] = [rds]
    if aurora.copies is not None:
        copy = making.copy(
            snapshot,
            aurora.copies,
            kms_key=aurora.copy_key,
            quota=aurora.quota,
            progress=progress,
        )
        regions.append(aurora.copies)
    pruned = [
        gone
        for region in regions
        for gone in pruning.prune(region, cluster, aurora.keep, now, dry_run=False)
    ]
    return Routine(snapshot, copy, lengthened, pruned)
