"""Applications that write to either side of a move, and what both sides then hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from greenlang_vectors import direct
from greenlang_vectors.documents.direct import DirectDocument
from greenlang_vectors.documents.model import JSON
from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.landing import SuppliedVectors
from greenlang_vectors.migration.mapping import Mapper
from greenlang_vectors.migration.peer import Peer
from greenlang_vectors.migration.plan import Plan
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.weaviate_outbox import Lag, lag

if TYPE_CHECKING:
    from local.weaviate_server.server import WeaviateServer
    from local.weaviate_server.store import Sent

DIMENSIONS = 8
LAST = UUID(int=2**128 - 1)

Held = dict[tuple[str, int], tuple[str, str, Mapping[str, JSON], bytes]]
"""Title, text, metadata and the vector's bytes by source key and chunk index."""


def vectors(count: int, seed: int) -> NDArray[np.float32]:
    """Vectors with numbers that are easily lost: -0.0, and one too small to be normal."""
    made = np.random.default_rng(seed).normal(size=(count, DIMENSIONS)).astype(np.float32)
    made[:, 0], made[:, 1] = -0.0, 1e-42
    return made


@dataclass
class Applications:
    """What applications do to one namespace's move, and what comes of it."""

    database: Database
    peer: Peer
    weaviate: WeaviateServer
    embedders: Embedders
    namespace: str
    plan: Plan
    _puts: int = field(default=0, init=False)

    def put(
        self,
        key: str,
        texts: Sequence[str],
        metadata: Mapping[str, JSON] | None = None,
        title: str | None = None,
        *,
        source_type: str = "document",
    ) -> None:
        """Write a document to pgvector, with vectors that no other has."""
        self._puts += 1
        item = DirectDocument(key, texts, metadata or {}, title, source_type)
        with self.database.connect() as connection:
            direct.put(
                connection,
                self.embedders,
                self.namespace,
                [item],
                supplied=SuppliedVectors(
                    self.plan.vectors[0].model, vectors(len(texts), self._puts)
                ),
                cache_seconds=60,
            )

    def delete(self, *keys: str) -> int:
        """Delete documents in pgvector."""
        with self.database.connect() as connection:
            return direct.delete(connection, self.namespace, keys, cache_seconds=60)

    def sent(
        self,
        identity: str,
        key: str,
        index: int,
        text: str,
        seed: int = 0,
        **properties: Any,  # noqa: ANN401
    ) -> Sent:
        """An object as an application writes it to Weaviate."""
        from local.weaviate_server.store import Sent, Vector

        return Sent(
            identity,
            {"text": text, "source_id": key, "chunk_index": index, **properties},
            {"": Vector(vectors(1, seed)[0].tobytes())},
        )

    def lag(self) -> Lag:
        with self.database.connect() as connection:
            return lag(connection, self.namespace)

    def here(self) -> Held:
        """What pgvector holds."""
        with self.database.connect() as connection:
            rows = connection.execute(
                """
                SELECT d.source_key, c.chunk_index, d.title, c.content, e.metadata,
                       vector_send(e.embedding)
                FROM documents d
                JOIN document_chunks c ON c.namespace = d.namespace AND c.document_id = d.id
                JOIN vector_embeddings e ON e.namespace = d.namespace AND e.source_id = d.id
                    AND e.chunk_index = c.chunk_index AND e.content_hash = c.content_hash
                WHERE d.namespace = %s AND e.embedding_model = %s
                """,
                [self.namespace, self.plan.vectors[0].model],
            ).fetchall()
        return {
            (key, index): (title, content, metadata, vector[4:])
            for key, index, title, content, metadata, vector in rows
        }

    def there(self) -> Held:
        """What Weaviate holds."""
        return {place: held for place, (_, held) in self._there().items()}

    def ids(self) -> dict[tuple[str, int], UUID]:
        """Weaviate's objects by source key and chunk index."""
        return {place: identity for place, (identity, _) in self._there().items()}

    def known(self) -> dict[tuple[str, int], UUID]:
        """The objects that passages are said to be."""
        with self.database.connect() as connection:
            rows = connection.execute(
                """
                SELECT d.source_key, o.chunk_index, o.object_id FROM weaviate_objects o
                LEFT JOIN documents d ON d.namespace = o.namespace AND d.id = o.document_id
                WHERE o.namespace = %s
                """,
                [self.namespace],
            ).fetchall()
        return {(key, index): identity for key, index, identity in rows}

    def check_alike(self) -> None:
        """Both sides hold the same, bit for bit, and which object is which passage is known."""
        assert self.there() == self.here()
        assert self.ids() == self.known()

    def _there(
        self,
    ) -> dict[tuple[str, int], tuple[UUID, tuple[str, str, Mapping[str, JSON], bytes]]]:
        mapper = Mapper(self.plan, self.namespace, self.peer.describe(self.plan.collection))
        found = [
            mapper.passage(each)
            for tenant in self.peer.tenants(self.plan.collection)
            for page in self.peer.pages(
                self.plan.collection,
                tenant,
                after=None,
                last=LAST,
                size=100,
                properties=mapper.properties,
                vectors=mapper.vectors,
            )
            for each in page
        ]
        titles: dict[str, tuple[bool, str]] = {}
        for each in found:  # a document's title is the first in order of its passages'
            ranked = each.title == each.source_key, each.title
            titles[each.source_key] = min(ranked, titles.get(each.source_key, ranked))
        held = {
            (each.source_key, each.chunk_index): (
                each.object_id,
                (
                    titles[each.source_key][1],
                    each.content,
                    each.metadata,
                    each.vectors[0].astype(">f4").tobytes(),
                ),
            )
            for each in found
        }
        assert len(held) == len(found), "two objects are the same passage"
        return held
