"""Work of the pipeline: dead letters, jobs that run, and what the embedding cache spares."""

from __future__ import annotations

import psycopg
from prometheus_client.core import Metric

from greenlang_vectors.monitoring.families import counter, gauge

STAGES = ("documents", "chunks", "embeddings")
"""Stages whose dead letters are told even where there are none, so that the first one shows."""

MOST_DEAD_LETTERS = 10_000
"""No more are counted in one namespace: whoever has so many need not know exactly."""


def metrics(connection: psycopg.Connection) -> list[Metric]:
    """Dead letters by stage, and the jobs of each namespace."""
    letters = connection.execute(
        _DEAD_LETTERS, {"stages": list(STAGES), "most": MOST_DEAD_LETTERS}
    ).fetchall()
    jobs = connection.execute(_JOBS).fetchall()
    cache = connection.execute(_CACHE).fetchall()
    return [
        gauge(
            "pgvector_dead_letters",
            "Items that failed at a stage and wait for a person.",
            ("namespace", "stage"),
            letters,
        ),
        gauge(
            "pgvector_jobs_running",
            "Embedding jobs that run, or were killed and not begun anew.",
            ("namespace",),
            (row[:2] for row in jobs),
        ),
        gauge(
            "pgvector_jobs_worked_through",
            "Chunks that these jobs have worked through.",
            ("namespace",),
            ((row[0], row[2]) for row in jobs),
        ),
        counter(
            "pgvector_embedding_cache_hits",
            "Texts of embedding jobs that the cache held.",
            ("namespace",),
            ((row[0], row[3]) for row in jobs),
        ),
        counter(
            "pgvector_embedding_job_chunks",
            "Chunks that embedding jobs stored.",
            ("namespace",),
            ((row[0], row[4]) for row in jobs),
        ),
        gauge(
            "pgvector_embedding_cache_entries",
            "Embeddings in the database's cache, as PostgreSQL's statistics know it.",
            (),
            cache,
        ),
    ]


_DEAD_LETTERS = """
    SELECT namespace, stage, sum(failed)
    FROM (SELECT n.name, wanted.stage, 0
          FROM namespaces n CROSS JOIN unnest(%(stages)s::text[]) AS wanted (stage)
          UNION ALL
          SELECT n.name, found.stage, 1
          FROM namespaces n CROSS JOIN LATERAL (
              SELECT d.stage FROM dead_letters d
              WHERE d.namespace = n.name AND d.discarded_at IS NULL LIMIT %(most)s
          ) found) AS all_of (namespace, stage, failed)
    GROUP BY namespace, stage
"""

_JOBS = """
    SELECT n.name, count(*) FILTER (WHERE j.status = 'running'),
           coalesce(sum(j.processed_count + j.failed_count)
                    FILTER (WHERE j.status = 'running'), 0),
           n.pruned_job_cache_hits + coalesce(sum(j.cache_hits), 0),
           n.pruned_job_chunks + coalesce(sum(j.processed_count), 0)
    FROM namespaces n LEFT JOIN embedding_jobs j ON j.namespace = n.name
    GROUP BY n.name
"""

_CACHE = """
    SELECT greatest(reltuples, pg_stat_get_live_tuples(oid), 0)
    FROM pg_class WHERE oid = 'embedding_cache'::regclass
"""
