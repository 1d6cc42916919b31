"""Embedding jobs as people see them (PRD 6.2): how far each is, and which ones nobody works at."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal, cast
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from greenlang_vectors.errors import UsageError
from greenlang_vectors.store import locks
from greenlang_vectors.store.embedding_jobs import LOCK, SourceType

Status = Literal["running", "succeeded", "failed", "interrupted", "stuck"]

STUCK: Status = "stuck"
"""A job that says it is running while nobody holds its lock: its process was killed. The next run
of the same work goes on where it stopped, and marks it as interrupted."""

MOST_KEPT = 100_000
"""The most jobs that pruning leaves of a namespace, whatever their age."""

ROWS_AT_ONCE = 10_000
"""Rows deleted in one transaction."""


@dataclass(frozen=True, slots=True)
class Job:
    """One run of embedding work, or one write of an application.

    Attributes:
        collection: whose rows are counted, of all that the work filled; None where none was there.
        source_type: how the work came (`embedding_jobs.SourceType`).
        source: the file, topic or archive that it came from.
        source_count: passages that were to be stored, as far as they were known; such as were
            stored already are none of them.
        processed_count, failed_count: those of them that are stored, and that are dead letters. A
            message or row of which no passage can be made counts as one.
        cache_hits: distinct texts whose vector was in the cache.
        error_message: on one line.
    """

    id: UUID
    namespace: str
    collection: str | None
    source_type: SourceType
    source: str | None
    status: Status
    source_count: int
    processed_count: int
    failed_count: int
    cache_hits: int
    error_message: str | None
    started_at: datetime
    completed_at: datetime | None

    @property
    def seconds(self) -> float | None:
        """How long it took; None of one that has not ended."""
        ended = self.completed_at
        return None if ended is None else (ended - self.started_at).total_seconds()

    @property
    def resume(self) -> str | None:
        """The command that does what is left of it; None where nothing is, or nobody can."""
        form = _RESUME.get(self.source_type)
        if form is None or self.status in {"running", "succeeded"}:
            return None
        if self.source is None and "{source}" in form:  # a replay of dead letters
            return None
        return form.format(
            namespace=self.namespace,
            collection=self.collection,
            source=shlex.quote(self.source or ""),
        )

    def as_json(self) -> dict[str, object]:
        """As commands report it."""
        return {**asdict(self), "resume": self.resume}


_RESUME: Mapping[SourceType, str] = {
    "document": "greenlang-vectors collections fill {collection}",
    "import": "greenlang-vectors import {source} --namespace {namespace}",
    "kafka": "greenlang-vectors consume {namespace} --topic {source}",
    "weaviate": "greenlang-vectors migrate backfill {namespace}",
    "follow": "greenlang-vectors migrate follow {namespace} --once",
    "repair": "greenlang-vectors migrate repair {namespace}",
    "archive": "greenlang-vectors archive restore {source}",
}
"""Of an application's write nothing is stored unless all is: the application repeats it."""


def newest(
    connection: psycopg.Connection,
    among: Collection[str] | None = None,
    status: Status | None = None,
    *,
    after: UUID | None = None,
    most: int,
) -> list[Job]:
    """So many jobs at most, the newest first.

    Args:
        connection: to the writer, whose locks tell which jobs live.
        among: the namespaces to look in; None for all.
        status: those alone that are so.
        after: those alone that began before this one, which is in the namespaces looked in.
    """
    return _read(
        connection,
        {
            "among": None if among is None else list(among),
            "status": status,
            "id": None,
            "after": after,
            "most": most,
        },
    )


def find(
    connection: psycopg.Connection, identity: UUID, among: Collection[str] | None = None
) -> Job | None:
    """One job; None if there is none in these namespaces.

    Args:
        connection, among: as of `newest`.
    """
    asked = {"status": None, "id": identity, "after": None, "most": 1}
    found = _read(connection, {**asked, "among": None if among is None else list(among)})
    return found[0] if found else None


def get(connection: psycopg.Connection, identity: UUID) -> Job:
    """One job.

    Raises:
        UsageError: there is none.
    """
    found = find(connection, identity)
    if found is None:
        raise UsageError(f"There is no job {identity}.", "See `greenlang-vectors jobs list`.")
    return found


