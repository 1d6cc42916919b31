"""What is shown of a passage: its text and where it stands, opened where it is encrypted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql

from greenlang_vectors.documents.model import JSON
from greenlang_vectors.search.hits import Hit, Key
from greenlang_vectors.search.model import SearchResult
from greenlang_vectors.store.collections import Collection
from greenlang_vectors.store.encryption.columns import (
    ChunkColumns,
    EmbeddingColumns,
    open_title,
)
from greenlang_vectors.store.encryption.data_keys import cipher_of
from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.namespaces import partition


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage in clear; attributes as of `model.SearchResult`."""

    id: UUID
    source_type: str
    document: str
    title: str
    page: int | None
    heading_path: list[str]
    content: str
    metadata: dict[str, JSON]

    def result(self, hit: Hit, rank: int) -> SearchResult:
        """The passage as an answer of this rank."""
        document_id, chunk_index = hit.key
        return SearchResult(
            rank=rank,
            score=hit.score,
            id=self.id,
            document_id=document_id,
            source_type=self.source_type,
            document=self.document,
            title=self.title,
            page=self.page,
            heading_path=self.heading_path,
            chunk_index=chunk_index,
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
    """The passages of these keys that the collection holds, by key.

    Raises:
        CollectionChanged: since it was looked up.
        SealBroken, KeyUnavailable: of an encrypted namespace.
    """
    leaf = collection.leaf
    if not keys:
        check_unchanged(connection, collection)
        return {}
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
        check_unchanged(connection, collection)
        return {}
    *_, encrypted, version = rows[0]
    if version != collection.version:
        raise CollectionChanged
    cipher = cipher_of(connection, leaf.namespace) if encrypted else None
    found = {}
    for row in rows:
        document, chunk, identity, source_type, metadata, key, title, page, path, content, *_ = row
        passage = ChunkColumns(content, path)
        if cipher is not None:
            title = open_title(cipher, document, title)
            passage = passage.opened(cipher, document, chunk)
            metadata = EmbeddingColumns(None, metadata).opened(cipher, document, chunk).metadata
        found[document, chunk] = Passage(
            id=identity,
            source_type=source_type,
            document=key,
            title=title,
            page=page,
            heading_path=passage.heading_path,
            content=passage.content,
            metadata=metadata,
        )
    return found


def check_unchanged(connection: psycopg.Connection, collection: Collection) -> None:
    """See that a collection is what it was when it was looked up.

    Raises:
        CollectionChanged: it is not.
    """
    row = connection.execute(
        "SELECT xmin::text FROM embedding_collections WHERE id = %s", [collection.id]
    ).fetchone()
    if row != (collection.version,):
        raise CollectionChanged


@lru_cache(maxsize=1000)
def statement(leaf: Leaf) -> bytes:
    """The SQL of `load`; its parameters are namespace, collection, documents and chunks."""
    composed = sql.SQL(
        """
        SELECT e.source_id, e.chunk_index, e.id, e.source_type, e.metadata,
               d.source_key, d.title, c.page_start, c.heading_path, c.content,
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
