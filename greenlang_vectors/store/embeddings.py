"""Embeddings of chunks: which are missing, which are stored, which leave with their chunk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast
from uuid import UUID

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql
from psycopg.rows import class_row

from greenlang_vectors.documents.model import JSON
from greenlang_vectors.store import archived, writing
from greenlang_vectors.store.encryption.cipher import Cipher
from greenlang_vectors.store.encryption.columns import (
    EmbeddingColumns,
    open_chunk_metadata,
    open_content,
    open_metadata,
)
from greenlang_vectors.store.encryption.errors import SealBroken
from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.writing import EmbeddingRow, WriteReport

PREVIEW_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class PendingChunk:
    """A chunk that has no embedding yet.

    Attributes:
        metadata: kept with its embedding; None leaves what a row already has.
        broken: why the content of an encrypted namespace's chunk does not open; it is empty then.
        token_count: tokens of the content, as they were counted when it was cut.
        own_metadata: the metadata is the chunk's own, not its document's.
    """

    source_type: str
    document_id: UUID
    chunk_index: int
    content: str
    content_hash: str
    metadata: Mapping[str, JSON] | None = None
    broken: SealBroken | None = None
    token_count: int = 0
    own_metadata: bool = False


def plan_work(
    connection: psycopg.Connection,
    leaf: Leaf,
    fingerprint: str,
    only: Sequence[str] | None = None,
) -> int:
    """List the chunks that lack an embedding in a temporary table; return how many they are.

    One whose embedding lies in an archive does not lack it.
    They are ordered by length, so that batches of neighbours need little padding. The list
    lives with the connection; `pending` reads it in pages.

    Args:
        only: of these chunks alone, "DOCUMENT/NUMBER" each.
    """
    archived.forget_stale(connection, leaf, fingerprint)
    connection.execute("DROP TABLE IF EXISTS pg_temp.embedding_work")
    connection.execute(
        """
        CREATE TEMP TABLE embedding_work AS
        SELECT row_number() OVER (ORDER BY token_count DESC, document_id, chunk_index)::integer
                   AS position, document_id, chunk_index
        FROM document_chunks c
        WHERE namespace = %(namespace)s AND level = 0 AND NOT EXISTS (
            SELECT FROM vector_embeddings e
            WHERE e.namespace = %(namespace)s AND e.embedding_model = %(model)s
              AND e.source_id = c.document_id AND e.chunk_index = c.chunk_index
              AND e.content_hash = c.content_hash
              AND e.embedding_fingerprint = %(fingerprint)s)
          AND NOT EXISTS (
            SELECT FROM archived_embeddings a
            WHERE a.namespace = %(namespace)s AND a.embedding_model = %(model)s
              AND a.document_id = c.document_id AND a.chunk_index = c.chunk_index
              AND a.content_hash = c.content_hash)
          AND (%(only)s::text[] IS NULL
               OR c.document_id || '/' || c.chunk_index = ANY(%(only)s))
        """,
        {
            "namespace": leaf.namespace,
            "model": leaf.model,
            "fingerprint": fingerprint,
            "only": None if only is None else list(only),
        },
    )
    connection.execute("CREATE INDEX ON embedding_work (position)")
    row = connection.execute("SELECT count(*) FROM embedding_work").fetchone()
    return 0 if row is None else int(row[0])


def pending(
    connection: psycopg.Connection,
    leaf: Leaf,
    after: int,
    size: int,
    cipher: Cipher | None = None,
) -> list[PendingChunk]:
    """Positions after+1 to after+size of what `plan_work` found, vanished chunks left out.

    Args:
        cipher: that of an encrypted namespace.
    """
    with connection.cursor(row_factory=class_row(PendingChunk)) as cursor:
        chunks = cursor.execute(
            """
            SELECT d.source_type, c.document_id, c.chunk_index, c.content, c.content_hash,
                   c.token_count,
                   CASE d.origin WHEN 'sdk' THEN nullif(d.metadata, '{}')
                       WHEN 'weaviate' THEN (
                           SELECT nullif(e.metadata, '{}') FROM vector_embeddings e
                           WHERE e.namespace = %(namespace)s AND e.source_id = c.document_id
                             AND e.chunk_index = c.chunk_index LIMIT 1)
                       ELSE nullif(c.metadata, '{}') END AS metadata,
                   d.origin NOT IN ('sdk', 'weaviate') AS own_metadata
            FROM embedding_work w
            JOIN document_chunks c ON c.namespace = %(namespace)s
                AND c.document_id = w.document_id AND c.chunk_index = w.chunk_index
            JOIN documents d ON d.namespace = %(namespace)s AND d.id = c.document_id
            WHERE w.position > %(after)s AND w.position <= %(after)s::integer + %(size)s
                AND c.level = 0
            ORDER BY w.position
            """,
            {"namespace": leaf.namespace, "after": after, "size": size},
        ).fetchall()
    return chunks if cipher is None else [_opened(cipher, chunk) for chunk in chunks]


def _opened(cipher: Cipher, chunk: PendingChunk) -> PendingChunk:
    try:
        content = open_content(cipher, chunk.document_id, chunk.chunk_index, chunk.content)
        metadata = (
            open_chunk_metadata(cipher, chunk.document_id, chunk.chunk_index, chunk.metadata or {})
            if chunk.own_metadata
            else open_metadata(cipher, chunk.document_id, chunk.metadata or {})
        )
    except SealBroken as error:
        return replace(chunk, content="", broken=error)
    return replace(chunk, content=content, metadata=metadata or None)


def write(
    connection: psycopg.Connection,
    leaf: Leaf,
    chunks: Sequence[PendingChunk],
    vectors: NDArray[np.float32],
    *,
    fingerprint: str,
    cipher: Cipher | None = None,
) -> WriteReport:
    """Store the vectors of these chunks in one transaction (see `writing.write`).

    One whose chunk has changed or gone meanwhile is left out: an embedding never outlives its
    chunk.

    Args:
        vectors: shape (len(chunks), leaf.dimensions).
        fingerprint: model, weights and settings they were made with.
        cipher: that of an encrypted namespace; the database refuses clear previews there.

    Returns:
        Its failures are by the place in `chunks`.
    """
    with connection.transaction():
        live = _live(connection, leaf.namespace, chunks)
        rows = [
            EmbeddingRow(
                chunk.source_type,
                chunk.document_id,
                chunk.chunk_index,
                chunk.content_hash,
                chunk.content[:PREVIEW_CHARACTERS],
                chunk.metadata,
            )
            for chunk in (chunks[i] for i in live)
        ]
        if cipher is not None:
            rows = _sealed(connection, leaf, cipher, rows)
        report = writing.write(connection, leaf, rows, vectors[live], fingerprint=fingerprint)
    report.failures = {live[place]: error for place, error in report.failures.items()}
    return report


def _sealed(
    connection: psycopg.Connection, leaf: Leaf, cipher: Cipher, rows: Sequence[EmbeddingRow]
) -> list[EmbeddingRow]:
    """The rows as an encrypted namespace stores them.

    Metadata that says what a row's sealed metadata says already is left out: sealed twice it
    would differ, and the row be written again.
    """
    known = _known_metadata(connection, leaf, [row for row in rows if row.metadata])
    sealed = []
    for row in rows:
        place = row.source_id, row.chunk_index
        columns = EmbeddingColumns(row.preview, cast("dict[str, JSON] | None", row.metadata))
        before = EmbeddingColumns(None, known.get(place)).opened(cipher, *place).metadata
        columns = columns.sealed(cipher, *place)
        metadata = None if row.metadata == before else columns.metadata
        sealed.append(row._replace(preview=columns.content_preview, metadata=metadata))
    return sealed


def _known_metadata(
    connection: psycopg.Connection, leaf: Leaf, rows: Sequence[EmbeddingRow]
) -> dict[tuple[UUID, int], dict[str, JSON]]:
    if not rows:
        return {}
    found = connection.execute(
        """
        SELECT source_id, chunk_index, metadata FROM vector_embeddings
        WHERE namespace = %s AND embedding_model = %s AND source_id = ANY(%s)
        """,
        [leaf.namespace, leaf.model, list({row.source_id for row in rows})],
    )
    return {(document, index): metadata for document, index, metadata in found}


def _live(
    connection: psycopg.Connection, namespace: str, chunks: Sequence[PendingChunk]
) -> list[int]:
    """Places of the chunks that are still there as they were; their documents are locked."""
    connection.execute(
        "SELECT FROM documents WHERE namespace = %s AND id = ANY(%s) ORDER BY id FOR SHARE",
        [namespace, list({chunk.document_id for chunk in chunks})],
    )
    places = connection.execute(
        """
        SELECT asked.place::integer - 1
        FROM unnest(%(documents)s::uuid[], %(indexes)s::integer[], %(hashes)s::bpchar[])
            WITH ORDINALITY AS asked (document_id, chunk_index, content_hash, place)
        JOIN document_chunks c ON c.namespace = %(namespace)s
            AND c.document_id = asked.document_id AND c.chunk_index = asked.chunk_index
            AND c.content_hash = asked.content_hash
        ORDER BY asked.place
        """,
        {
            "namespace": namespace,
            "documents": [chunk.document_id for chunk in chunks],
            "indexes": [chunk.chunk_index for chunk in chunks],
            "hashes": [chunk.content_hash for chunk in chunks],
        },
        prepare=False,  # a plan made for few chunks is a bad one for many
    )
    return [place for (place,) in places]


_RETIRE = sql.SQL(
    """
    DELETE FROM vector_embeddings e
    WHERE namespace = %(namespace)s AND source_id = ANY(%(documents)s) AND NOT EXISTS (
        SELECT FROM unnest(%(kept)s::uuid[], %(indexes)s::integer[], %(hashes)s::text[])
            AS kept (document_id, chunk_index, content_hash)
        WHERE kept.document_id = e.source_id AND kept.chunk_index = e.chunk_index
            AND kept.content_hash = e.content_hash)
    RETURNING embedding_fingerprint, content_hash, embedding
    """
)
_INTO_CACHE = sql.SQL(
    """
    WITH gone AS ({})
    INSERT INTO embedding_cache (fingerprint, content_hash, embedding, expires_at)
    SELECT DISTINCT ON (embedding_fingerprint, content_hash)
           embedding_fingerprint, content_hash, embedding,
           now() + make_interval(secs => %(seconds)s)
    FROM gone ORDER BY embedding_fingerprint, content_hash
    ON CONFLICT (fingerprint, content_hash) DO UPDATE SET expires_at = excluded.expires_at
    """
)


def retire(
    connection: psycopg.Connection,
    namespace: str,
    keep: Mapping[UUID, Mapping[int, str]],
    *,
    cache_seconds: int,
) -> None:
    """Remove documents' embeddings but those to keep; their vectors go to the embedding cache.

    A login of single namespaces may not use the cache, which all share: it only removes them.

    Args:
        keep: of each document the chunks that stay: content hash by chunk index.
    """
    kept = [
        (document, index, content_hash)
        for document, hashes in keep.items()
        for index, content_hash in hashes.items()
    ]
    cached = connection.execute(
        "SELECT has_table_privilege('embedding_cache', 'INSERT')"
    ).fetchone() == (True,)
    connection.execute(
        _INTO_CACHE.format(_RETIRE) if cached else _RETIRE,
        {
            "namespace": namespace,
            "documents": list(keep),
            "kept": [document for document, _, _ in kept],
            "indexes": [index for _, index, _ in kept],
            "hashes": [content_hash for _, _, content_hash in kept],
            "seconds": cache_seconds,
        },
    )
