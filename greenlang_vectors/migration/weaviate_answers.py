"""What Weaviate found, as the passages that pgvector would answer: with its ids and places.

Text and metadata are Weaviate's; where the passage is here, too, its place in its document is told
as pgvector would. While PostgreSQL does not answer, the plan alone names documents.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from uuid import UUID

from greenlang_vectors.errors import DatabaseUnavailable, ItemError
from greenlang_vectors.migration import objects
from greenlang_vectors.migration.asking import Found
from greenlang_vectors.migration.mapping import Mapper
from greenlang_vectors.migration.objects import WeaviateObject
from greenlang_vectors.search.hits import Key
from greenlang_vectors.search.passages import Passage
from greenlang_vectors.store import weaviate_passages
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.identity import embedding_ids
from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.weaviate_passages import Placed


class Answers:
    """The passages of one search.

    Args:
        mapper: maps objects without their vectors.
        first: the leaf of the plan's first vector.
        leaf: the one that is asked.

    Attributes:
        passages: what was found, by key.
        unplaced: what is to be said where the database did not answer; empty where it did.
    """

    def __init__(self, mapper: Mapper, first: Leaf, leaf: Leaf, database: Database) -> None:
        self._mapper, self._first, self._leaf, self._database = mapper, first, leaf, database
        self.passages: dict[Key, Passage] = {}
        self.unplaced = ""

    def carried(self, tenant: str, found: Sequence[Found]) -> Iterator[tuple[Key, Found]]:
        """What was found that is a passage, and its key; what cannot be one is left out."""
        places = self._places(tenant, [each.id for each in found])
        for each in found:
            try:
                carried = self._mapper.passage(
                    WeaviateObject(each.id, tenant, each.properties, {}, 0)
                )
            except ItemError:
                continue
            key, passage = self._passage(carried, places.get(each.id))
            self.passages[key] = passage
            yield key, each

    def _places(self, tenant: str, ids: Sequence[UUID]) -> dict[UUID, Placed]:
        try:
            return self._database.read(
                lambda connection: weaviate_passages.placed(
                    connection, self._first, self._leaf, tenant, ids
                )
            )
        except DatabaseUnavailable:
            self.unplaced = "; PostgreSQL does not answer: documents are named by the plan alone"
            return {}

    def _passage(self, carried: objects.Passage, place: Placed | None) -> tuple[Key, Passage]:
        if place is None:
            key = carried.document_id, carried.chunk_index
            [identity] = embedding_ids(self._leaf.namespace, [key], self._leaf.model)
            return key, Passage(
                *key,
                id=UUID(bytes=identity.tobytes()),
                source_type=carried.source_type,
                document=carried.source_key,
                title=carried.title,
                page=None,
                heading_path=[],
                content=carried.content,
                metadata=carried.metadata,
            )
        key = place.document_id, place.chunk_index
        return key, Passage(
            *key,
            id=place.id,
            source_type=place.source_type,
            document=place.document,
            title=place.title,
            page=place.page,
            heading_path=place.heading_path,
            content=carried.content,
            metadata=carried.metadata,
        )
