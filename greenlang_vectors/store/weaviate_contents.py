"""What is stored of Weaviate's objects, as a verification compares it.

The server hashes each text itself: a hash that was stored beside it tells nothing of the text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import class_row, scalar_row

from greenlang_vectors.store.embeddings import PREVIEW_CHARACTERS
from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.namespaces import partition

UNMAPPED_ROWS = 2000
"""Rows taken from the server at once while passages that have no object are listed."""


class StoredObject(NamedTuple):
    """The passage that is an object's, as the tables hold it.

    Attributes:
        object_id: 16 bytes.
        document_id: as `weaviate_objects` has it; the document itself may be gone.
        updated_ms: Weaviate's time of the change that was carried over last.
        source_type, source_key, title: of its document; None where that is gone.
        content_hash: SHA-256 of its text, by the server; None where the passage is gone.
        stored_hash: the hash stored beside the text, in hex.
        agreed: whether each embedding has the text's hash and beginning.
        alike: whether all have the same metadata.
        metadata: of the first vector, as JSON text; None where there is no such vector.
        vectors: of each leaf, as `vector_send` gives them; None where there is none.
    """

    object_id: bytes
    document_id: UUID
    chunk_index: int
    updated_ms: int | None
    source_type: str | None
    source_key: str | None
    title: str | None
    content_hash: bytes | None
    stored_hash: str | None
    agreed: bool
    alike: bool
    metadata: str | None
    vectors: tuple[bytes | None, ...]

    @property
    def stands(self) -> bool:
        """Whether anything is left of the passage."""
        return self.content_hash is not None or any(self.vectors)


_VECTORS = StoredObject._fields.index("vectors")


class Unmapped(NamedTuple):
    """A passage of the first leaf that no object is known of; its own id is the object's."""

    id: UUID
    source_key: str


class Contents:
    """The objects of one namespace, in the leaves of its plan's vectors.

    Args:
        leaves: in the order of the plan's vectors.
    """

    def __init__(self, namespace: str, leaves: Sequence[Leaf]) -> None:
        self.namespace = namespace
        self._tables = {
            "objects": partition("weaviate_objects", namespace),
            "documents": partition("documents", namespace),
            "chunks": partition("document_chunks", namespace),
            "first": leaves[0].table,
        }
        self._models = {f"model_{i}": leaf.model for i, leaf in enumerate(leaves)}
        self._page = self._statement(leaves, _PAGE)
        self._chosen = self._statement(leaves, _CHOSEN)

    def page(
        self, connection: psycopg.Connection, tenant: str, after: bytes, last: bytes, size: int
    ) -> list[StoredObject]:
        """The next objects behind `after` up to `last`, by id; fewer than `size` at the end only.

        Those whose passage is gone are among them: see `StoredObject.stands`.
        """
        bounds = {"tenant": tenant, "after": UUID(bytes=after), "last": UUID(bytes=last)}
        return self._read(connection, self._page, {**bounds, "size": size})

    def chosen(
        self, connection: psycopg.Connection, tenant: str, ids: Sequence[UUID]
    ) -> list[StoredObject]:
        """These objects, and passages of these ids that no object is known of, by id."""
        return self._read(connection, self._chosen, {"tenant": tenant, "ids": list(ids)})

    def unmapped(self, connection: psycopg.Connection) -> Iterator[Unmapped]:
        """The passages that no object is known of, in a transaction that lasts as long."""
        statement = sql.SQL(
            """
            SELECT e.id, d.source_key
            FROM {first} e
            JOIN {documents} d ON d.namespace = %(namespace)s AND d.id = e.source_id
            LEFT JOIN {objects} o ON o.namespace = %(namespace)s
                AND o.document_id = e.source_id AND o.chunk_index = e.chunk_index
            WHERE o.object_id IS NULL
            """
        ).format(**self._tables)
        with (
            connection.transaction(),
            connection.cursor("unmapped", row_factory=class_row(Unmapped)) as cursor,
        ):
            cursor.itersize = UNMAPPED_ROWS
            yield from cursor.execute(statement, {"namespace": self.namespace})

    def ids(
        self, connection: psycopg.Connection, passages: Sequence[tuple[UUID, int]]
    ) -> set[UUID]:
        """The objects that these passages are, by document and chunk index."""
        statement = sql.SQL(
            """
            SELECT coalesce(o.object_id, e.id)
            FROM unnest(%(documents)s::uuid[], %(chunks)s::integer[]) AS asked (document, chunk)
            JOIN {documents} d ON d.namespace = %(namespace)s AND d.id = asked.document
            JOIN {first} e ON e.namespace = %(namespace)s AND e.embedding_model = %(model)s
                AND e.source_type = d.source_type AND e.source_id = d.id
                AND e.chunk_index = asked.chunk
            LEFT JOIN {objects} o ON o.namespace = %(namespace)s
                AND o.document_id = asked.document AND o.chunk_index = asked.chunk
            """
        ).format(**self._tables)
        with connection.cursor(row_factory=scalar_row) as cursor:
            return set(
                cursor.execute(
                    statement,
                    {
                        "namespace": self.namespace,
                        "model": self._models["model_0"],
                        "documents": [document for document, _ in passages],
                        "chunks": [chunk for _, chunk in passages],
                    },
                )
            )

    def decided_here(self, connection: psycopg.Connection, documents: Sequence[UUID]) -> set[UUID]:
        """Those of the documents that were deleted here, or written by others than a backfill."""
        with connection.cursor(row_factory=scalar_row) as cursor:
            return set(
                cursor.execute(
                    """
                    SELECT document_id FROM weaviate_deletions
                    WHERE namespace = %(namespace)s AND document_id = ANY(%(documents)s)
                    UNION
                    SELECT id FROM documents
                    WHERE namespace = %(namespace)s AND id = ANY(%(documents)s)
                      AND origin <> 'weaviate'
                    """,
                    {"namespace": self.namespace, "documents": list(documents)},
                )
            )

    def objects_of(self, connection: psycopg.Connection, tenant: str, document: UUID) -> list[UUID]:
        """The objects of a tenant that are passages of a document."""
        with connection.cursor(row_factory=scalar_row) as cursor:
            return cursor.execute(
                """
                SELECT object_id FROM weaviate_objects
                WHERE namespace = %s AND tenant = %s AND document_id = %s ORDER BY chunk_index
                """,
                [self.namespace, tenant, document],
            ).fetchall()

    def tenants(self, connection: psycopg.Connection) -> list[str]:
        """The tenants that objects are known of, sorted."""
        with connection.cursor(row_factory=scalar_row) as cursor:
            return cursor.execute(
                "SELECT DISTINCT tenant FROM weaviate_objects WHERE namespace = %s ORDER BY tenant",
                [self.namespace],
            ).fetchall()

    def _statement(self, leaves: Sequence[Leaf], objects: sql.SQL) -> sql.Composed:
        aliases = [sql.Identifier(f"e{i}") for i in range(len(leaves))]
        return _OBJECTS.format(
            **self._tables,
            chosen=objects.format(**self._tables),
            agreed=sql.SQL(" AND ").join(_AGREED.format(e=alias) for alias in aliases),
            alike=sql.SQL(" AND ").join(_ALIKE.format(e=alias) for alias in aliases),
            vectors=sql.SQL(", ").join(
                sql.SQL("vector_send({}.embedding)").format(alias) for alias in aliases
            ),
            embeddings=sql.SQL(" ").join(
                _EMBEDDING.format(leaf=leaf.table, e=alias, model=sql.Placeholder(f"model_{i}"))
                for i, (leaf, alias) in enumerate(zip(leaves, aliases, strict=True))
            ),
        )

    def _read(
        self, connection: psycopg.Connection, statement: sql.Composed, values: dict[str, object]
    ) -> list[StoredObject]:
        bound = {
            "namespace": self.namespace,
            "preview": PREVIEW_CHARACTERS,
            **self._models,
            **values,
        }
        with connection.cursor(binary=True) as cursor:
            rows = cursor.execute(statement, bound).fetchall()
        return [StoredObject._make((*row[:_VECTORS], row[_VECTORS:])) for row in rows]


