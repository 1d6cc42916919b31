"""What each namespace holds, for the table an operator looks at."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg.rows import class_row


@dataclass(frozen=True, slots=True)
class NamespaceStatus:
    """One namespace at a glance.

    Attributes:
        embeddings: of all models.
        index: the name of the valid HNSW index; None without one.
        recall_at_10: the newest measurement; None before the first.
        checks_passed, checks_failed: newest outcome of each check.
    """

    namespace: str
    documents: int
    chunks: int
    embeddings: int
    dead_letters: int
    index: str | None
    recall_at_10: float | None
    checks_passed: int
    checks_failed: int


def namespace_status(connection: psycopg.Connection) -> list[NamespaceStatus]:
    """The status of every namespace, by name."""
    with connection.cursor(row_factory=class_row(NamespaceStatus)) as cursor:
        return cursor.execute(
            """
            SELECT
                n.name AS namespace,
                (SELECT count(*) FROM documents d WHERE d.namespace = n.name) AS documents,
                (SELECT count(*) FROM document_chunks c WHERE c.namespace = n.name) AS chunks,
                (SELECT count(*) FROM vector_embeddings e WHERE e.namespace = n.name)
                    AS embeddings,
                (SELECT count(*) FROM dead_letters l WHERE l.namespace = n.name) AS dead_letters,
                hnsw.name AS index,
                (SELECT q.recall_at_10 FROM search_quality q WHERE q.namespace = n.name
                 ORDER BY q.measured_at DESC LIMIT 1) AS recall_at_10,
                checks.passed AS checks_passed,
                checks.failed AS checks_failed
            FROM namespaces n
            CROSS JOIN LATERAL (
                SELECT count(*) FILTER (WHERE passed) AS passed,
                       count(*) FILTER (WHERE NOT passed) AS failed
                FROM check_results r WHERE r.namespace = n.name
            ) checks
            LEFT JOIN LATERAL (
                SELECT index.relname AS name
                FROM pg_class parent
                JOIN pg_inherits leaf ON leaf.inhparent = parent.oid
                JOIN pg_index i ON i.indrelid = leaf.inhrelid AND i.indisvalid
                JOIN pg_class index ON index.oid = i.indexrelid
                JOIN pg_am am ON am.oid = index.relam AND am.amname = 'hnsw'
                WHERE parent.relname = 'vector_embeddings_' || n.name
                ORDER BY index.relname LIMIT 1
            ) hnsw ON true
            ORDER BY n.name
            """
        ).fetchall()
