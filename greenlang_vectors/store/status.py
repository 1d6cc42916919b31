"""What each namespace holds, for the table an operator looks at."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg.rows import class_row


@dataclass(frozen=True, slots=True)
class NamespaceStatus:
    """One namespace at a glance.

    Attributes:
        collection: the one that serves, of which embeddings, index and recall are; None before
            the first fill.
        index: kind of its valid ANN indexes, "hnsw" or "ivfflat"; None without one.
        recall_at_10: the newest measurement without a filter; None before the first.
        recall_target: the recall@10 that is promised.
        checks_passed, checks_failed: newest outcome of each check.
    """

    namespace: str
    documents: int
    chunks: int
    collection: str | None
    embeddings: int
    dead_letters: int
    index: str | None
    recall_at_10: float | None
    recall_target: float
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
                serving.name AS collection,
                (SELECT count(*) FROM vector_embeddings e
                 WHERE e.namespace = n.name AND e.embedding_model = serving.embedding_model)
                    AS embeddings,
                (SELECT count(*) FROM dead_letters l
                 WHERE l.namespace = n.name AND l.discarded_at IS NULL) AS dead_letters,
                ann.kind AS index,
                (SELECT q.recall_at_10 FROM search_quality q
                 WHERE q.namespace = n.name AND q.embedding_model = serving.embedding_model
                 ORDER BY q.measured_at DESC LIMIT 1) AS recall_at_10,
                n.recall_target,
                checks.passed AS checks_passed,
                checks.failed AS checks_failed
            FROM namespaces n
            LEFT JOIN embedding_collections serving
                ON serving.namespace = n.name AND serving.serving
            CROSS JOIN LATERAL (
                SELECT count(*) FILTER (WHERE passed) AS passed,
                       count(*) FILTER (WHERE NOT passed) AS failed
                FROM check_results r WHERE r.namespace = n.name
            ) checks
            LEFT JOIN LATERAL (
                SELECT min(am.amname) AS kind
                FROM pg_class parent
                JOIN pg_inherits leaves ON leaves.inhparent = parent.oid
                JOIN pg_class leaf ON leaf.oid = leaves.inhrelid
                JOIN pg_index i ON i.indrelid = leaf.oid AND i.indisvalid
                JOIN pg_class index ON index.oid = i.indexrelid
                JOIN pg_am am ON am.oid = index.relam AND am.amname IN ('hnsw', 'ivfflat')
                WHERE parent.relname = 'vector_embeddings_' || n.name
                  AND pg_get_expr(leaf.relpartbound, leaf.oid)
                      = format('FOR VALUES IN (%L)', serving.embedding_model)
            ) ann ON true
            ORDER BY n.name
            """
        ).fetchall()
