"""Both sides of a move, read object by object in the form that is compared."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple
from uuid import UUID

import psycopg

from greenlang_vectors.errors import ItemError, UsageError
from greenlang_vectors.migration import destinations
from greenlang_vectors.migration.comparison import Difference, Fault, Held, difference, merged
from greenlang_vectors.migration.mapping import Mapper
from greenlang_vectors.migration.objects import NO_TENANT, Passage, WeaviateObject
from greenlang_vectors.migration.peer import Peer
from greenlang_vectors.migration.plan import Plan
from greenlang_vectors.store.weaviate_contents import Contents, StoredObject

VECTOR_HEADER = 4
"""Bytes before the numbers in what `vector_send` gives: dimensions, and 0."""

STORED_PAGE = 1000
"""Stored passages read at once."""

TOLD_EVERY = 500
"""Objects between two words of progress."""


class Pair(NamedTuple):
    """One object, looked at on both sides.

    Attributes:
        stored, given: None where the side lacks it.
        passage: what the given object becomes; None where it cannot.
        found: what is not the same; None where all is.
    """

    stored: StoredObject | None
    given: WeaviateObject | None
    passage: Passage | None
    found: Difference | None

    @property
    def documents(self) -> set[UUID]:
        """The documents that it is a passage of, on either side."""
        return {each.document_id for each in (self.stored, self.passage) if each is not None}

    @property
    def titles_differ(self) -> bool:
        """Whether the document has another title here than the object gives it."""
        return (
            self.stored is not None
            and self.passage is not None
            and self.stored.title != self.passage.title
        )


class Sides:
    """The objects of a plan in Weaviate, and the passages they are here.

    Attributes:
        targets: where the plan's vectors are kept here, in its order.
        tenants: of the plan that Weaviate has.

    Raises:
        UsageError: the move has not begun, or Weaviate has no such collection.
    """

    def __init__(
        self, connection: psycopg.Connection, peer: Peer, namespace: str, plan: Plan
    ) -> None:
        targets = destinations.present(connection, namespace, plan)
        if targets is None:
            raise UsageError(
                f"{namespace} has no collection for what comes from Weaviate.",
                "`greenlang-vectors migrate start` makes it.",
            )
        self.peer, self.plan, self.targets = peer, plan, targets
        self.contents = Contents(namespace, [each.leaf for each in targets])
        self.renew()
        self.tenants = [
            each
            for each in peer.tenants(plan.collection)
            if plan.tenants is None or each in plan.tenants
        ]
        self._names = [f"vector {each.name or each.model}" for each in plan.vectors]

    def renew(self) -> None:
        """Look at the collection again: a write may have given it another property."""
        info = self.peer.describe(self.plan.collection)
        self.mapper = Mapper(self.plan, self.contents.namespace, info)

    def differences(
        self,
        connection: psycopg.Connection,
        tenant: str,
        after: UUID,
        last: UUID,
        seen: Seen,
    ) -> Iterator[Difference]:
        """What differs of the objects behind `after` up to `last`; what was seen is counted."""
        here = seen.stored(self._stored(connection, tenant, after.bytes, last.bytes))
        there = seen.given(self._given(tenant, after, last))
        for stored, given in merged(here, there):
            if found := difference(stored, given, tenant, self._names):
                yield found

    def with_document_title(self, connection: psycopg.Connection, tenant: str, pair: Pair) -> Pair:
        """The pair compared anew, if it is another object that gives the document its title."""
        if pair.stored is None or pair.given is None:
            return pair
        siblings = self.contents.objects_of(connection, tenant, pair.stored.document_id)
        for each in self.given_of(tenant, siblings).values():
            with suppress(ItemError):
                if self.mapper.passage(each).title == pair.stored.title:
                    return self.pair(tenant, pair.stored, pair.given, pair.stored.title)
        return pair

    def pair(
        self,
        tenant: str,
        stored: StoredObject | None,
        given: WeaviateObject | None,
        title: str | None = None,
    ) -> Pair:
        """One object of a tenant as both sides hold it, compared.

        Args:
            title: its document's, where another object gives it.
        """
        passage, there = None, None
        if given is not None:
            try:
                passage = self.mapper.passage(given)
                passage = replace(passage, title=title or passage.title)
                there = _held(given, passage)
            except ItemError as error:
                there = self._refused(given, error)
        here = None if stored is None else self._held_here(stored)
        return Pair(stored, given, passage, difference(here, there, tenant, self._names))

    def given_of(self, tenant: str, ids: Iterable[UUID]) -> dict[UUID, WeaviateObject]:
        """Those of the objects that Weaviate has."""
        if tenant not in self.tenants:
            return {}
        return self.peer.fetch(
            self.plan.collection,
            tenant,
            ids,
            properties=self.mapper.properties,
            vectors=self.mapper.vectors,
        )

    def stored_of(
        self, connection: psycopg.Connection, tenant: str, ids: Sequence[UUID]
    ) -> dict[UUID, StoredObject]:
        """Those of the objects that are here."""
        found = self.contents.chosen(connection, tenant, ids)
        return {UUID(bytes=each.object_id): each for each in found if each.stands}

    def tenant_of(self, source_key: str) -> str:
        """Whose document a key belongs to; NO_TENANT where it is nobody's."""
        whose = [each for each in self.tenants if source_key.startswith(f"{each}/")]
        return max(whose, key=len, default=NO_TENANT)

    def _given(self, tenant: str, after: UUID, last: UUID) -> Iterator[Held]:
        if tenant not in self.tenants:
            return
        pages = self.peer.pages(
            self.plan.collection,
            tenant,
            after=after,
            last=last,
            size=self.plan.page,
            properties=self.mapper.properties,
            vectors=self.mapper.vectors,
        )
        for page in pages:
            for each in page:
                try:
                    yield _held(each, self.mapper.passage(each))
                except ItemError as error:
                    yield self._refused(each, error)

    def _stored(
        self, connection: psycopg.Connection, tenant: str, after: bytes, last: bytes
    ) -> Iterator[Held]:
        while rows := self.contents.page(connection, tenant, after, last, STORED_PAGE):
            yield from (self._held_here(row) for row in rows if row.stands)
            after = rows[-1].object_id
            if len(rows) < STORED_PAGE:
                return

    def _held_here(self, row: StoredObject) -> Held:
        """A stored passage; of its metadata what the plan carries, where it names that."""
        held = held_here(row)
        if self.plan.metadata is None:
            return held
        carried = self.mapper.property_of
        return held._replace(
            metadata={key: value for key, value in held.metadata.items() if key in carried}
        )

    def _refused(self, given: WeaviateObject, error: ItemError) -> Held:
        nothing = (None,) * len(self.mapper.vectors)
        return Held(given.id.bytes, None, None, {}, nothing, Fault("refused", error.message))


