"""Embeddings that leave for an archive: the rows as they are, and the record of those that left.

A row's digest is SHA-256 over PostgreSQL's own binary form of the whole row (`record_send`), which
a client computes from the values alone. So the server itself tells whether a row still is, bit by
bit, what an archive holds, and deletes it in the same statement.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple, cast
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import class_row, scalar_row

from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.namespaces import partition

_COLUMNS = sql.SQL(
    "id, source_type::text, source_id, chunk_index, content_hash::text, content_preview, "
    "vector_send(embedding), embedding_fingerprint::text, metadata::text, created_at, updated_at"
)
_FIELD = struct.Struct("!Ii")
_UUID, _TEXT, _INT4, _BYTEA, _TIMESTAMPTZ = 2950, 25, 23, 17, 1184
_EPOCH, _MICROSECOND = datetime(2000, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


class StoredRow(NamedTuple):
    """A row of vector_embeddings; namespace and model are its leaf's.

    Attributes:
        embedding: as `vector_send` gives it: dimensions, 0 (2 bytes each), big-endian float32.
        metadata: the text PostgreSQL shows of the jsonb.
    """

    id: UUID
    source_type: str
    source_id: UUID
    chunk_index: int
    content_hash: str
    content_preview: str | None
    embedding: bytes
    embedding_fingerprint: str
    metadata: str
    created_at: datetime
    updated_at: datetime


def digest(row: StoredRow) -> bytes:
    """SHA-256 of the row: what the server computes of `record_send(ROW(…))`, 32 bytes."""
    fields = (
        (_UUID, row.id.bytes),
        (_TEXT, row.source_type.encode()),
        (_UUID, row.source_id.bytes),
        (_INT4, row.chunk_index.to_bytes(4, "big", signed=True)),
        (_TEXT, row.content_hash.encode()),
        (_TEXT, None if row.content_preview is None else row.content_preview.encode()),
        (_BYTEA, row.embedding),
        (_TEXT, row.embedding_fingerprint.encode()),
        (_TEXT, row.metadata.encode()),
        (_TIMESTAMPTZ, _microseconds(row.created_at)),
        (_TIMESTAMPTZ, _microseconds(row.updated_at)),
    )
    packed = [len(fields).to_bytes(4, "big")]
    for oid, value in fields:
        packed.append(_FIELD.pack(oid, -1 if value is None else len(value)))
        packed.append(value or b"")
    return hashlib.sha256(b"".join(packed)).digest()


def _microseconds(moment: datetime) -> bytes:
    return ((moment - _EPOCH) // _MICROSECOND).to_bytes(8, "big", signed=True)


def leaves_of(connection: psycopg.Connection, namespace: str) -> list[Leaf]:
    """The leaves of a namespace, by model."""
    with connection.cursor(row_factory=class_row(Leaf)) as cursor:
        return cursor.execute(
            """
            SELECT namespace, embedding_model AS model, dimensions FROM embedding_collections
            WHERE namespace = %s ORDER BY embedding_model
            """,
            [namespace],
        ).fetchall()


def moment_before(connection: psycopg.Connection, age: timedelta) -> datetime:
    """The moment this long ago, by the server's clock."""
    row = connection.execute("SELECT now() - %s", [age]).fetchone()
    return cast("tuple[datetime]", row)[0]


def count_older(connection: psycopg.Connection, leaf: Leaf, cutoff: datetime) -> int:
    """Rows of the leaf last written before the cutoff."""
    with connection.cursor(row_factory=scalar_row) as cursor:
        cursor.execute(
            """
            SELECT count(*) FROM vector_embeddings
            WHERE namespace = %s AND embedding_model = %s AND updated_at < %s
            """,
            [leaf.namespace, leaf.model, cutoff],
        )
        return cast("int", cursor.fetchone())


def older(
    connection: psycopg.Connection, leaf: Leaf, cutoff: datetime, size: int
) -> Iterator[list[StoredRow]]:
    """The leaf's rows last written before the cutoff, by id, in pages: no snapshot is held."""
    after = UUID(int=0)
    while True:
        with connection.cursor(binary=True) as cursor:
            found = cursor.execute(
                sql.SQL(
                    """
                    SELECT {columns} FROM vector_embeddings
                    WHERE namespace = %s AND embedding_model = %s AND updated_at < %s AND id > %s
                    ORDER BY id LIMIT %s
                    """
                ).format(columns=_COLUMNS),
                [leaf.namespace, leaf.model, cutoff, after, size],
            )
            rows = [StoredRow(*row) for row in found]
        if rows:
            yield rows
        if len(rows) < size:
            return
        after = rows[-1].id


def remove_exactly(
    connection: psycopg.Connection, leaf: Leaf, archive_id: str, rows: Sequence[StoredRow]
) -> int:
    """Delete those of these rows that still are, bit by bit, as given; return how many.

    Each that goes is remembered as archived by the same statement.
    """
    return connection.execute(
        sql.SQL(
            """
            WITH gone AS (
                DELETE FROM vector_embeddings
                USING unnest(%(ids)s::uuid[], %(digests)s::bytea[]) AS given (given_id, digest)
                WHERE namespace = %(namespace)s AND embedding_model = %(model)s AND id = given_id
                  AND sha256(record_send(ROW({columns}))) = digest
                RETURNING id, source_id, chunk_index, content_hash, embedding_fingerprint
            )
            INSERT INTO archived_embeddings (
                id, document_id, chunk_index, content_hash, embedding_fingerprint,
                namespace, embedding_model, archive_id)
            SELECT gone.*, %(namespace)s, %(model)s, %(archive)s FROM gone
            ON CONFLICT (id, namespace, embedding_model) DO UPDATE SET
                content_hash = excluded.content_hash,
                embedding_fingerprint = excluded.embedding_fingerprint,
                archive_id = excluded.archive_id,
                archived_at = now()
            """
        ).format(columns=_COLUMNS),
        {
            "ids": [row.id for row in rows],
            "digests": [digest(row) for row in rows],
            "namespace": leaf.namespace,
            "model": leaf.model,
            "archive": archive_id,
        },
    ).rowcount


