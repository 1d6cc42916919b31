"""Objects of Weaviate that were carried here, as following it needs them: ids, times, places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

import psycopg
from psycopg.rows import scalar_row

from greenlang_vectors.store.weaviate_documents import ORIGIN


def carried(
    connection: psycopg.Connection, namespace: str, tenant: str, objects: Sequence[UUID]
) -> dict[UUID, int | None]:
    """Those of the objects that are here, with Weaviate's time of the change that is."""
    return dict(
        connection.execute(
            """
            SELECT object_id, updated_ms FROM weaviate_objects
            WHERE namespace = %s AND tenant = %s AND object_id = ANY(%s)
            """,
            [namespace, tenant, list(objects)],
        ).fetchall()
    )


def carried_besides(
    connection: psycopg.Connection,
    namespace: str,
    tenant: str,
    between: tuple[UUID, UUID],
    objects: Sequence[UUID],
    most: int,
) -> list[UUID]:
    """Objects that are here besides these, the first ones by id.

    Args:
        between: behind the first id, up to the second.
    """
    after, last = between
    with connection.cursor(row_factory=scalar_row) as cursor:
        return cursor.execute(
            """
            SELECT object_id FROM weaviate_objects
            WHERE namespace = %s AND tenant = %s AND object_id > %s AND object_id <= %s
              AND object_id <> ALL(%s)
            ORDER BY object_id LIMIT %s
            """,
            [namespace, tenant, after, last, list(objects), most],
        ).fetchall()


def holders(
    connection: psycopg.Connection, namespace: str, places: Sequence[tuple[UUID, int]]
) -> dict[tuple[UUID, int], UUID]:
    """Which object has each of these places (document, chunk index), if one has."""
    rows = connection.execute(
        """
        SELECT document_id, chunk_index, object_id FROM weaviate_objects
        JOIN unnest(%s::uuid[], %s::integer[]) AS asked (document_id, chunk_index)
            USING (document_id, chunk_index)
        WHERE namespace = %s
        """,
        [[document for document, _ in places], [index for _, index in places], namespace],
    )
    return {(document, index): holder for document, index, holder in rows}


def documents_of(
    connection: psycopg.Connection, namespace: str, tenant: str, objects: Sequence[UUID]
) -> list[UUID]:
    """The documents that these objects are passages of."""
    with connection.cursor(row_factory=scalar_row) as cursor:
        return cursor.execute(
            """
            SELECT DISTINCT document_id FROM weaviate_objects
            WHERE namespace = %s AND tenant = %s AND object_id = ANY(%s)
            """,
            [namespace, tenant, list(objects)],
        ).fetchall()


def titles(
    connection: psycopg.Connection, namespace: str, wanted: Sequence[UUID]
) -> dict[UUID, tuple[str, str]]:
    """Key and title of those of the documents that are there."""
    rows = connection.execute(
        "SELECT id, source_key, title FROM documents WHERE namespace = %s AND id = ANY(%s)",
        [namespace, list(wanted)],
    )
    return {identity: (key, title) for identity, key, title in rows}


def retitle(connection: psycopg.Connection, namespace: str, titles: Mapping[UUID, str]) -> None:
    """Give documents that came from Weaviate these titles, within `from_weaviate`."""
    connection.execute(
        """
        UPDATE documents d SET title = given.title, updated_at = now()
        FROM unnest(%(ids)s::uuid[], %(titles)s::text[]) AS given (id, title)
        WHERE d.namespace = %(namespace)s AND d.id = given.id AND d.origin = %(origin)s
          AND d.title <> given.title
        """,
        {
            "namespace": namespace,
            "ids": list(titles),
            "titles": list(titles.values()),
            "origin": ORIGIN,
        },
    )


def tenants(connection: psycopg.Connection, namespace: str) -> list[str]:
    """The tenants that objects are here of."""
    with connection.cursor(row_factory=scalar_row) as cursor:
        return cursor.execute(
            "SELECT DISTINCT tenant FROM weaviate_objects WHERE namespace = %s ORDER BY 1",
            [namespace],
        ).fetchall()
