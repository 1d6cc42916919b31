"""What is shown of a passage: its text and where it stands, opened where it is encrypted."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, cast
from uuid import UUID

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql

from greenlang_vectors.documents.model import JSON
from greenlang_vectors.search.hits import Hit, Key
from greenlang_vectors.search.model import SearchResult
from greenlang_vectors.store import collections
from greenlang_vectors.store.collections import Collection
from greenlang_vectors.store.encryption.cipher import Cipher
from greenlang_vectors.store.encryption.columns import (
    ChunkColumns,
    EmbeddingColumns,
    open_title,
)
from greenlang_vectors.store.encryption.data_keys import cipher_of
from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.namespaces import partition


class Passage(NamedTuple):
    """A passage, as `statement` gives it; attributes as of `model.SearchResult`.

    Attributes:
        tokens, start, end, page_end: as of `chunking.model.Chunk`.
        parent_index: the chunk it was cut out of, in the same document; None where there is none.
    """

    document_id: UUID
    chunk_index: int
    id: UUID
    source_type: str
    document: str
    title: str
    page: int | None
    heading_path: list[str]
    content: str
    metadata: dict[str, JSON]
    tokens: int = 0
    start: int = 0
    end: int = 0
    page_end: int | None = None
    parent_index: int | None = None

    def opened(self, cipher: Cipher) -> Passage:
        """The passage in clear.

        Raises:
            SealBroken, KeyUnavailable: see `Cipher.open`.
        """
        place = self.document_id, self.chunk_index
        chunk = ChunkColumns(self.content, self.heading_path).opened(cipher, *place)
        embedding = EmbeddingColumns(None, self.metadata).opened(cipher, *place)
        return self._replace(
            title=open_title(cipher, self.document_id, self.title),
            heading_path=chunk.heading_path,
            content=chunk.content,
            metadata=cast("dict[str, JSON]", embedding.metadata),
        )

    def result(self, hit: Hit, rank: int) -> SearchResult:
        """The passage as an answer of this rank."""
        return SearchResult(
            rank=rank,
            score=hit.score,
            id=self.id,
            document_id=self.document_id,
            source_type=self.source_type,
            document=self.document,
            title=self.title,
            page=self.page,
            heading_path=self.heading_path,
            chunk_index=self.chunk_index,
            content=self.content,
            metadata=self.metadata,
            vector_rank=hit.vector_rank,
            text_rank=hit.text_rank,
            vector_score=hit.vector_score,
        )


class CollectionChanged(Exception):
    """The collection is not what it was when it was looked up: switched, tuned or dropped."""


def load(
    connection: psycopg.Connection, collection: Collection, keys: Sequence[Key]
) -> dict[Key, Passage]:
    """The passages of these keys that the collection holds, in clear, by key.

    Raises:
        CollectionChanged: since it was looked up.
        SealBroken, KeyUnavailable: of an encrypted namespace.
    """
    leaf = collection.leaf
    rows = []
    if keys:
        rows = connection.execute(
            statement(leaf),
            {
                "namespace": leaf.namespace,
                "collection": collection.id,
                "documents": [document for document, _ in keys],
                "chunks": [chunk for _, chunk in keys],
            },
        ).fetchall()
    if not rows:
        if not collections.unchanged(connection, collection):
            raise CollectionChanged
        return {}
    *_, encrypted, version = rows[0]
    if version != collection.version:
        raise CollectionChanged
    found = {(row[0], row[1]): Passage._make(row[:-2]) for row in rows}
    cipher = cipher_of(connection, leaf.namespace) if encrypted else None
    if cipher is None:
        return found
    return {key: passage.opened(cipher) for key, passage in found.items()}


@lru_cache(maxsize=1000)
def statement(leaf: Leaf) -> bytes:
    """The SQL of `load`; its parameters are namespace, collection, documents and chunks."""
    composed = sql.SQL(
        """
        SELECT e.source_id, e.chunk_index, e.id, e.source_type, d.source_key, d.title,
               c.page_start, c.heading_path, c.content, e.metadata,
               c.token_count, c.start_char, c.end_char, c.page_end, c.parent_index,
               EXISTS (SELECT FROM encrypted_namespaces WHERE namespace = %(namespace)s),
               (SELECT xmin::text FROM embedding_collections WHERE id = %(collection)s)
        FROM unnest(%(documents)s::uuid[], %(chunks)s::integer[]) AS k (document_id, chunk_index)
        JOIN {leaf} e ON e.source_id = k.document_id AND e.chunk_index = k.chunk_index
        JOIN {documents} d ON d.namespace = %(namespace)s AND d.id = k.document_id
        JOIN {chunks} c ON c.namespace = %(namespace)s AND c.document_id = k.document_id
            AND c.chunk_index = k.chunk_index
        """
    ).format(
        leaf=leaf.table,
        documents=partition("documents", leaf.namespace),
        chunks=partition("document_chunks", leaf.namespace),
    )
    return composed.as_bytes(None)


def vectors(
    connection: psycopg.Connection, leaf: Leaf, keys: Sequence[Key]
) -> dict[Key, NDArray[np.float32]]:
    """The embeddings of these passages that the leaf holds, each of shape (leaf.dimensions,)."""
    statement = sql.SQL(
        """
        SELECT e.source_id, e.chunk_index, vector_send(e.embedding)
        FROM unnest(%(documents)s::uuid[], %(chunks)s::integer[]) AS k (document_id, chunk_index)
        JOIN {leaf} e ON e.source_id = k.document_id AND e.chunk_index = k.chunk_index
        """
    ).format(leaf=leaf.table)
    rows = connection.cursor(binary=True).execute(
        statement,
        {
            "documents": [document for document, _ in keys],
            "chunks": [chunk for _, chunk in keys],
        },
    )
    # pgvector sends two 16-bit integers (dimensions, 0), then big-endian float32.
    return {
        (document, chunk): np.frombuffer(sent, dtype=">f4", offset=4).astype(np.float32)
        for document, chunk, sent in rows
    }
