"""What a document's objects in Weaviate have to be, by what is stored of it here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from greenlang_vectors.errors import ItemError
from greenlang_vectors.migration.mapping import Mapper
from greenlang_vectors.migration.objects import NO_TENANT, Passage, WeaviateObject
from greenlang_vectors.migration.peer import Peer, WeaviateRefused
from greenlang_vectors.migration.plan import Plan
from greenlang_vectors.store.identity import embedding_ids
from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.weaviate_documents import ORIGIN, KnownObject, StoredDocument
from greenlang_vectors.store.weaviate_outbox import Noted


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """One document as Weaviate has to have it.

    Attributes:
        key: the document's.
        passages: those that have vectors.
        objects: the same, for Weaviate.
        superfluous: objects of the document that it must not have.
    """

    noted: Noted
    key: str
    tenant: str
    passages: list[Passage] = field(default_factory=list)
    objects: list[WeaviateObject] = field(default_factory=list)
    superfluous: set[UUID] = field(default_factory=set)


class Outgoing:
    """Documents of a namespace, for the collection of its plan.

    Args:
        first_model: of the first leaf: an object that is written here first has the id of that
            leaf's embedding.
        tenants: those that the collection has.
        unmapped: its vectors that the plan does not name.
    """

    def __init__(
        self,
        peer: Peer,
        mapper: Mapper,
        first_model: str,
        tenants: Sequence[str],
        unmapped: Sequence[str | None],
    ) -> None:
        self._peer, self._mapper, self._plan = peer, mapper, mapper.plan
        self._first_model, self._tenants, self._unmapped = first_model, tenants, unmapped

    def wanted(
        self, noted: Noted, stored: StoredDocument | None, known: Sequence[KnownObject]
    ) -> Wanted | None:
        """What Weaviate has to have of a document; None where it is nothing to it.

        A passage without vectors here, archived or not embedded yet, keeps the object it has. Of
        a document that the backfill brings, only known objects are superfluous: others may still
        be on their way.

        Args:
            stored: None if it was deleted.
            known: objects that its passages are or were.

        Raises:
            ItemError: Weaviate cannot have it as the plan says.
            WeaviateUnavailable: it cannot be asked.
        """
        if stored is None:
            return self._deleted(noted, known)
        if stored.source_type != self._plan.source_type:
            raise ItemError(
                "other_source_type",
                f"The document is a {stored.source_type}, and Weaviate's are"
                f" {self._plan.source_type}s.",
                "Put it under that source type, or into a namespace that is not moved.",
            )
        tenant = self._tenant_of(stored.source_key)
        there = {each.chunk_index: each.object_id for each in known}
        strays: set[UUID] = set()
        if stored.origin != ORIGIN:
            strays = self._of_source(tenant, stored.source_key) - {*there.values()}
            there = self._by_index(tenant, strays) | there
        ids = self._ids(stored, tenant) | there
        passages = [
            Passage(
                object_id=ids[each.chunk_index],
                tenant=tenant,
                source_type=stored.source_type,
                source_key=stored.source_key,
                document_id=stored.id,
                chunk_index=each.chunk_index,
                title=stored.title,
                content=each.content,
                content_hash=each.content_hash,
                metadata=each.metadata,
                vectors=each.vectors,
                updated_ms=None,
            )
            for each in stored.passages
            if each.vectors
        ]
        objects = [self._mapper.object(each) for each in passages]
        wanted = {ids[each.chunk_index] for each in stored.passages}
        superfluous = (strays | {*there.values()}) - wanted
        return Wanted(noted, stored.source_key, tenant, passages, objects, superfluous)

    def _deleted(self, noted: Noted, known: Sequence[KnownObject]) -> Wanted | None:
        if noted.source_key is None or noted.source_type != self._plan.source_type:
            return None
        try:
            tenant = self._tenant_of(noted.source_key)
            there = self._of_source(tenant, noted.source_key)
        except WeaviateRefused:
            raise
        except ItemError:
            return None
        there |= {each.object_id for each in known}
        return Wanted(noted, noted.source_key, tenant, superfluous=there)

    def completed(self, tenant: str, objects: Sequence[WeaviateObject]) -> list[WeaviateObject]:
        """The objects with what the plan leaves in Weaviate: writing one replaces all of it."""
        if not (self._plan.left_out or self._unmapped):
            return list(objects)
        there = self._peer.fetch(
            self._plan.collection,
            tenant,
            [each.id for each in objects],
            properties=self._plan.left_out,
            vectors=self._unmapped,
        )
        return [
            replace(
                each,
                properties={**old.properties, **each.properties},
                vectors={**old.vectors, **each.vectors},
            )
            if (old := there.get(each.id))
            else each
            for each in objects
        ]

    def _tenant_of(self, key: str) -> str:
        if self._tenants == [NO_TENANT]:
            return NO_TENANT
        owners = [each for each in self._tenants if key.startswith(f"{each}/")]
        if not owners:
            raise ItemError(
                "no_tenant",
                f"The key {key!r} begins with no tenant of {self._plan.collection}.",
                "Put it as <tenant>/<key>, or make the tenant in Weaviate.",
            )
        return max(owners, key=len)

    def _of_source(self, tenant: str, key: str) -> set[UUID]:
        """The objects that Weaviate has of a document."""
        if self._plan.source_id is None:
            return {_own_id(tenant, key)}
        return self._peer.ids_of(
            self._plan.collection,
            tenant,
            self._plan.source_id,
            self._mapper.source_id(tenant, key),
        )

    def _by_index(self, tenant: str, objects: set[UUID]) -> dict[int, UUID]:
        """Objects that nobody has carried over yet, by the number of the passage they are."""
        index = self._plan.chunk_index
        if index is None or not objects:
            return {}
        found = self._peer.fetch(
            self._plan.collection, tenant, objects, properties=[index], vectors=()
        )
        numbers = ((each.properties.get(index), each.id) for each in found.values())
        return {
            int(number): identity
            for number, identity in sorted(numbers, key=lambda each: each[1])
            if isinstance(number, int | float)
        }

    def _ids(self, stored: StoredDocument, tenant: str) -> dict[int, UUID]:
        """What the object of each passage is called that Weaviate has none of, by chunk index."""
        indexes = [each.chunk_index for each in stored.passages]
        if self._plan.source_id is None:
            if indexes not in ([], [0]):
                raise ItemError(
                    "several_passages",
                    f"The document has {len(indexes)} passages, and each object of Weaviate is a"
                    " document of its own.",
                    "Put each passage as a document.",
                )
            return {index: _own_id(tenant, stored.source_key) for index in indexes}
        made = embedding_ids(
            self._mapper.namespace, [(stored.id, index) for index in indexes], self._first_model
        )
        return {
            index: UUID(bytes=each.tobytes()) for index, each in zip(indexes, made, strict=True)
        }


def outgoing(peer: Peer, plan: Plan, namespace: str, leaves: Sequence[Leaf]) -> Outgoing:
    """Documents of a namespace for its plan's collection, as that is now.

    Args:
        leaves: of the plan's vectors, in its order.

    Raises:
        UsageError: there is no such collection.
        WeaviateUnavailable: it cannot be looked at.
    """
    info = peer.describe(plan.collection)
    mapped = {each.name for each in plan.vectors}
    return Outgoing(
        peer,
        Mapper(plan, namespace, info),
        leaves[0].model,
        peer.tenants(plan.collection),
        [name for name in info.metrics if name not in mapped],
    )


def _own_id(tenant: str, key: str) -> UUID:
    """The object that is a document of its own."""
    try:
        return UUID(key.removeprefix(f"{tenant}/") if tenant else key)
    except ValueError as error:
        raise ItemError(
            "bad_key",
            f"Each object of Weaviate is a document of its own, and the key {key!r} is no uuid.",
            "Put the document under a uuid.",
        ) from error
