"""Embedding jobs as people see them (PRD 6.2): how far each is, and which ones nobody works at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from greenlang_vectors.errors import UsageError
from greenlang_vectors.store import locks

STUCK = "stuck"
"""A job that says it is running while nobody holds the lock of its collection: it was killed, and
the next run of its namespace goes on where it stopped."""


@dataclass(frozen=True, slots=True)
class Job:
    """One run of embedding work.

    Attributes:
        collection: None where it has been dropped.
        status: running, succeeded, failed, interrupted, or `STUCK`.
        source_count: chunks that had no embedding; processed_count, failed_count: of them so far.
        cache_hits: chunks whose vector was in the cache.
    """

    id: UUID
    namespace: str
    collection: str | None
    source_type: str
    status: str
    source_count: int
    processed_count: int
    failed_count: int
    cache_hits: int
    error_message: str | None
    started_at: datetime
    completed_at: datetime | None


_JOBS = """
    SELECT j.id, j.namespace, c.name AS collection, j.source_type, j.status, j.source_count,
           j.processed_count, j.failed_count, j.cache_hits, j.error_message, j.started_at,
           j.completed_at
    FROM embedding_jobs j LEFT JOIN embedding_collections c ON c.id = j.collection_id
    WHERE (%(namespace)s::text IS NULL OR j.namespace = %(namespace)s)
      AND (%(id)s::uuid IS NULL OR j.id = %(id)s)
      AND (%(status)s::text IS NULL OR j.status = %(status)s)
    ORDER BY j.started_at DESC, j.id LIMIT %(most)s
"""


def newest(
    connection: psycopg.Connection,
    namespace: str | None = None,
    status: str | None = None,
    *,
    most: int,
) -> list[Job]:
    """So many jobs at most, the newest first.

    Args:
        namespace: of this one alone.
        status: those alone that are so; `STUCK` is one.
    """
    stored = "running" if status == STUCK else status
    found = _read(connection, {"namespace": namespace, "status": stored, "id": None, "most": most})
    return [job for job in found if status in {None, job.status}]


def get(connection: psycopg.Connection, identity: UUID) -> Job:
    """One job.

    Raises:
        UsageError: there is none.
    """
    asked = {"namespace": None, "status": None, "id": identity, "most": 1}
    found = _read(connection, asked)
    if not found:
        raise UsageError(f"There is no job {identity}.", "See `greenlang-vectors jobs list`.")
    return found[0]


def _read(connection: psycopg.Connection, asked: Mapping[str, object]) -> Sequence[Job]:
    with connection.cursor(row_factory=class_row(Job)) as cursor:
        found = cursor.execute(_JOBS, asked).fetchall()
    return [_truthful(connection, job) for job in found]


def _truthful(connection: psycopg.Connection, job: Job) -> Job:
    if job.status != "running":
        return job
    worked_at = job.collection is not None and locks.held(connection, "embeddings", job.collection)
    return job if worked_at else replace(job, status=STUCK)
