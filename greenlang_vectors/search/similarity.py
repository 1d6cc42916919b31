"""Semantic search: a question becomes a vector, its nearest passages become results (PRD 8.1.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import psycopg
from numpy.typing import NDArray

from greenlang_vectors.embedding.embedder import Embedder
from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.errors import UsageError
from greenlang_vectors.search.nearest import MAX_EF_SEARCH, Neighbour, nearest
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import collections, namespaces
from greenlang_vectors.store.collections import Collection
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.encryption.columns import ChunkColumns, open_title
from greenlang_vectors.store.encryption.data_keys import cipher_of
from greenlang_vectors.store.index_settings import Metric


@dataclass(frozen=True, slots=True)
class SearchResult:
    """A passage that answers, and where it stands.

    Attributes:
        rank: 1 for the best.
        score: likeness to the question by the collection's metric, the more the better: cosine
            similarity in [-1, 1], inner product, or 1 / (1 + L2 distance).
        document: the document's key in its source, such as a path.
        title: the document's title.
        page: 1-based page the passage begins on; None where the medium has no pages.
        heading_path: headings above the passage, outermost first.
        chunk_index: the passage's place in its document.
        content: the passage.
    """

    rank: int
    score: float
    document: str
    title: str
    page: int | None
    heading_path: list[str]
    chunk_index: int
    content: str


class SearchEngine:
    """Answers questions from the passages of one namespace at a time.

    Which collection answers is looked up for every question: one asked after a switch has
    committed is answered by the collection that serves then.
    """

    def __init__(self, database: Database, embedders: Embedders, settings: Settings) -> None:
        self._database = database
        self._embedders = embedders
        self._ef_search = settings.index.ef_search

    def search(
        self,
        query: str,
        namespace: str,
        top_k: int = 10,
        *,
        threshold: float | None = None,
        collection: str | None = None,
    ) -> list[SearchResult]:
        """The passages most similar to the question, best first.

        Args:
            top_k: the most results, 1 to 1000.
            threshold: leave out results below this score.
            collection: the one of the namespace to ask; None for the one that serves.

        Raises:
            UsageError: an empty or unreadably long question, `top_k` out of range, or an unknown
                collection.
            UnknownNamespace: it is not registered.
            ModelUnavailable: the collection's model is not on this machine.
        """
        if not 1 <= top_k <= MAX_EF_SEARCH:
            raise UsageError(f"top_k must be between 1 and {MAX_EF_SEARCH}, not {top_k}.")
        if not query.strip():
            raise UsageError("The question is empty.")
        asked = self._find(namespace, collection)
        if asked is None:
            return []
        vector = _embed(self._embedders.of(asked), query)
        results = self._answer(asked, vector, top_k, threshold)
        if results is None:
            return self.search(query, namespace, top_k, threshold=threshold, collection=collection)
        return results

    def _find(self, namespace: str, name: str | None) -> Collection | None:
        with self._database.connection() as connection:
            if name is None:
                found = collections.serving(connection, namespace)
                if found is None:
                    namespaces.get(connection, namespace)
                return found
            found = collections.get(connection, name)
        if found.namespace != namespace:
            raise UsageError(f"The collection {name} is none of the namespace {namespace!r}.")
        return found

    def _answer(
        self,
        collection: Collection,
        vector: NDArray[np.float32],
        top_k: int,
        threshold: float | None,
    ) -> list[SearchResult] | None:
        """Results of one snapshot; None if the collection was dropped meanwhile."""
        with self._database.connection() as connection:
            try:
                with connection.transaction():
                    connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                    neighbours = nearest(
                        connection,
                        collection.leaf,
                        vector,
                        top_k,
                        index=collection.index,
                        ef_search=collection.index.ef_search or self._ef_search,
                    )
                    scores = [score(collection.index.metric, n.distance) for n in neighbours]
                    if threshold is not None:
                        neighbours = [
                            n for n, s in zip(neighbours, scores, strict=True) if s >= threshold
                        ]
                        scores = scores[: len(neighbours)]
                    return _results(connection, collection.namespace, neighbours, scores)
            except psycopg.errors.UndefinedTable:
                if collections.stands(connection, collection):
                    raise
                return None


def score(metric: Metric, distance: float) -> float:
    """A distance as people read it, the more the better."""
    if metric == "cosine":
        return 1 - distance
    return 1 / (1 + distance) if metric == "l2" else -distance


def _embed(embedder: Embedder, query: str) -> NDArray[np.float32]:
    """The vector of a question, shape (dimensions,).

    Raises:
        UsageError: it is longer than the model reads.
    """
    batch = embedder.embed([query])
    if batch.failures:
        raise UsageError(f"The question cannot be embedded: {batch.failures[0]}")
    vector: NDArray[np.float32] = batch.vectors[0]
    return vector


def _results(
    connection: psycopg.Connection,
    namespace: str,
    neighbours: list[Neighbour],
    scores: list[float],
) -> list[SearchResult]:
    rows = connection.execute(
        """
        SELECT d.source_key, d.id, d.title, c.page_start, c.heading_path, c.chunk_index, c.content,
               n.score,
               EXISTS (SELECT FROM encrypted_namespaces WHERE namespace = %(namespace)s)
        FROM unnest(%(documents)s::uuid[], %(chunks)s::integer[], %(scores)s::float8[])
            WITH ORDINALITY AS n (document_id, chunk_index, score, rank)
        JOIN documents d ON d.namespace = %(namespace)s AND d.id = n.document_id
        JOIN document_chunks c ON c.namespace = %(namespace)s AND c.document_id = n.document_id
            AND c.chunk_index = n.chunk_index
        ORDER BY n.rank
        """,
        {
            "namespace": namespace,
            "documents": [n.document_id for n in neighbours],
            "chunks": [n.chunk_index for n in neighbours],
            "scores": scores,
        },
    ).fetchall()
    cipher = cipher_of(connection, namespace) if rows and rows[0][-1] else None
    results = []
    for rank, row in enumerate(rows, start=1):
        key, identity, title, page, heading_path, index, content, score, _ = row
        passage = ChunkColumns(content, heading_path)
        if cipher is not None:
            title = open_title(cipher, identity, title)
            passage = passage.opened(cipher, identity, index)
        results.append(
            SearchResult(
                rank=rank,
                score=score,
                document=key,
                title=title,
                page=page,
                heading_path=passage.heading_path,
                chunk_index=index,
                content=passage.content,
            )
        )
    return results