def analyze(connection: psycopg.Connection, namespace: str) -> None:
    """Tell the planner what is remembered, before the next stage asks for it."""
    connection.execute(sql.SQL("ANALYZE {}").format(partition("archived_embeddings", namespace)))


def forget_stale(connection: psycopg.Connection, leaf: Leaf, fingerprint: str) -> None:
    """Forget archived rows whose chunk is gone or changed, that were made otherwise than now, or
    that are embedded again."""
    connection.execute(
        """
        DELETE FROM archived_embeddings a
        WHERE namespace = %(namespace)s AND embedding_model = %(model)s AND (
            embedding_fingerprint <> %(fingerprint)s
            OR NOT EXISTS (
                SELECT FROM document_chunks c
                WHERE c.namespace = %(namespace)s AND c.document_id = a.document_id
                  AND c.chunk_index = a.chunk_index AND c.content_hash = a.content_hash
                  AND c.level = 0)
            OR EXISTS (
                SELECT FROM vector_embeddings e
                WHERE e.namespace = %(namespace)s AND e.embedding_model = %(model)s
                  AND e.id = a.id))
        """,
        {"namespace": leaf.namespace, "model": leaf.model, "fingerprint": fingerprint},
    )


Standing = Literal["absent", "present", "gone"]


def standing(
    connection: psycopg.Connection, leaf: Leaf, rows: Sequence[StoredRow]
) -> list[Standing]:
    """How each of these rows stands now; their documents stay locked until the transaction ends.

    Returns:
        "present": the embedding is there, this one or a newer one; "gone": its chunk is not there
        any more, or has changed; "absent": the chunk waits for its embedding.
    """
    # LATERAL … LIMIT: an index probe a row whatever the statistics say. Those of a leaf that was
    # emptied say 0 rows however much returns.
    connection.execute(
        """
        SELECT FROM documents WHERE namespace = %s AND id = ANY(%s) ORDER BY id FOR NO KEY UPDATE
        """,
        [leaf.namespace, list({row.source_id for row in rows})],
    )
    found = connection.execute(
        """
        SELECT CASE WHEN e.id IS NOT NULL THEN 'present'
                    WHEN c.document_id IS NULL THEN 'gone' ELSE 'absent' END
        FROM unnest(%(ids)s::uuid[], %(documents)s::uuid[], %(indexes)s::integer[],
                    %(hashes)s::bpchar[])
            WITH ORDINALITY AS asked (id, document_id, chunk_index, content_hash, place)
        LEFT JOIN LATERAL (
            SELECT document_id FROM document_chunks c
            WHERE c.namespace = %(namespace)s AND c.level = 0
              AND c.document_id = asked.document_id AND c.chunk_index = asked.chunk_index
              AND c.content_hash = asked.content_hash
            LIMIT 1) c ON true
        LEFT JOIN LATERAL (
            SELECT id FROM vector_embeddings e
            WHERE e.namespace = %(namespace)s AND e.embedding_model = %(model)s
              AND e.id = asked.id
            LIMIT 1) e ON true
        ORDER BY asked.place
        """,
        {
            "ids": [row.id for row in rows],
            "documents": [row.source_id for row in rows],
            "indexes": [row.chunk_index for row in rows],
            "hashes": [row.content_hash for row in rows],
            "namespace": leaf.namespace,
            "model": leaf.model,
        },
    )
    return [state for (state,) in found]


def keep_numbers(connection: psycopg.Connection, leaf: Leaf, rows: Sequence[StoredRow]) -> None:
    """Give these rows their metadata digit by digit."""
    connection.execute(
        """
        UPDATE vector_embeddings e SET metadata = given.metadata::jsonb
        FROM unnest(%(ids)s::uuid[], %(metadata)s::text[]) AS given (id, metadata)
        WHERE e.namespace = %(namespace)s AND e.embedding_model = %(model)s AND e.id = given.id
          AND e.metadata::text <> given.metadata
        """,
        {
            "ids": [row.id for row in rows],
            "metadata": [row.metadata for row in rows],
            "namespace": leaf.namespace,
            "model": leaf.model,
        },
    )


def forget(
    connection: psycopg.Connection, leaf: Leaf, archive_id: str, ids: Sequence[UUID]
) -> None:
    """Forget that these rows lie in this archive."""
    connection.execute(
        """
        DELETE FROM archived_embeddings
        WHERE namespace = %s AND embedding_model = %s AND archive_id = %s AND id = ANY(%s)
        """,
        [leaf.namespace, leaf.model, archive_id, list(ids)],
    )


def remembered(connection: psycopg.Connection) -> dict[str, int]:
    """How many rows live in each archive alone."""
    return dict(
        connection.execute(
            "SELECT archive_id, count(*) FROM archived_embeddings GROUP BY archive_id"
        ).fetchall()
    )
