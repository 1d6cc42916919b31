"""The document_chunks table: the passages of each document, replaced as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from greenlang_vectors.chunking.model import Chunk
from greenlang_vectors.documents.model import JSON
from greenlang_vectors.store import embeddings
from greenlang_vectors.store.bulk import copy_rows
from greenlang_vectors.store.encryption.cipher import Cipher
from greenlang_vectors.store.encryption.columns import ChunkColumns, open_chunk_metadata

_COLUMNS = {
    "namespace": "varchar",
    "document_id": "uuid",
    "chunk_index": "int4",
    "level": "int2",
    "parent_index": "int4",
    "content": "text",
    "content_hash": "varchar",
    "token_count": "int4",
    "start_char": "int4",
    "end_char": "int4",
    "page_start": "int4",
    "page_end": "int4",
    "heading_path": "text[]",
    "metadata": "jsonb",
    "language": "varchar",
}


def replace(
    connection: psycopg.Connection,
    namespace: str,
    document: UUID,
    chunks: Sequence[Chunk],
    *,
    text_hash: str,
    fingerprint: str,
    cache_seconds: int,
    cipher: Cipher | None = None,
) -> bool:
    """Make these the chunks of a document, in one short transaction.

    Embeddings of chunks that stay are kept; the others leave with their chunk, their vectors
    going to the embedding cache, so that a passage that only moved is not embedded again.

    Args:
        text_hash: SHA-256 of the text that was cut.
        fingerprint: how it was cut.
        cache_seconds: how long the vectors of vanished chunks stay in the cache.
        cipher: that of an encrypted namespace; the database refuses clear text there.

    Returns:
        False if the document was replaced or removed while it was being cut: the chunks belong
        to a text that is no longer there, and nothing was changed.
    """
    with connection.transaction():
        current = connection.execute(
            """
            SELECT FROM documents
            WHERE namespace = %s AND id = %s AND text_hash = %s FOR UPDATE
            """,
            [namespace, document, text_hash],
        ).fetchone()
        if current is None:
            return False
        replace_all(
            connection,
            namespace,
            {document: chunks},
            fingerprint=fingerprint,
            cache_seconds=cache_seconds,
            cipher=cipher,
        )
    return True


def replace_all(
    connection: psycopg.Connection,
    namespace: str,
    chunks: Mapping[UUID, Sequence[Chunk]],
    *,
    fingerprint: str,
    cache_seconds: int,
    cipher: Cipher | None = None,
) -> None:
    """Do so for many documents, which the open transaction has locked.

    An embedding whose chunk bears other metadata than before is made anew, out of the cache.

    Args:
        chunks: of each document.
    """
    rows = [
        (document, chunk, chunk.content_hash) for document in chunks for chunk in chunks[document]
    ]
    metadata = _metadata(connection, namespace, list(chunks), cipher)
    kept: dict[UUID, dict[int, str]] = {document: {} for document in chunks}
    for document, chunk, content_hash in rows:
        if chunk.level == 0 and metadata.get((document, chunk.index), {}) == chunk.metadata:
            kept[document][chunk.index] = content_hash
    with connection.transaction():
        embeddings.retire(connection, namespace, kept, cache_seconds=cache_seconds)
        connection.execute(
            "DELETE FROM document_chunks WHERE namespace = %s AND document_id = ANY(%s)",
            [namespace, list(chunks)],
        )
        languages: dict[UUID, str | None] = dict(
            connection.execute(
                "SELECT id, language FROM documents WHERE namespace = %s AND id = ANY(%s)",
                [namespace, list(chunks)],
            ).fetchall()
        )
        copy_rows(
            connection,
            "document_chunks",
            _COLUMNS,
            (
                _row(namespace, document, chunk, content_hash, languages[document], cipher)
                for document, chunk, content_hash in rows
            ),
        )
        connection.execute(
            "UPDATE documents SET chunking_fingerprint = %s WHERE namespace = %s AND id = ANY(%s)",
            [fingerprint, namespace, list(chunks)],
        )


def _metadata(
    connection: psycopg.Connection,
    namespace: str,
    identities: Sequence[UUID],
    cipher: Cipher | None,
) -> dict[tuple[UUID, int], Mapping[str, JSON]]:
    """The metadata of the documents' stored chunks that have any."""
    found = connection.execute(
        """
        SELECT document_id, chunk_index, metadata FROM document_chunks
        WHERE namespace = %s AND document_id = ANY(%s) AND metadata <> '{}'
        """,
        [namespace, identities],
    )
    return {
        (document, index): metadata
        if cipher is None
        else open_chunk_metadata(cipher, document, index, metadata)
        for document, index, metadata in found
    }


def _row(
    namespace: str,
    document: UUID,
    chunk: Chunk,
    content_hash: str,
    language: str | None,
    cipher: Cipher | None,
) -> tuple[Any, ...]:
    columns = ChunkColumns(chunk.content, list(chunk.heading_path), dict(chunk.metadata))
    if cipher is not None:
        columns = columns.sealed(cipher, document, chunk.index)
    return (
        namespace,
        document,
        chunk.index,
        chunk.level,
        chunk.parent_index,
        columns.content,
        content_hash,
        chunk.token_count,
        chunk.start,
        chunk.end,
        chunk.page_start,
        chunk.page_end,
        columns.heading_path,
        Jsonb(columns.metadata),
        language if chunk.level == 0 else None,
    )


def totals(connection: psycopg.Connection, namespace: str) -> tuple[int, int, int]:
    """(chunks, searched chunks, their tokens) of a namespace."""
    row = connection.execute(
        """
        SELECT count(*), count(*) FILTER (WHERE level = 0),
               coalesce(sum(token_count) FILTER (WHERE level = 0), 0)
        FROM document_chunks WHERE namespace = %s
        """,
        [namespace],
    ).fetchone()
    return cast("tuple[int, int, int]", row)


def lengths(connection: psycopg.Connection, namespace: str) -> dict[int, int]:
    """How many searched chunks have so many tokens, shortest first."""
    return dict(
        connection.execute(
            """
            SELECT token_count, count(*) FROM document_chunks
            WHERE namespace = %s AND level = 0 GROUP BY token_count ORDER BY token_count
            """,
            [namespace],
        ).fetchall()
    )
