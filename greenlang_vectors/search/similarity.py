"""Semantic search: a question becomes a vector, its nearest passages become results (PRD 8.1.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import psycopg
from numpy.typing import NDArray

from greenlang_vectors.embedding.embedder import Embedder
from greenlang_vectors.errors import UsageError
from greenlang_vectors.search.nearest import MAX_EF_SEARCH, Neighbour, nearest
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import namespaces
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.embeddings import Leaf


@dataclass(frozen=True, slots=True)
class SearchResult:
    """A passage that answers, and where it stands.

    Attributes:
        rank: 1 for the best.
        score: cosine similarity to the question, in [-1, 1].
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
    """Answers questions from the passages of one namespace at a time."""

    def __init__(self, database: Database, embedder: Embedder, settings: Settings) -> None:
        self._database = database
        self._embedder = embedder
        self._ef_search = settings.index.ef_search

    def search(
        self,
        query: str,
        namespace: str,
        top_k: int = 10,
        *,
        threshold: float | None = None,
    ) -> list[SearchResult]:
        """The passages most similar to the question, best first.

        Args:
            top_k: the most results, 1 to 1000.
            threshold: leave out results below this cosine similarity.

        Raises:
            UsageError: an empty or unreadably long question, or `top_k` out of range.
            UnknownNamespace: it is not registered.
        """
        if not 1 <= top_k <= MAX_EF_SEARCH:
            raise UsageError(f"top_k must be between 1 and {MAX_EF_SEARCH}, not {top_k}.")
        with self._database.connection() as connection:
            namespaces.get(connection, namespace)
            vector = self.embed_query(query)
            spec = self._embedder.model.spec
            neighbours = nearest(
                connection,
                Leaf(namespace, spec.name, spec.dimensions),
                vector,
                top_k,
                ef_search=self._ef_search,
            )
            if threshold is not None:
                neighbours = [n for n in neighbours if 1 - n.distance >= threshold]
            return _results(connection, namespace, neighbours)

    def embed_query(self, query: str) -> NDArray[np.float32]:
        """The vector of a question, shape (dimensions,).

        Raises:
            UsageError: it is empty, or longer than the model reads.
        """
        if not query.strip():
            raise UsageError("The question is empty.")
        batch = self._embedder.embed([query])
        if batch.failures:
            raise UsageError(f"The question cannot be embedded: {batch.failures[0]}")
        vector: NDArray[np.float32] = batch.vectors[0]
        return vector


def _results(
    connection: psycopg.Connection, namespace: str, neighbours: list[Neighbour]
) -> list[SearchResult]:
    rows = connection.execute(
        """
        SELECT d.source_key, d.title, c.page_start, c.heading_path, c.chunk_index, c.content,
               n.distance
        FROM unnest(%(documents)s::uuid[], %(chunks)s::integer[], %(distances)s::float8[])
            WITH ORDINALITY AS n (document_id, chunk_index, distance, rank)
        JOIN documents d ON d.namespace = %(namespace)s AND d.id = n.document_id
        JOIN document_chunks c ON c.namespace = %(namespace)s AND c.document_id = n.document_id
            AND c.chunk_index = n.chunk_index
        ORDER BY n.rank
        """,
        {
            "namespace": namespace,
            "documents": [n.document_id for n in neighbours],
            "chunks": [n.chunk_index for n in neighbours],
            "distances": [n.distance for n in neighbours],
        },
    ).fetchall()
    return [
        SearchResult(
            rank=rank,
            score=1 - distance,
            document=key,
            title=title,
            page=page,
            heading_path=heading_path,
            chunk_index=chunk_index,
            content=content,
        )
        for rank, (key, title, page, heading_path, chunk_index, content, distance) in enumerate(
            rows, start=1
        )
    ]
