"""How old each namespace's newest export is, and what the newest drill found (PRD 12.1)."""

from __future__ import annotations

import psycopg
from prometheus_client.core import Metric

from greenlang_vectors.monitoring.families import gauge

NAMESPACE = ("namespace",)


def metrics(connection: psycopg.Connection) -> list[Metric]:
    """Of registered namespaces; 0 for a time that never was.

    Snapshots of an Aurora cluster are AWS's to know: the check `recovery_objectives` asks there.
    """
    exports = connection.execute(_EXPORTS).fetchall()
    drills = connection.execute(_DRILLS).fetchall()
    return [
        gauge(
            "pgvector_backup_timestamp_seconds",
            "When the newest export's snapshot was taken.",
            NAMESPACE,
            (row[:2] for row in exports),
        ),
        gauge(
            "pgvector_backup_size_bytes",
            "Size of the newest export, in bytes.",
            NAMESPACE,
            ((row[0], row[2]) for row in exports),
        ),
        gauge(
            "pgvector_backup_duration_seconds",
            "How long the newest export took.",
            NAMESPACE,
            ((row[0], row[3]) for row in exports),
        ),
        gauge(
            "pgvector_drill_timestamp_seconds",
            "When an export was last restored to prove it.",
            NAMESPACE,
            (row[:2] for row in drills),
        ),
        gauge(
            "pgvector_drill_passed",
            "1 where that drill passed, 0 where it failed.",
            NAMESPACE,
            ((row[0], row[2]) for row in drills),
        ),
        gauge(
            "pgvector_drill_restore_seconds",
            "How long that restore took: the measured RTO.",
            NAMESPACE,
            ((row[0], row[3]) for row in drills),
        ),
    ]


_EXPORTS = """
    SELECT DISTINCT ON (n.name) n.name, coalesce(extract(epoch FROM e.made_at), 0),
           e.size_bytes, e.seconds
    FROM namespaces n LEFT JOIN backup_exports e ON e.namespace = n.name
    ORDER BY n.name, e.made_at DESC
"""

_DRILLS = """
    SELECT DISTINCT ON (n.name) n.name, coalesce(extract(epoch FROM d.drilled_at), 0),
           d.passed::integer, d.restore_seconds
    FROM namespaces n LEFT JOIN backup_drills d ON d.namespace = n.name
    ORDER BY n.name, d.drilled_at DESC
"""
