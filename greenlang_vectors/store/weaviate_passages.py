"""Which passage an object of Weaviate is here, and which objects a document's passages are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import class_row, scalar_row

from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.namespaces import partition


class Placed(NamedTuple):
    """Where an object's passage stands; attributes as of `search.model.SearchResult`."""

    object_id: UUID
    id: UUID
    document_id: UUID
    chunk_index: int
    source_type: str
    document: str
    title: str
    page: int | None
    heading_path: list[str]


def placed(
    connection: psycopg.Connection,
    first: Leaf,
    leaf: Leaf,
    tenant: str,
    objects: Sequence[UUID],
) -> dict[UUID, Placed]:
    """Where the passages of these objects stand, of those that are here.

    Args:
        first: the leaf of the plan's first vector: a passage that was written here first, and of
            which no object is known, is the object of its id there.
        leaf: where `Placed.id` is of.
    """
    statement = sql.SQL(
        """
        WITH asked AS (
            SELECT unnest(%(objects)s::uuid[]) AS object_id
        ), known AS (
            SELECT a.object_id, o.document_id, o.chunk_index
            FROM asked a JOIN {objects} o
                ON o.namespace = %(namespace)s AND o.tenant = %(tenant)s
                AND o.object_id = a.object_id
        ), placed AS (
            SELECT * FROM known
            UNION ALL
            SELECT a.object_id, f.source_id, f.chunk_index
            FROM asked a JOIN {first} f ON f.id = a.object_id
            WHERE a.object_id NOT IN (SELECT object_id FROM known)
        )
        SELECT p.object_id, e.id, p.document_id, p.chunk_index, e.source_type,
               d.source_key AS document, d.title, c.page_start AS page, c.heading_path
        FROM placed p
        JOIN {documents} d ON d.namespace = %(namespace)s AND d.id = p.document_id
        JOIN {leaf} e ON e.source_id = p.document_id AND e.chunk_index = p.chunk_index
        JOIN {chunks} c ON c.namespace = %(namespace)s AND c.document_id = p.document_id
            AND c.chunk_index = p.chunk_index
        """
    ).format(
        objects=partition("weaviate_objects", first.namespace),
        documents=partition("documents", first.namespace),
        chunks=partition("document_chunks", first.namespace),
        first=first.table,
        leaf=leaf.table,
    )
    with connection.cursor(row_factory=class_row(Placed)) as cursor:
        rows = cursor.execute(
            statement,
            {"namespace": first.namespace, "tenant": tenant, "objects": list(objects)},
        )
        return {row.object_id: row for row in rows}


def objects_of(
    connection: psycopg.Connection, first: Leaf, documents: Sequence[UUID]
) -> list[UUID]:
    """The objects that the passages of these documents are, whatever their tenant.

    Args:
        first: as of `placed`.
    """
    statement = sql.SQL(
        """
        SELECT coalesce(o.object_id, f.id)
        FROM {first} f
        LEFT JOIN {objects} o ON o.namespace = %(namespace)s AND o.document_id = f.source_id
            AND o.chunk_index = f.chunk_index
        WHERE f.source_id = ANY(%(documents)s)
        ORDER BY 1
        """
    ).format(first=first.table, objects=partition("weaviate_objects", first.namespace))
    with connection.cursor(row_factory=scalar_row) as cursor:
        return cursor.execute(
            statement, {"namespace": first.namespace, "documents": list(documents)}
        ).fetchall()
