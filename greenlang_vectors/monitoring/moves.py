"""How far each namespace's move from Weaviate is (PRD 13)."""

from __future__ import annotations

import psycopg
from prometheus_client.core import Metric

from greenlang_vectors.monitoring.families import gauge

NAMESPACE = ("namespace",)

MOST = 10_000
"""No more waiting documents or differences are counted in one namespace."""


def metrics(connection: psycopg.Connection) -> list[Metric]:
    """Phase, share of callers, and what waits, of namespaces that move or have moved."""
    moves = connection.execute(_MOVES, {"most": MOST}).fetchall()
    return [
        gauge(
            "weaviate_migration_phase",
            "1 for the phase that the namespace's move is in.",
            ("namespace", "phase"),
            ((row[0], row[1], 1) for row in moves),
        ),
        gauge(
            "weaviate_migration_share_ratio",
            "Share of callers whose searches pgvector answers.",
            NAMESPACE,
            ((row[0], row[2] / 100) for row in moves),
        ),
        gauge(
            "weaviate_migration_waiting_writes",
            "Writes that wait to be carried to Weaviate.",
            NAMESPACE,
            ((row[0], row[3]) for row in moves),
        ),
        gauge(
            "weaviate_migration_open_differences",
            "Differences that the newest comparison found and nobody has mended.",
            NAMESPACE,
            ((row[0], row[4]) for row in moves),
        ),
    ]


_MOVES = """
    SELECT m.namespace, m.phase, m.share,
           (SELECT count(*) FROM (SELECT FROM weaviate_outbox o
                                  WHERE o.namespace = m.namespace LIMIT %(most)s) AS waiting),
           (SELECT count(*) FROM (SELECT FROM weaviate_differences d
                                  WHERE d.namespace = m.namespace LIMIT %(most)s) AS open)
    FROM weaviate_migrations m
"""