def dismiss(connection: psycopg.Connection, identity: UUID) -> Job:
    """Note a stuck job as interrupted, where nobody is to go on with it; return what it is now.

    Raises:
        UsageError: there is none, or it is not stuck; nothing was changed.
    """
    job = get(connection, identity)
    if job.status != STUCK:
        raise UsageError(f"The job {identity} is {job.status}.", "Only a stuck one is dismissed.")
    connection.execute(
        """
        UPDATE embedding_jobs SET status = 'interrupted', completed_at = now()
        WHERE (namespace, id) = (%s, %s) AND status = 'running'
        """,
        [job.namespace, identity],
    )
    return get(connection, identity)


def prune(connection: psycopg.Connection, days: int) -> int:
    """Delete jobs that ended more than so many days ago, or are too many; return how many.

    Those that were killed so long ago and never gone on with are deleted, too; one that lives
    never is. What they stored is counted in `namespaces`, so that counters go on.

    Args:
        connection: in autocommit; a transaction deletes `ROWS_AT_ONCE` at most.
    """
    deleted = 0
    names = [row[0] for row in connection.execute("SELECT name FROM namespaces ORDER BY name")]
    for name in names:
        values = {
            "namespace": name,
            "days": days,
            "kept": MOST_KEPT,
            "most": ROWS_AT_ONCE,
            "lock": locks.named(LOCK, ""),
        }
        while count := cast("tuple[int]", connection.execute(_PRUNE, values).fetchone())[0]:
            deleted += count
    return deleted


def _read(connection: psycopg.Connection, asked: Mapping[str, object]) -> list[Job]:
    """Jobs as they are. One that ended between the looks at its row and at its lock would seem to
    be stuck: rows are written before locks are let go, so a second look at the row tells."""
    while True:
        with connection.cursor(row_factory=class_row(Job)) as cursor:
            found = cursor.execute(_JOBS, {**asked, "lock": locks.named(LOCK, "")}).fetchall()
        stuck = [job.id for job in found if job.status == STUCK]
        if not stuck or connection.execute(
            "SELECT count(*) FROM embedding_jobs WHERE id = ANY(%s) AND status = 'running'", [stuck]
        ).fetchone() == (len(stuck),):
            return found


_JOBS = sql.SQL(
    """
    WITH held (lock) AS MATERIALIZED ({held})
    SELECT * FROM (
        SELECT j.id, j.namespace, c.name AS collection, j.source_type, j.source,
               CASE WHEN j.status = 'running'
                         AND hashtextextended(%(lock)s || j.id::text, 0)
                             NOT IN (SELECT lock FROM held)
                    THEN 'stuck' ELSE j.status END AS status,
               j.source_count, j.processed_count, j.failed_count, j.cache_hits, j.error_message,
               j.started_at, j.completed_at
        FROM embedding_jobs j LEFT JOIN embedding_collections c ON c.id = j.collection_id
    ) jobs
    WHERE (%(among)s::text[] IS NULL OR namespace = ANY(%(among)s))
      AND (%(id)s::uuid IS NULL OR id = %(id)s)
      AND (%(status)s::text IS NULL OR status = %(status)s)
      AND (%(after)s::uuid IS NULL OR (started_at, id) < (
          SELECT started_at, id FROM embedding_jobs
          WHERE id = %(after)s AND (%(among)s::text[] IS NULL OR namespace = ANY(%(among)s))))
    ORDER BY started_at DESC, id DESC LIMIT %(most)s
    """
).format(held=locks.HELD)

_PRUNE = sql.SQL(
    """
    WITH held (lock) AS MATERIALIZED ({held}),
    gone AS (
        DELETE FROM embedding_jobs
        WHERE namespace = %(namespace)s AND id IN (
            SELECT id FROM embedding_jobs
            WHERE namespace = %(namespace)s
              AND (coalesce(completed_at, started_at) < now() - make_interval(days => %(days)s)
                   OR started_at < (
                       SELECT started_at FROM embedding_jobs WHERE namespace = %(namespace)s
                       ORDER BY started_at DESC, id DESC OFFSET %(kept)s - 1 LIMIT 1))
              AND (status <> 'running'
                   OR hashtextextended(%(lock)s || id::text, 0) NOT IN (SELECT lock FROM held))
            LIMIT %(most)s)
        RETURNING processed_count, cache_hits
    ),
    counted AS (
        UPDATE namespaces
        SET pruned_job_chunks = pruned_job_chunks + done.chunks,
            pruned_job_cache_hits = pruned_job_cache_hits + done.hits
        FROM (SELECT sum(processed_count) AS chunks, sum(cache_hits) AS hits FROM gone) done
        WHERE name = %(namespace)s AND done.chunks IS NOT NULL
    )
    SELECT count(*) FROM gone
    """
).format(held=locks.HELD)
