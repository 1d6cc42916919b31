"""What the stages did and found, kept for `status`: jobs, search quality, check results."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from greenlang_vectors.store.leaves import Leaf


class EmbeddingJob:
    """One run of embedding work (PRD 6.2 embedding_jobs), its counts kept as it goes."""

    def __init__(self, connection: psycopg.Connection, namespace: str, identity: UUID) -> None:
        self._connection = connection
        self._key = (namespace, identity)

    def advance(self, processed: int, failed: int) -> None:
        """Note how many chunks are done and how many failed so far."""
        self._connection.execute(
            """
            UPDATE embedding_jobs SET processed_count = %s, failed_count = %s
            WHERE (namespace, id) = (%s, %s)
            """,
            [processed, failed, *self._key],
        )

    def finish(self, status: str, error: str | None = None) -> None:
        """Close the job."""
        self._connection.execute(
            """
            UPDATE embedding_jobs SET status = %s, error_message = %s, completed_at = now()
            WHERE (namespace, id) = (%s, %s)
            """,
            [status, error, *self._key],
        )


@contextmanager
def embedding_job(
    connection: psycopg.Connection, leaf: Leaf, source_type: str, source_count: int
) -> Iterator[EmbeddingJob]:
    """Open a job for the body and close it with how the body ended.

    The caller holds the namespace's lock: jobs still running then were killed, and are marked so.
    """
    connection.execute(
        """
        UPDATE embedding_jobs SET status = 'interrupted', completed_at = now()
        WHERE namespace = %s AND collection_id = %s AND status = 'running'
        """,
        [leaf.namespace, leaf.collection_id],
    )
    row = connection.execute(
        """
        INSERT INTO embedding_jobs (namespace, collection_id, source_type, source_count)
        VALUES (%s, %s, %s, %s) RETURNING id
        """,
        [leaf.namespace, leaf.collection_id, source_type, source_count],
    ).fetchone()
    job = EmbeddingJob(connection, leaf.namespace, cast("tuple[UUID]", row)[0])
    try:
        yield job
    except Exception as error:
        if not connection.closed:
            job.finish("failed", str(error))
        raise
    job.finish("succeeded")


@dataclass(frozen=True, slots=True)
class SearchQuality:
    """How well and how fast a leaf's index answers.

    Attributes:
        recall_at_10: share of the exact ten nearest that the index finds, averaged over queries.
        latency_p50_ms, latency_p99_ms: of the index searches, in milliseconds.
    """

    embedding_model: str
    ef_search: int
    queries: int
    recall_at_10: float
    latency_p50_ms: float
    latency_p99_ms: float


def save_search_quality(
    connection: psycopg.Connection, namespace: str, quality: SearchQuality
) -> None:
    """Add a measurement to the history."""
    connection.execute(
        """
        INSERT INTO search_quality (namespace, embedding_model, ef_search, queries, recall_at_10,
                                    latency_p50_ms, latency_p99_ms)
        VALUES (%s, %s, %s, %s, %s, %s, %s)
        """,
        [
            namespace,
            quality.embedding_model,
            quality.ef_search,
            quality.queries,
            quality.recall_at_10,
            quality.latency_p50_ms,
            quality.latency_p99_ms,
        ],
    )


def newest_search_quality(connection: psycopg.Connection, leaf: Leaf) -> SearchQuality | None:
    """The last measurement of the leaf that was kept."""
    with connection.cursor(row_factory=class_row(SearchQuality)) as cursor:
        return cursor.execute(
            """
            SELECT embedding_model, ef_search, queries, recall_at_10, latency_p50_ms, latency_p99_ms
            FROM search_quality WHERE namespace = %s AND embedding_model = %s
            ORDER BY measured_at DESC LIMIT 1
            """,
            [leaf.namespace, leaf.model],
        ).fetchone()


def save_check(
    connection: psycopg.Connection,
    namespace: str,
    name: str,
    *,
    passed: bool,
    blocking: bool,
    message: str,
) -> None:
    """Keep the newest outcome of a check."""
    connection.execute(
        """
        INSERT INTO check_results (namespace, name, passed, blocking, message)
        VALUES (%s, %s, %s, %s, %s)
        ON CONFLICT (namespace, name) DO UPDATE SET
            passed = excluded.passed, blocking = excluded.blocking,
            message = excluded.message, checked_at = now()
        """,
        [namespace, name, passed, blocking, message],
    )
