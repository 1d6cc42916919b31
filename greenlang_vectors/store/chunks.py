"""The document_chunks table: the passages of each document, replaced as a whole."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast
from uuid import UUID

import psycopg

from greenlang_vectors.chunking.model import Chunk
from greenlang_vectors.store import embeddings

_STAGING = """
    CREATE TEMP TABLE IF NOT EXISTS staged_chunks (
        chunk_index integer, level smallint, parent_index integer, content text,
        content_hash varchar(64), token_count integer, start_char integer, end_char integer,
        page_start integer, page_end integer, heading_path text[]
    )
"""
_TYPES = ["int4", "int2", "int4", "text", "varchar", *["int4"] * 5, "text[]"]


def replace(
    connection: psycopg.Connection,
    namespace: str,
    document: UUID,
    chunks: Iterable[Chunk],
    *,
    text_hash: str,
    fingerprint: str,
    cache_seconds: int,
) -> int | None:
    """Make these the chunks of a document and return how many there are.

    They are staged as they come; the exchange itself is one short transaction. Embeddings of
    chunks that stay are kept; the others leave with their chunk, their vectors going to the
    embedding cache, so that a passage that only moved is not embedded again.

    Args:
        text_hash: SHA-256 of the text that was cut.
        fingerprint: how it was cut.
        cache_seconds: how long the vectors of vanished chunks stay in the cache.

    Returns:
        None if the document was replaced or removed while it was being cut: the chunks belong
        to a text that is no longer there, and nothing was changed.
    """
    kept = _stage(connection, chunks)
    with connection.transaction():
        current = connection.execute(
            """
            SELECT FROM documents
            WHERE namespace = %s AND id = %s AND text_hash = %s FOR UPDATE
            """,
            [namespace, document, text_hash],
        ).fetchone()
        if current is None:
            return None
        embeddings.retire(connection, namespace, document, keep=kept, cache_seconds=cache_seconds)
        connection.execute(
            "DELETE FROM document_chunks WHERE namespace = %s AND document_id = %s",
            [namespace, document],
        )
        inserted = connection.execute(
            """
            INSERT INTO document_chunks (
                namespace, document_id, chunk_index, level, parent_index, content, content_hash,
                token_count, start_char, end_char, page_start, page_end, heading_path)
            SELECT %s, %s, staged_chunks.* FROM staged_chunks
            """,
            [namespace, document],
        )
        connection.execute(
            "UPDATE documents SET chunking_fingerprint = %s WHERE namespace = %s AND id = %s",
            [fingerprint, namespace, document],
        )
    return inserted.rowcount


def _stage(connection: psycopg.Connection, chunks: Iterable[Chunk]) -> dict[int, str]:
    """Fill the staging table; return the content hash of every chunk to be embedded."""
    connection.execute(_STAGING)
    connection.execute("TRUNCATE staged_chunks")
    hashes: dict[int, str] = {}
    copy_in = "COPY staged_chunks FROM STDIN (FORMAT binary)"
    with connection.cursor() as cursor, cursor.copy(copy_in) as copy:
        copy.set_types(_TYPES)
        for chunk in chunks:
            content_hash = chunk.content_hash
            if chunk.level == 0:
                hashes[chunk.index] = content_hash
            copy.write_row(
                (
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
    return hashes


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
