"""The table weaviate_shadow_reads: what asking both sides the same question showed (PRD 13.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, field
from datetime import UTC, datetime
from typing import Literal, cast

import psycopg
from psycopg.rows import class_row

Side = Literal["weaviate", "pgvector"]

ROWS_AT_ONCE = 10_000
"""Rows deleted in one transaction."""

STATEMENT_SECONDS = 10


@dataclass(frozen=True, slots=True)
class ShadowRead:
    """One question that one side answered the caller, and the other beside it.

    Attributes:
        share: percent of callers whom pgvector answered then.
        by_pgvector: whether it answered this one.
        mode: of the search ("vector", "text" or "hybrid").
        overlap: share of the one's answers that are the other's, too; None where either failed.
        rank_distance: how differently both are ordered (`migration.shadow.rank_distance`).
        weaviate_ms, pgvector_ms: of the search without embedding the question, milliseconds;
            None of a side that failed or was not asked.
        failed: which side did, if one did.
        error: how it did.
    """

    namespace: str
    share: int
    by_pgvector: bool
    mode: str = "vector"
    overlap: float | None = None
    rank_distance: float | None = None
    weaviate_ms: float | None = None
    pgvector_ms: float | None = None
    failed: Side | None = None
    error: str | None = None
    read_at: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class Figures:
    """What the reads of a namespace in some time say together.

    Attributes:
        reads: those in which pgvector was asked.
        failed: those of them in which it failed.
        compared: those that both sides answered.
        by_vector, overlap: how many of those searched by vectors alone, and the sum of their
            overlaps.
        by_words, text_overlap: the same of those that searched by words, alone or fused.
        rank_distance: the mean of theirs; None without any.
        slow: those in which pgvector took longer than asked.
        p50_ms, p99_ms: of pgvector's searches; None without any.
        weaviate_p50_ms, weaviate_p99_ms: of Weaviate's.
        weaviate_failed: those in which Weaviate failed.
    """

    reads: int
    failed: int
    compared: int
    by_vector: int
    overlap: float
    by_words: int
    text_overlap: float
    rank_distance: float | None
    slow: int
    p50_ms: float | None
    p99_ms: float | None
    weaviate_p50_ms: float | None
    weaviate_p99_ms: float | None
    weaviate_failed: int


def write(connection: psycopg.Connection, reads: Sequence[ShadowRead]) -> int:
    """Keep these reads; return how many the database took.

    Those of a namespace that it refuses, because it was dropped meanwhile, keep no others out.

    Args:
        connection: in autocommit, of someone who may write to their namespaces.
    """
    by_namespace: dict[str, list[ShadowRead]] = {}
    for read in reads:
        by_namespace.setdefault(read.namespace, []).append(read)
    return sum(_insert(connection, each) for each in by_namespace.values())


def figures(
    connection: psycopg.Connection, namespace: str, since: datetime, slow_ms: float
) -> Figures:
    """What the reads since a moment say.

    Args:
        slow_ms: a search of pgvector that takes longer is slow.
    """
    with connection.cursor(row_factory=class_row(Figures)) as cursor:
        found = cursor.execute(
            """
            SELECT count(*) FILTER (WHERE pgvector_ms IS NOT NULL OR failed = 'pgvector') AS reads,
                   count(*) FILTER (WHERE failed = 'pgvector') AS failed,
                   count(overlap) AS compared,
                   count(overlap) FILTER (WHERE mode = 'vector') AS by_vector,
                   coalesce(sum(overlap) FILTER (WHERE mode = 'vector'), 0) AS overlap,
                   count(overlap) FILTER (WHERE mode <> 'vector') AS by_words,
                   coalesce(sum(overlap) FILTER (WHERE mode <> 'vector'), 0) AS text_overlap,
                   avg(rank_distance) AS rank_distance,
                   count(*) FILTER (WHERE pgvector_ms > %(slow)s) AS slow,
                   percentile_disc(0.5) WITHIN GROUP (ORDER BY pgvector_ms) AS p50_ms,
                   percentile_disc(0.99) WITHIN GROUP (ORDER BY pgvector_ms) AS p99_ms,
                   percentile_disc(0.5) WITHIN GROUP (ORDER BY weaviate_ms) AS weaviate_p50_ms,
                   percentile_disc(0.99) WITHIN GROUP (ORDER BY weaviate_ms) AS weaviate_p99_ms,
                   count(*) FILTER (WHERE failed = 'weaviate') AS weaviate_failed
            FROM weaviate_shadow_reads
            WHERE namespace = %(namespace)s AND read_at >= %(since)s
            """,
            {"namespace": namespace, "since": since, "slow": slow_ms},
        ).fetchone()
    return cast("Figures", found)


def prune(connection: psycopg.Connection, days: int) -> int:
    """Delete reads of longer than this many days ago; return how many.

    Args:
        connection: in autocommit; a transaction deletes `ROWS_AT_ONCE` at most.
    """
    deleted = 0
    while count := connection.execute(
        """
        DELETE FROM weaviate_shadow_reads WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM weaviate_shadow_reads
            WHERE read_at < now() - make_interval(days => %s) LIMIT %s))
        """,
        [days, ROWS_AT_ONCE],
    ).rowcount:
        deleted += count
    return deleted


def _insert(connection: psycopg.Connection, reads: Sequence[ShadowRead]) -> int:
    """Keep reads of one namespace, all in one transaction; how many the database took."""
    try:
        with connection.transaction(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('statement_timeout', %s, true)", [f"{STATEMENT_SECONDS}s"]
            )
            cursor.executemany(
                """
                INSERT INTO weaviate_shadow_reads
                    (namespace, share, by_pgvector, mode, overlap, rank_distance, weaviate_ms,
                     pgvector_ms, failed, error, read_at)
                VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
                """,
                [astuple(read) for read in reads],
            )
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.IntegrityError):
        return 0
    return len(reads)
