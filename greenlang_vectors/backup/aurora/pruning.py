"""Which of a cluster's snapshots may go, and deleting those.

Only snapshots that this product made are looked at: automated ones end by themselves, and what
people made by hand is theirs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from greenlang_vectors.backup.aurora import snapshots
from greenlang_vectors.backup.aurora.rds import Rds
from greenlang_vectors.backup.aurora.snapshots import AVAILABLE, Snapshot
from greenlang_vectors.backup.retention import Copy, expired


def prunable(
    found: Sequence[Snapshot], keep: Mapping[str, timedelta], now: datetime
) -> list[Snapshot]:
    """The snapshots that may go, oldest first, by the rules of `backup.retention`.

    A snapshot counts as good once it is available: AWS says so only when all of it is stored.
    Beside that, the newest one of each tier whose restore was proven stays as if it were pinned.
    So neither the newest available nor the newest verified snapshot of a tier ever goes.

    Args:
        found: of one cluster in one region.
        keep: how long each tier is kept.
    """
    dated = [
        (each, each.taken_at, each.tier)
        for each in found
        if each.manual and each.taken_at is not None and each.tier is not None
    ]
    by_time = sorted(dated, key=lambda entry: entry[1])
    newest_verified = {tier: each.id for each, _, tier in by_time if each.verified_at}
    copies = [
        Copy(
            id=each.id,
            made_at=taken_at,
            tier=tier,
            good=each.status == AVAILABLE,
            pinned=each.pinned or each.id == newest_verified.get(tier),
        )
        for each, taken_at, tier in dated
    ]
    by_id = {each.id: each for each in found}
    return [by_id[copy.id] for copy in expired(copies, keep, now)]


def prune(
    rds: Rds, cluster: str, keep: Mapping[str, timedelta], now: datetime, *, dry_run: bool
) -> list[Snapshot]:
    """Delete the snapshots of the cluster in this region that may go; return them.

    Each is looked at again right before, so that one pinned meanwhile stays.

    Args:
        dry_run: only say which.

    Raises:
        AuroraUnavailable: AWS cannot be asked; what was deleted by then is deleted.
    """
    gone = prunable(snapshots.all_of(rds, cluster), keep, now)
    if dry_run:
        return gone
    deleted = []
    for each in gone:
        seen = snapshots.find(rds, each.id)
        if seen is not None and not seen.pinned and seen.arn == each.arn:
            snapshots.delete(rds, seen)
            deleted.append(each)
    return deleted
