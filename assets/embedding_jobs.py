"""Embedding jobs in the UI: a namespace's newest, and those of all that nobody works at."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from assets.metadata import Metadata, records_table
from assets.stage import explained
from greenlang_vectors.store import jobs
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.jobs import STUCK, Job

SHOWN = 20

COLUMNS = [
    *("started", "collection", "from", "status", "passages", "stored", "failed", "seconds"),
    *("what happened", "what goes on with it", "id"),
]


def jobs_metadata(database: Database, namespace: str) -> Metadata:
    """The newest jobs of a namespace, in whatever way their work came."""
    with database.connection() as connection:
        return {"jobs": _table(jobs.newest(connection, [namespace], most=SHOWN))}


@dg.asset_check(
    asset="embeddings",
    description="No job was killed and left: of no namespace, and in whatever way its work came."
    " Judged in each namespace's run, of all.",
)
def no_job_is_stuck(
    context: dg.AssetCheckExecutionContext, database: dg.ResourceParam[Database]
) -> dg.AssetCheckResult:
    """Look for jobs that say they are running while nobody holds their lock."""
    with explained(context), database.connection() as connection:
        stuck = jobs.newest(connection, status=STUCK, most=SHOWN)
    commands = dict.fromkeys(job.resume for job in stuck if job.resume)
    return dg.AssetCheckResult(
        passed=not stuck,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"Killed and left: {len(stuck)}. What goes on: {'; '.join(commands)}."
        if stuck
        else "Every job has ended, or is worked at.",
        metadata={"stuck": len(stuck), "jobs": _table(stuck)},
    )


def _table(found: Sequence[Job]) -> dg.MetadataValue[Any]:
    return records_table(
        COLUMNS,
        [
            [
                f"{job.started_at:%Y-%m-%d %H:%M} UTC",
                job.collection or job.namespace,
                " ".join(filter(None, [job.source_type, job.source])),
                job.status,
                *(job.source_count, job.processed_count, job.failed_count),
                "" if job.seconds is None else f"{job.seconds:.1f}",
                job.error_message or "",
                job.resume or "",
                job.id,
            ]
            for job in found
        ],
    )
