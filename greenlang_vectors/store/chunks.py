"""The document_chunks table: the passages of each document, replaced as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast
from uuid import UUID

import psycopg

from greenlang_vectors.chunking.model import Chunk
from greenlang_vectors.store import embeddings

_COPY = """
    COPY document_chunks (
        namespace, document_id, chunk_index, level, parent_index, content, content_hash,
        token_count, start_char, end_char, page_start, page_end, heading_path)
    FROM STDIN (FORMAT binary)
"""
_TYPES = [
    *["varchar", "uuid", "int4", "int2", "int4", "text", "varchar"],
    *["int4", "int4", "int4", "int4", "int4", "text[]"],
]


def replace(
    connection: psycopg.Connection,
    namespace: str,
    document: UUID,
    chunks: Sequence[Chunk],
    *,
    text_hash: str,
    fingerprint: str,
    cache_seconds: int,
) -> bool:
    """Make these the chunks of a document, in one short transaction.

    Embeddings of chunks that stay are kept; the others leave with their chunk, their vectors
    going to the embedding cache, so that a passage that only moved is not embedded again.

    Args:
        text_hash: SHA-256 of the text that was cut.
        fingerprint: how it was cut.
        cache_seconds: how long the vectors of vanished chunks stay in the cache.

    Returns:
        False if the document was replaced or removed while it was being cut: the chunks belong
        to a text that is no longer there, and nothing was changed.
    """
    hashes = [chunk.content_hash for chunk in chunks]
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
        kept = {
            chunk.index: content_hash
            for chunk, content_hash in zip(chunks, hashes, strict=True)
            if chunk.level == 0
        }
        embeddings.retire(connection, namespace, document, keep=kept, cache_seconds=cache_seconds)
        connection.execute(
            "DELETE FROM document_chunks WHERE namespace = %s AND document_id = %s",
            [namespace, document],
        )
        with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
            copy.set_types(_TYPES)
            for chunk, content_hash in zip(chunks, hashes, strict=True):
                copy.write_row(
                    (
                        namespace,
                        document,
                        chunk.index,
                        chunk.level,
                        chunk.parent_index,
                        chunk.content,
                        content_hash,
                        chunk.token_count,
                        chunk.start,
                        chunk.end,
                        chunk.page_start,
                        chunk.page_end,
                        list(chunk.heading_path),
                    )
                )
        connection.execute(
            "UPDATE documents SET chunking_fingerprint = %s WHERE namespace = %s AND id = %s",
            [fingerprint, namespace, document],
        )
    return True


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
