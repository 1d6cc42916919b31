"""Documents with their passages and vectors as they are here, for a Weaviate that follows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, cast
from uuid import UUID

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql

from greenlang_vectors.documents.model import JSON
from greenlang_vectors.store import documents, weaviate_outbox
from greenlang_vectors.store.leaves import Leaf

ORIGIN = "weaviate"
"""Of documents that came from there and that no application has written since."""

_VECTOR_HEADER = 4
"""Bytes before the numbers in what `vector_send` gives."""


@dataclass(frozen=True, slots=True, eq=False)
class StoredPassage:
    """One passage of a document.

    Attributes:
        metadata: as the first leaf has it.
        vectors: by leaf, shape (dimensions,), bit for bit; none where one is not there (archived,
            or not made yet).
    """

    chunk_index: int
    content: str
    content_hash: str
    metadata: dict[str, JSON]
    vectors: tuple[NDArray[np.float32], ...]


@dataclass(frozen=True, slots=True, eq=False)
class StoredDocument:
    """A document that is here."""

    id: UUID
    source_type: str
    source_key: str
    title: str
    origin: str
    passages: list[StoredPassage] = field(default_factory=list)


class KnownObject(NamedTuple):
    """Which object of Weaviate a passage is or was."""

    object_id: UUID
    tenant: str
    chunk_index: int


def sizes(
    connection: psycopg.Connection, namespace: str, documents: Sequence[UUID]
) -> dict[UUID, int]:
    """How many passages each of the documents has; those without are left out."""
    return dict(
        connection.execute(
            """
            SELECT document_id, count(*) FROM document_chunks
            WHERE namespace = %s AND document_id = ANY(%s) AND level = 0 GROUP BY document_id
            """,
            [namespace, list(documents)],
        ).fetchall()
    )


def load(
    connection: psycopg.Connection, leaves: Sequence[Leaf], wanted: Sequence[UUID]
) -> dict[UUID, StoredDocument]:
    """Those of the documents that are there, with their passages in order.

    Args:
        leaves: of one namespace; each holds one vector of a passage.
    """
    names = [f"leaf{place}" for place in range(len(leaves))]
    parameters: dict[str, object] = {
        "namespace": leaves[0].namespace,
        "documents": list(wanted),
        **{name: leaf.model for name, leaf in zip(names, leaves, strict=True)},
    }
    query = sql.SQL(
        """
        SELECT d.id, d.source_type, d.source_key, d.title, d.origin,
               c.chunk_index, c.content, c.content_hash, leaf0.metadata, {vectors}
        FROM documents d
        LEFT JOIN document_chunks c
            ON c.namespace = d.namespace AND c.document_id = d.id AND c.level = 0
        {joins}
        WHERE d.namespace = %(namespace)s AND d.id = ANY(%(documents)s)
        ORDER BY d.id, c.chunk_index
        """
    ).format(
        vectors=sql.SQL(", ").join(
            sql.SQL("vector_send({}.embedding)").format(sql.Identifier(name)) for name in names
        ),
        joins=sql.SQL(" ").join(
            sql.SQL(
                """
                LEFT JOIN LATERAL (
                    SELECT metadata, embedding FROM {leaf}
                    WHERE namespace = %(namespace)s AND embedding_model = {model}
                      AND source_type = d.source_type AND source_id = c.document_id
                      AND chunk_index = c.chunk_index AND content_hash = c.content_hash
                    LIMIT 1) {name} ON true
                """
            ).format(leaf=leaf.table, model=sql.Placeholder(name), name=sql.Identifier(name))
            for name, leaf in zip(names, leaves, strict=True)
        ),
    )
    found: dict[UUID, StoredDocument] = {}
    for identity, kind, key, title, origin, index, *rest in connection.execute(query, parameters):
        document = found.setdefault(identity, StoredDocument(identity, kind, key, title, origin))
        if index is not None:
            content, content_hash, metadata, *vectors = rest
            document.passages.append(
                StoredPassage(index, content, content_hash, metadata or {}, _floats(vectors))
            )
    return found


def known_objects(
    connection: psycopg.Connection, namespace: str, documents: Sequence[UUID]
) -> dict[UUID, list[KnownObject]]:
    """The objects of Weaviate that are or were passages of these documents."""
    found: defaultdict[UUID, list[KnownObject]] = defaultdict(list)
    for document, *known in connection.execute(
        """
        SELECT document_id, object_id, tenant, chunk_index FROM weaviate_objects
        WHERE namespace = %s AND document_id = ANY(%s)
        """,
        [namespace, list(documents)],
    ):
        found[document].append(KnownObject(*known))
    return found


def remember(
    connection: psycopg.Connection,
    namespace: str,
    objects: Sequence[tuple[UUID, str, UUID, int]],
) -> None:
    """Note which objects passages are that were written here first.

    Args:
        objects: (object, tenant, document, chunk index); one that is noted already stays so.
    """
    with connection.cursor() as cursor:
        cursor.executemany(
            """
            INSERT INTO weaviate_objects (namespace, object_id, tenant, document_id, chunk_index)
            VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
            """,
            [(namespace, *each) for each in objects],
        )


def forget(
    connection: psycopg.Connection, namespace: str, tenant: str, objects: Sequence[UUID]
) -> None:
    """Forget which passages objects were that are gone."""
    connection.execute(
        """
        DELETE FROM weaviate_objects
        WHERE namespace = %s AND tenant = %s AND object_id = ANY(%s)
        """,
        [namespace, tenant, list(objects)],
    )


def forget_stale(connection: psycopg.Connection, namespace: str) -> None:
    """Forget which objects passages were whose documents are gone."""
    connection.execute(
        """
        DELETE FROM weaviate_objects o WHERE namespace = %(namespace)s AND NOT EXISTS (
            SELECT FROM documents WHERE namespace = %(namespace)s AND id = o.document_id)
        """,
        {"namespace": namespace},
    )


def count_landed(connection: psycopg.Connection, namespace: str) -> int:
    """How many documents came from Weaviate and were not written since."""
    row = connection.execute(
        "SELECT count(*) FROM documents WHERE namespace = %s AND origin = %s", [namespace, ORIGIN]
    ).fetchone()
    return cast("tuple[int]", row)[0]


def remove_landed(connection: psycopg.Connection, namespace: str, most: int) -> int:
    """Remove so many of them in one transaction, which nothing notes; return how many."""
    with weaviate_outbox.from_weaviate(connection):
        found = [
            identity
            for (identity,) in connection.execute(
                """
                SELECT id FROM documents WHERE namespace = %s AND origin = %s
                ORDER BY id LIMIT %s FOR UPDATE
                """,
                [namespace, ORIGIN, most],
            )
        ]
        connection.execute(
            "DELETE FROM weaviate_objects WHERE namespace = %s AND document_id = ANY(%s)",
            [namespace, found],
        )
        documents.remove_all(connection, namespace, found, cache_seconds=0)
    return len(found)


def _floats(vectors: Sequence[bytes | None]) -> tuple[NDArray[np.float32], ...]:
    if any(vector is None for vector in vectors):
        return ()
    return tuple(
        np.frombuffer(vector, ">f4", offset=_VECTOR_HEADER).astype(np.float32)
        for vector in vectors
        if vector is not None
    )
