"""A failover exercise: a reader takes over, and how long that took (PRD 12.4: 5 minutes)."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta

from greenlang_vectors.backup.aurora import clusters, waiting
from greenlang_vectors.backup.aurora.clusters import Cluster
from greenlang_vectors.backup.aurora.errors import NoReader
from greenlang_vectors.backup.aurora.rds import Rds
from greenlang_vectors.progress import Progress, silent

RTO = timedelta(minutes=5)
LIMIT = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Failover:
    """A failover that has taken place.

    Attributes:
        seconds: from asking for it until AWS names the new writer and calls the cluster available.
    """

    cluster: str
    writer_before: str
    writer: str
    seconds: float

    @property
    def within_rto(self) -> bool:
        """Whether it was as quick as PRD 12.4 asks."""
        return self.seconds <= RTO.total_seconds()


def successor(rds: Rds, cluster: str, to: str | None = None) -> tuple[str, str]:
    """The writer of the cluster, and who would take over from it.

    Args:
        to: the reader that is to; None for the one whose turn it is.

    Raises:
        UnknownCluster: there is none of that name.
        NoReader: nobody can take over, or `to` is no reader of the cluster.
    """
    seen = clusters.get(rds, cluster)
    if seen.writer is None:
        raise NoReader(f"{cluster} has no writer, so none can be replaced.")
    if to is not None and to not in seen.readers:
        raise NoReader(
            f"{to} is no reader of {cluster}.",
            f"Its readers: {', '.join(seen.readers) or 'none'}.",
        )
    for reader in seen.readers if to is None else [to]:
        instance = clusters.find_instance(rds, reader)
        if instance is not None and instance.status == "available":
            return seen.writer, reader
    raise NoReader(
        f"{cluster} has no reader that is available, so a failover would only interrupt it.",
        "Add a reader first: without one Aurora makes a new writer, which takes 10 minutes.",
    )


def fail_over(
    rds: Rds, cluster: str, to: str | None = None, progress: Progress = silent
) -> Failover:
    """Let a reader take over, and wait until it has. Open connections to the writer break.

    Raises:
        UnknownCluster, NoReader: see `successor`; nothing was changed.
        TookTooLong: after half an hour.
    """
    before, target = successor(rds, cluster, to)
    began = time.monotonic()
    rds.call("failover_db_cluster", DBClusterIdentifier=cluster, TargetDBInstanceIdentifier=target)
    progress(0, 1, "writers")

    def has_changed(seen: Cluster) -> bool:
        return seen.writer not in (None, before) and seen.status == "available"

    seen = waiting.until(
        lambda: clusters.get(rds, cluster),
        has_changed,
        what=f"a new writer of {cluster}",
        limit=LIMIT,
        poll_seconds=1.0,
    )
    progress(1, 1, "writers")
    return Failover(cluster, before, str(seen.writer), time.monotonic() - began)
