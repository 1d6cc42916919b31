"""Passages that came from Weaviate, taken away again: what changed hands meanwhile stays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

import psycopg
from psycopg import sql

from greenlang_vectors.store.bulk import id_array
from greenlang_vectors.store.weaviate_outbox import from_weaviate

ORIGIN = "weaviate"
"""`origin` of the documents whose passages came from there."""


def objects(
    connection: psycopg.Connection, namespace: str, gone: Iterable[tuple[UUID, str]]
) -> int:
    """Remove the passages that these objects were, in one transaction; return how many went.

    Documents that an application has written since stay; those without a passage left go.

    Args:
        gone: (object, tenant).
    """
    known = list(gone)
    with from_weaviate(connection):
        places = connection.execute(
            """
            SELECT o.document_id, o.chunk_index FROM weaviate_objects o
            JOIN unnest(%s::uuid[], %s::text[]) AS asked (object_id, tenant)
                USING (object_id, tenant)
            JOIN documents d ON d.namespace = o.namespace AND d.id = o.document_id
            WHERE o.namespace = %s AND d.origin = %s
            ORDER BY 1, 2 FOR UPDATE OF d
            """,
            [
                [identity for identity, _ in known],
                [tenant for _, tenant in known],
                namespace,
                ORIGIN,
            ],
        ).fetchall()
        passages(connection, namespace, places)
    return len(places)


def passages(
    connection: psycopg.Connection,
    namespace: str,
    places: Sequence[tuple[UUID, int]],
    *,
    keep: set[UUID] | None = None,
) -> None:
    """Remove passages from every table, within a transaction, and documents that had no other.

    Args:
        places: (document, chunk index).
        keep: documents that stay, even without a passage.
    """
    if not places:
        return
    values = {
        "namespace": namespace,
        "documents": [document for document, _ in places],
        "indexes": [index for _, index in places],
    }
    for statement in _PASSAGES:
        connection.execute(statement, values)
    empty_documents(connection, namespace, {document for document, _ in places} - (keep or set()))


def empty_documents(connection: psycopg.Connection, namespace: str, documents: set[UUID]) -> None:
    """Remove those of the documents that have no passage, within a transaction."""
    if documents:
        connection.execute(
            """
            DELETE FROM documents d
            WHERE namespace = %(namespace)s AND id = ANY(%(documents)s::uuid[])
              AND origin = %(origin)s
              AND NOT EXISTS (SELECT FROM document_chunks
                              WHERE namespace = %(namespace)s AND document_id = d.id)
            """,
            {"namespace": namespace, "documents": id_array(documents), "origin": ORIGIN},
        )


def sweep(
    connection: psycopg.Connection, namespace: str, documents: Iterable[UUID] | None = None
) -> int:
    """Remove what landed of documents that were deleted here meanwhile; return how many.

    Args:
        documents: of these alone.
    """
    with from_weaviate(connection):
        gone = connection.execute(
            """
            SELECT d.id FROM weaviate_deletions x
            JOIN documents d ON d.namespace = x.namespace AND d.id = x.document_id
            WHERE x.namespace = %(namespace)s AND d.origin = %(origin)s
              AND (%(documents)s::uuid[] IS NULL OR d.id = ANY(%(documents)s))
            ORDER BY d.id FOR UPDATE OF d
            """,
            {
                "namespace": namespace,
                "origin": ORIGIN,
                "documents": None if documents is None else id_array(documents),
            },
        ).fetchall()
        for statement in _DOCUMENTS if gone else ():
            connection.execute(
                statement,
                {"namespace": namespace, "documents": [identity for (identity,) in gone]},
            )
    return len(gone)


_PASSAGES = tuple(
    sql.SQL(
        """
        DELETE FROM {table} t USING unnest(%(documents)s::uuid[], %(indexes)s::integer[])
            AS gone (document, index)
        WHERE t.namespace = %(namespace)s AND t.{document} = gone.document
          AND t.chunk_index = gone.index
        """
    ).format(table=sql.Identifier(table), document=sql.Identifier(document))
    for table, document in (
        ("vector_embeddings", "source_id"),
        ("document_chunks", "document_id"),
        ("weaviate_objects", "document_id"),
    )
)
# Chunks go with their document.
_DOCUMENTS = tuple(
    sql.SQL("DELETE FROM {} WHERE namespace = %(namespace)s AND {} = ANY(%(documents)s)").format(
        sql.Identifier(table), sql.Identifier(document)
    )
    for table, document in (
        ("vector_embeddings", "source_id"),
        ("weaviate_objects", "document_id"),
        ("documents", "id"),
    )
)
