"""A namespace of many short passages with toy vectors: for what holds of any search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg

from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.search.engine import SearchEngine
from greenlang_vectors.search.model import SearchAnswer, SearchRequest, SearchResult
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import embeddings, namespaces
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.maintenance import maintain

from ..conftest import AddDocument

WORDS = ("cement", "steel", "cocoa", "forest", "carbon", "report", "audit", "import", "price")


def passage(document: int, place: int) -> str:
    """A text of its own, of one to three of the words."""
    random = np.random.default_rng([document, place])
    words = random.choice(WORDS, size=random.integers(1, 4))
    return f"{' '.join(words)} in passage {document} of {place}."


@dataclass
class Library:
    """The namespace, and how it is asked."""

    database: Database
    engine: SearchEngine
    leaf: Leaf

    def ask(self, query: str | None = "cement price", top_k: int = 10, **more: Any) -> SearchAnswer:  # noqa: ANN401
        return self.engine.search(SearchRequest(query, self.leaf.namespace, top_k, **more))

    def pages(self, query: str | None, top_k: int, **more: Any) -> list[SearchResult]:  # noqa: ANN401
        """All results, page by page."""
        results: list[SearchResult] = []
        after = None
        while True:
            answer = self.ask(query, top_k, after=after, **more)
            results += answer.results
            after = answer.next
            if after is None:
                return results
            assert answer.returned == top_k


def key(result: SearchResult) -> tuple[str, int]:
    """What passage it is."""
    return result.document, result.chunk_index


def keys(results: Sequence[SearchResult]) -> list[tuple[str, int]]:
    return [key(result) for result in results]


def embed(connection: psycopg.Connection, leaf: Leaf, toys: Embedders) -> None:
    """Give every passage that lacks one its vector."""
    embedder = toys.open(leaf.model)
    fingerprint = embedder.model.spec.fingerprint(embedder.normalize)
    total = embeddings.plan_work(connection, leaf, fingerprint)
    pending = embeddings.pending(connection, leaf, 0, total)
    vectors = embedder.embed([chunk.content for chunk in pending]).vectors
    embeddings.write(connection, leaf, pending, vectors, fingerprint=fingerprint)


def build(
    database: Database,
    toys: Embedders,
    add_document: AddDocument,
    namespace: str,
    documents: int,
    places: int,
) -> Library:
    """So many documents of so many passages; `metadata.number` is the document's."""
    with database.connect() as connection:
        namespaces.register(connection, namespace)
        [collection] = toys.collections(connection, namespace)
        with connection.transaction():
            for number in range(documents):
                texts = [passage(number, place) for place in range(places)]
                add_document(connection, namespace, f"{number}.txt", texts)
        embed(connection, collection.leaf, toys)
        connection.execute(
            """
            UPDATE vector_embeddings e
            SET metadata = jsonb_build_object('number', split_part(source_key, '.', 1)::integer)
            FROM documents d
            WHERE e.namespace = %(name)s AND d.namespace = %(name)s AND d.id = e.source_id
            """,
            {"name": namespace},
        )
        connection.execute("ANALYZE")
    maintain(database, collection.leaf, Settings())
    return Library(database, SearchEngine(database, toys, Settings()), collection.leaf)
