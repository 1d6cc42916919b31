"""A restore drill of a snapshot: restored into a cluster of its own, asked, and removed again.

Only then is a snapshot known to be worth something; it is tagged `greenlang:verified`, and the
newest one with that tag is never pruned.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg

from greenlang_vectors.backup.aurora import clusters, names, snapshots, waiting
from greenlang_vectors.backup.aurora.errors import (
    AuroraUnavailable,
    NameTaken,
    RestoreFailed,
    TookTooLong,
    UnknownSnapshot,
)
from greenlang_vectors.backup.aurora.proof import credentials, prove, restored_database
from greenlang_vectors.backup.aurora.rds import Rds
from greenlang_vectors.backup.aurora.restoring import (
    INSTANCE_SUFFIX,
    Placement,
    Restored,
    restore_snapshot,
)
from greenlang_vectors.backup.aurora.snapshots import AVAILABLE, Snapshot
from greenlang_vectors.backup.manifest import Recall
from greenlang_vectors.errors import GreenLangError, UsageError
from greenlang_vectors.progress import Progress, silent
from greenlang_vectors.settings import Settings

RTO = timedelta(hours=2)
"""PRD 12.4: full cluster loss."""

SCRATCH = "greenlang-drill-"
REMOVAL_LIMIT = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Drill:
    """A drill that ended well.

    Attributes:
        seconds: from asking for the cluster until every collection had answered: the measured
            recovery time.
    """

    snapshot: str
    seconds: float
    collections: Sequence[Recall]

    @property
    def within_rto(self) -> bool:
        """Whether it was as quick as PRD 12.4 asks."""
        return self.seconds <= RTO.total_seconds()


def newest(found: Sequence[Snapshot]) -> Snapshot:
    """The newest snapshot that a drill could prove.

    Args:
        found: the newest first.

    Raises:
        UnknownSnapshot: there is none.
    """
    for each in found:
        if each.manual and each.status == AVAILABLE:
            return each
    raise UnknownSnapshot("There is no snapshot to restore.", "Make one with `snapshots create`.")


def drill(
    rds: Rds,
    snapshot: Snapshot,
    settings: Settings,
    placement: Placement,
    progress: Progress = silent,
) -> Drill:
    """Restore the snapshot into a scratch cluster, prove it, tag it, and remove the cluster.

    The cluster goes whether the proof succeeds or not; one that a killed drill left, or that took
    too long, is taken up by the next drill of the same snapshot.

    Raises:
        RestoreFailed: it could not be restored, or what was restored does not hold; the snapshot
            is not tagged.
        UsageError: see `proof.credentials` and `restoring.restore_snapshot`.
    """
    credentials(settings)
    began = time.monotonic()
    scratch = names.valid(f"{SCRATCH}{snapshot.id.removeprefix(names.PREFIX)}")
    try:
        restored = restore_snapshot(rds, snapshot, scratch, placement, progress)
        proven = _proven(restored, settings)
    except GreenLangError as error:
        if not isinstance(error, TookTooLong | UsageError):
            remove(rds, scratch, snapshot)
        raise
    seconds = time.monotonic() - began
    snapshots.tag(rds, snapshot, {names.VERIFIED: f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"})
    remove(rds, scratch, snapshot)
    return Drill(snapshot.id, seconds, proven)


def _proven(restored: Restored, settings: Settings) -> list[Recall]:
    database = restored_database(settings, restored.endpoint, restored.port)
    try:
        with database.connect() as connection:
            return prove(connection, settings)
    except psycopg.Error as error:
        raise RestoreFailed(
            f"What {restored.restored_from} was restored to cannot be read:"
            f" {' '.join(str(error).split())}"
        ) from error
    finally:
        database.close()


def remove(rds: Rds, scratch: str, snapshot: Snapshot) -> None:
    """Delete the instance and the cluster of a drill, without a final snapshot.

    Raises:
        NameTaken: the cluster is not one that a drill of this snapshot restored.
    """
    found = clusters.find(rds, scratch)
    if found is None:
        return
    begun_by_drill = found.tags.get(names.RESTORED_FROM) == snapshot.arn
    if not found.id.startswith(SCRATCH) or not begun_by_drill:
        raise NameTaken(f"{found.id} is no scratch cluster of a drill, and stays.")
    instance = f"{scratch}{INSTANCE_SUFFIX}"
    _gone(rds, "delete_db_instance", DBInstanceIdentifier=instance)
    waiting.until(
        lambda: clusters.find_instance(rds, instance),
        lambda seen: seen is None,
        what=f"the end of {instance}",
        limit=REMOVAL_LIMIT,
    )
    _gone(rds, "delete_db_cluster", DBClusterIdentifier=scratch, SkipFinalSnapshot=True)


def _gone(rds: Rds, operation: str, **arguments: object) -> None:
    try:
        rds.call(operation, **arguments)
    except AuroraUnavailable as error:
        if error.code not in clusters.NOT_FOUND:
            raise
