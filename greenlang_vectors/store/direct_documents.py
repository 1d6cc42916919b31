"""Documents that applications may write, as the tables hold them.

Those that an application put have `origin` 'sdk'; those that came from Weaviate, a file of passages
or a topic keep 'weaviate', 'import' or 'kafka' until an application puts them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from greenlang_vectors.documents.model import JSON
from greenlang_vectors.store.encryption.cipher import Cipher
from greenlang_vectors.store.encryption.columns import open_content, open_metadata, open_title

ORIGIN = "sdk"
ORIGINS = [ORIGIN, "weaviate", "import", "kafka"]
"""Of the documents that are the applications' own; the others are a source's."""


@dataclass(frozen=True, slots=True)
class Known:
    """What tells whether a stored document may be replaced and differs.

    Attributes:
        chunking_fingerprint: None where its passages are not stored yet.
    """

    id: UUID
    source_key: str
    origin: str
    file_hash: str
    chunking_fingerprint: str | None


@dataclass(frozen=True, slots=True)
class Stored:
    """One document in clear.

    Attributes:
        texts: its passages, in order.
    """

    id: UUID
    source_key: str
    title: str
    metadata: dict[str, JSON]
    texts: list[str]


def lock(
    connection: psycopg.Connection, namespace: str, identities: Sequence[UUID]
) -> dict[UUID, Known]:
    """Those of the documents that are there, whatever their origin, locked until the end."""
    with connection.cursor(row_factory=class_row(Known)) as cursor:
        rows = cursor.execute(
            """
            SELECT id, source_key, origin, file_hash, chunking_fingerprint FROM documents
            WHERE namespace = %s AND id = ANY(%s) ORDER BY id FOR UPDATE
            """,
            [namespace, list(identities)],
        )
        return {row.id: row for row in rows}


def load(
    connection: psycopg.Connection,
    namespace: str,
    identities: Sequence[UUID],
    cipher: Cipher | None = None,
) -> dict[UUID, Stored]:
    """Those of the documents that are there.

    The passages of one that no application put have metadata of their own: its metadata is what all
    of them share.

    Args:
        cipher: that of an encrypted namespace.

    Raises:
        SealBroken, KeyUnavailable: a sealed text does not open.
    """
    with connection.cursor(row_factory=class_row(Stored)) as cursor:
        rows = cursor.execute(
            """
            SELECT d.id, d.source_key, d.title,
                   CASE WHEN d.origin <> 'sdk' THEN (
                       SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM (
                           SELECT key, value
                           FROM (SELECT metadata, count(*) OVER () AS passages
                                 FROM vector_embeddings e
                                 WHERE e.namespace = d.namespace AND e.source_id = d.id) e,
                                jsonb_each(metadata)
                           GROUP BY key, value, passages HAVING count(*) = passages) shared)
                        ELSE d.metadata END AS metadata,
                   array_agg(c.content ORDER BY c.chunk_index) AS texts
            FROM documents d
            JOIN document_chunks c ON c.namespace = d.namespace AND c.document_id = d.id
            WHERE d.namespace = %s AND d.id = ANY(%s) AND d.origin = ANY(%s)
            GROUP BY d.namespace, d.id
            """,
            [namespace, list(identities), ORIGINS],
        ).fetchall()
    return {row.id: row if cipher is None else _opened(cipher, row) for row in rows}


def identities(connection: psycopg.Connection, namespace: str, source_type: str) -> list[UUID]:
    """All documents of a source type."""
    rows = connection.execute(
        "SELECT id FROM documents WHERE namespace = %s AND source_type = %s AND origin = ANY(%s)",
        [namespace, source_type, ORIGINS],
    )
    return [identity for (identity,) in rows]


def _opened(cipher: Cipher, row: Stored) -> Stored:
    return Stored(
        row.id,
        row.source_key,
        open_title(cipher, row.id, row.title),
        open_metadata(cipher, row.id, row.metadata),
        [open_content(cipher, row.id, index, text) for index, text in enumerate(row.texts)],
    )
