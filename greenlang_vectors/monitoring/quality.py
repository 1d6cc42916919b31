"""What searches of each namespace find, and when its pipeline last went through."""

from __future__ import annotations

import psycopg
from prometheus_client.core import Metric

from greenlang_vectors.monitoring.families import gauge

NAMESPACE = ("namespace",)


def metrics(connection: psycopg.Connection) -> list[Metric]:
    """Recall of the collection that serves, and the checks; 0 for a time that never was."""
    known = connection.execute(_RECALL).fetchall()
    checks = connection.execute(_CHECKS).fetchall()
    return [
        gauge(
            "pgvector_namespace_created_timestamp_seconds",
            "When the namespace was registered.",
            NAMESPACE,
            (row[:2] for row in known),
        ),
        gauge(
            "pgvector_search_recall_target",
            "The recall@10 that the namespace is promised.",
            NAMESPACE,
            ((row[0], row[2]) for row in known),
        ),
        gauge(
            "pgvector_search_recall",
            "Recall@10 of the collection that serves, as last measured.",
            ("namespace", "model"),
            ((row[0], row[3], row[4]) for row in known),
        ),
        gauge(
            "pgvector_search_recall_measured_timestamp_seconds",
            "When that was measured.",
            NAMESPACE,
            ((row[0], row[5]) for row in known),
        ),
        gauge(
            "pgvector_checks",
            "The newest outcome of each check of the namespace.",
            ("namespace", "outcome"),
            (
                (namespace, outcome, count)
                for namespace, passed, failed, _ in checks
                for outcome, count in (("passed", passed), ("failed", failed))
            ),
        ),
        gauge(
            "pgvector_refreshed_timestamp_seconds",
            "When the namespace's pipeline last came to its checks.",
            NAMESPACE,
            ((namespace, at) for namespace, _, _, at in checks),
        ),
    ]


_RECALL = """
    SELECT n.name, extract(epoch FROM n.created_at), n.recall_target, c.embedding_model,
           newest.recall_at_10, coalesce(extract(epoch FROM newest.measured_at), 0)
    FROM namespaces n
    LEFT JOIN embedding_collections c ON c.namespace = n.name AND c.serving
    LEFT JOIN LATERAL (
        SELECT q.recall_at_10, q.measured_at FROM search_quality q
        WHERE q.namespace = n.name AND q.embedding_model = c.embedding_model
        ORDER BY q.measured_at DESC LIMIT 1
    ) newest ON true
"""

_CHECKS = """
    SELECT n.name, count(*) FILTER (WHERE r.passed), count(*) FILTER (WHERE NOT r.passed),
           coalesce(extract(epoch FROM max(r.checked_at)), 0)
    FROM namespaces n LEFT JOIN check_results r ON r.namespace = n.name
    GROUP BY n.name
"""
