"""Titles of documents whose passages each give one: the first in order is the document's.

A passage that gives none gives its document's key, which comes last.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

import psycopg

from greenlang_vectors.migration.objects import Passage
from greenlang_vectors.migration.peer import Peer
from greenlang_vectors.migration.plan import Plan
from greenlang_vectors.store import weaviate_carried, weaviate_documents

_Rank = tuple[bool, str]
_NONE: _Rank = (False, "")
"""Before every title."""


class Titles:
    """What the documents of a namespace that follows Weaviate are called."""

    def __init__(
        self, connection: psycopg.Connection, peer: Peer, plan: Plan, namespace: str
    ) -> None:
        self._connection, self._peer, self._plan = connection, peer, plan
        self._namespace = namespace

    def settled(
        self, tenant: str, objects: Iterable[UUID], passages: Sequence[Passage] = ()
    ) -> dict[UUID, str]:
        """The titles of documents once these objects have gone and these passages come.

        The other objects of a document are asked for theirs only where one goes, or gives another
        title than it may have given, and what comes does not precede the title there is.

        Args:
            objects: those that go, and those that the passages are.
        """
        if self._plan.title is None:
            return {}
        changing = {*objects}
        left = weaviate_carried.documents_of(
            self._connection, self._namespace, tenant, list(changing)
        )
        known = weaviate_carried.titles(
            self._connection, self._namespace, [*left, *(each.document_id for each in passages)]
        )
        first: dict[UUID, _Rank] = {}
        for each in passages:
            rank = each.title == each.source_key, each.title
            first[each.document_id] = min(rank, first.get(each.document_id, rank))
        now = {document: (title == key, title) for document, (key, title) in known.items()}
        asked = {each for each in left if each not in first or first[each] > now.get(each, _NONE)}
        for document, title in self._asked(tenant, sorted(asked), changing):
            key = known[document][0] if document in known else ""
            rank = title in {"", key}, title or key
            first[document] = min(rank, first.get(document, rank))
        for document in now.keys() - asked:
            first[document] = min(now[document], first.get(document, now[document]))
        return {document: title for document, (_, title) in first.items()}

    def _asked(
        self, tenant: str, documents: Sequence[UUID], changing: set[UUID]
    ) -> list[tuple[UUID, str]]:
        """What the other objects of these documents give for a title."""
        of_object = {
            each.object_id: document
            for document, objects in weaviate_documents.known_objects(
                self._connection, self._namespace, documents
            ).items()
            for each in objects
            if each.object_id not in changing
        }
        name = self._plan.title or ""
        found = self._peer.fetch(
            self._plan.collection, tenant, of_object, properties=[name], vectors=()
        )
        return [
            (of_object[identity], str(each.properties.get(name) or ""))
            for identity, each in found.items()
        ]