class Seen:
    """How many objects were read of each side.

    Args:
        tell: told of every so many more of Weaviate's.
    """

    def __init__(self, tell: Callable[[int], None]) -> None:
        self.here = self.there = 0
        self._tell = tell

    def stored(self, stream: Iterable[Held]) -> Iterator[Held]:
        """The stream, counted."""
        for each in stream:
            self.here += 1
            yield each

    def given(self, stream: Iterable[Held]) -> Iterator[Held]:
        """The stream, counted."""
        for each in stream:
            self.there += 1
            if self.there % TOLD_EVERY == 0:
                self._tell(TOLD_EVERY)
            yield each
        self._tell(self.there % TOLD_EVERY)


def held_here(row: StoredObject) -> Held:
    """A stored passage as it is compared."""
    document = None
    if row.source_type is not None and row.source_key is not None and row.title is not None:
        document = row.source_type, row.source_key, row.title, row.chunk_index
    return Held(
        row.object_id,
        document,
        row.content_hash,
        {} if row.metadata is None else json.loads(row.metadata),
        tuple(None if each is None else each[VECTOR_HEADER:] for each in row.vectors),
        _fault(row),
    )


def _fault(row: StoredObject) -> Fault | None:
    if row.content_hash is not None and row.stored_hash != row.content_hash.hex():
        return Fault("content", "the hash stored beside the text is not its")
    if not row.agreed:
        return Fault("content", "an embedding has another text's hash or beginning")
    if not row.alike:
        return Fault("metadata", "the collections hold different metadata")
    return None


def _held(given: WeaviateObject, passage: Passage) -> Held:
    return Held(
        given.id.bytes,
        (passage.source_type, passage.source_key, passage.title, passage.chunk_index),
        bytes.fromhex(passage.content_hash),
        passage.metadata,
        tuple(each.astype(">f4").tobytes() for each in passage.vectors),
    )