_PAGE = sql.SQL(
    """
    SELECT object_id, document_id, chunk_index, updated_ms FROM {objects}
    WHERE namespace = %(namespace)s AND tenant = %(tenant)s
      AND object_id > %(after)s AND object_id <= %(last)s
    ORDER BY object_id LIMIT %(size)s
    """
)
_CHOSEN = sql.SQL(
    """
    SELECT object_id, document_id, chunk_index, updated_ms FROM {objects}
    WHERE namespace = %(namespace)s AND tenant = %(tenant)s AND object_id = ANY(%(ids)s)
    UNION ALL
    SELECT id, source_id, chunk_index, NULL FROM {first} e
    WHERE namespace = %(namespace)s AND embedding_model = %(model_0)s AND id = ANY(%(ids)s)
      AND NOT EXISTS (SELECT FROM {objects} o
                      WHERE o.namespace = %(namespace)s AND o.document_id = e.source_id
                        AND o.chunk_index = e.chunk_index)
    """
)
_OBJECTS = sql.SQL(
    """
    SELECT uuid_send(o.object_id), o.document_id, o.chunk_index, o.updated_ms,
           d.source_type::text, d.source_key, d.title,
           sha256(convert_to(c.content, 'UTF8')), c.content_hash::text,
           {agreed}, {alike}, e0.metadata::text, {vectors}
    FROM ({chosen}) o
    LEFT JOIN {documents} d ON d.namespace = %(namespace)s AND d.id = o.document_id
    LEFT JOIN {chunks} c ON c.namespace = %(namespace)s AND c.document_id = o.document_id
        AND c.chunk_index = o.chunk_index AND c.level = 0
    {embeddings}
    ORDER BY o.object_id
    """
)
_EMBEDDING = sql.SQL(
    """
    LEFT JOIN {leaf} {e} ON {e}.namespace = %(namespace)s AND {e}.embedding_model = {model}
        AND {e}.source_type = d.source_type AND {e}.source_id = o.document_id
        AND {e}.chunk_index = o.chunk_index
    """
)
_AGREED = sql.SQL(
    """
    ({e}.id IS NULL OR ({e}.content_hash IS NOT DISTINCT FROM c.content_hash
        AND {e}.content_preview IS NOT DISTINCT FROM left(c.content, %(preview)s)))
    """
)
_ALIKE = sql.SQL("coalesce({e}.metadata = e0.metadata, true)")
