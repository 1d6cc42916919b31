"""Passages that come from Weaviate, as rows: document, chunk, embeddings, and which object it is.

A passage lands whole or not at all, and never in the place of something newer: a document that an
application or a source has written, or that was deleted here, is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

import numpy as np
import psycopg
from numpy.typing import NDArray

from greenlang_vectors.documents.model import JSON
from greenlang_vectors.errors import ItemError
from greenlang_vectors.store import collections, weaviate_holders, weaviate_removal, writing
from greenlang_vectors.store.bulk import as_columns, copy_rows, id_array
from greenlang_vectors.store.embeddings import PREVIEW_CHARACTERS
from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.weaviate_outbox import from_weaviate
from greenlang_vectors.store.weaviate_removal import ORIGIN
from greenlang_vectors.store.writing import EmbeddingRow

BYTES_PER_TOKEN = 5
"""Of EU regulations in English. Counting takes 0.2 ms a passage, as long as all else together."""


@dataclass(frozen=True, slots=True, eq=False)
class Passage:
    """What an object of Weaviate becomes.

    Attributes:
        document_id: derived from namespace, source type and source key (`store.identity`).
        vectors: in the order of the plan's.
        updated_ms: Weaviate's time of its last change; None where it was written here first.
    """

    object_id: UUID
    tenant: str
    source_type: str
    source_key: str
    document_id: UUID
    chunk_index: int
    title: str
    content: str
    content_hash: str
    metadata: dict[str, JSON]
    vectors: tuple[NDArray[np.float32], ...]
    updated_ms: int | None


class Target(NamedTuple):
    """Where one vector of each passage goes.

    Attributes:
        fingerprint: what the vectors were made with.
    """

    leaf: Leaf
    fingerprint: str


@dataclass
class Landed:
    """What became of passages.

    Attributes:
        written: passages that are here now and were not before, or not so.
        left_alone: those whose place something newer has, or that were here already.
        failures: those that cannot be stored, by object.
    """

    written: int = 0
    left_alone: int = 0
    failures: dict[UUID, ItemError] = field(default_factory=dict)


class _Refused(Exception):
    """The writer refused rows: the transaction is taken back and repeated without them."""


class Rows:
    """The rows of one namespace's passages.

    Args:
        targets: of each vector, in the order of the passages'.
        language: text search configuration of the passages.
    """

    def __init__(self, namespace: str, targets: Sequence[Target], language: str) -> None:
        self.namespace = namespace
        self.targets = targets
        self.language = language

    def land(
        self,
        connection: psycopg.Connection,
        passages: Sequence[Passage],
        *,
        replace: bool = False,
        failures: Mapping[UUID, ItemError] | None = None,
        also: Callable[[Landed], None] | None = None,
    ) -> Landed:
        """Store passages in one transaction; doing so again changes nothing.

        Args:
            replace: in the place of what was carried over before. Otherwise a passage that is
                here stays.
            failures: of objects that did not become passages; they are among those of the result.
            also: called within the transaction, with what has become of the passages.
        """
        landed = Landed(failures=dict(failures or {}))
        while True:
            rest = [each for each in passages if each.object_id not in landed.failures]
            try:
                with from_weaviate(connection), collections.settled(connection, self.namespace):
                    landed.written, landed.left_alone = self._land(
                        connection, rest, landed.failures, replace=replace
                    )
                    if also is not None:
                        also(landed)
            except _Refused:
                continue
            return landed

    def _land(
        self,
        connection: psycopg.Connection,
        passages: Sequence[Passage],
        failures: dict[UUID, ItemError],
        *,
        replace: bool,
    ) -> tuple[int, int]:
        if not passages:
            return 0, 0
        own = weaviate_holders.opened(
            connection, self.namespace, self.language, passages, replace=replace
        )
        mine = [each for each in passages if each.document_id in own]
        if replace:
            self._clear_places(connection, mine)
        new = self._note_objects(connection, mine, failures)
        if new:
            self._copy_chunks(connection, new)
            for place, target in enumerate(self.targets):
                self._write(connection, target, new, place, failures)
        filled = {each.document_id for each in new}
        weaviate_removal.empty_documents(connection, self.namespace, own - filled)
        refused = sum(each.object_id in failures for each in passages)
        return len(new), len(passages) - len(new) - refused

    def _note_objects(
        self,
        connection: psycopg.Connection,
        passages: Sequence[Passage],
        failures: dict[UUID, ItemError],
    ) -> list[Passage]:
        """Note which objects the passages are; return those of them that are new.

        As a rule all are: where one is not, a unique key tells.
        """
        try:
            with connection.transaction():
                self._copy_objects(connection, passages)
        except psycopg.errors.UniqueViolation:
            new = self._absent(connection, passages, failures)
            self._copy_objects(connection, new)
            return new
        return list(passages)

    def _absent(
        self,
        connection: psycopg.Connection,
        passages: Sequence[Passage],
        failures: dict[UUID, ItemError],
    ) -> list[Passage]:
        """The passages that are not here; one whose place another object has is a failure."""
        taken: dict[tuple[UUID, int], tuple[UUID, str]] = {}
        here: set[tuple[UUID, str]] = set()
        for document, index, *found in connection.execute(
            """
            SELECT document_id, chunk_index, object_id, tenant FROM weaviate_objects
            WHERE namespace = %(namespace)s AND document_id = ANY(%(documents)s::uuid[])
            UNION
            SELECT document_id, chunk_index, object_id, tenant FROM weaviate_objects
            WHERE namespace = %(namespace)s AND object_id = ANY(%(objects)s::uuid[])
            """,
            {
                "namespace": self.namespace,
                "documents": id_array({each.document_id for each in passages}),
                "objects": id_array(each.object_id for each in passages),
            },
            prepare=False,  # a plan made while the table was empty reads all of it
        ):
            taken[document, index] = holder = found[0], found[1]
            here.add(holder)
        new = []
        for each in passages:
            place, object_ = (each.document_id, each.chunk_index), (each.object_id, each.tenant)
            holder = taken.setdefault(place, object_)
            if holder is object_ and object_ not in here:
                new.append(each)
            elif holder != object_ and object_ not in here:
                failures[each.object_id] = ItemError(
                    "duplicate_passage",
                    f"Passage {each.chunk_index} of {each.source_key!r} is the object "
                    f"{holder[0]}, too.",
                    "Number the passages of each source, in Weaviate.",
                )
        return new

    def _copy_chunks(self, connection: psycopg.Connection, passages: Sequence[Passage]) -> None:
        copy_rows(
            connection,
            "document_chunks",
            _CHUNK_COLUMNS,
            (
                (
                    self.namespace,
                    each.document_id,
                    each.chunk_index,
                    0,
                    each.content,
                    each.content_hash,
                    2 + len(each.content.encode()) // BYTES_PER_TOKEN,
                    0,
                    len(each.content),
                    [],
                    self.language,
                )
                for each in passages
            ),
        )

    def _copy_objects(self, connection: psycopg.Connection, passages: Sequence[Passage]) -> None:
        copy_rows(
            connection,
            "weaviate_objects",
            _OBJECT_COLUMNS,
            (
                (
                    self.namespace,
                    each.object_id,
                    each.tenant,
                    each.document_id,
                    each.chunk_index,
                    each.updated_ms,
                )
                for each in passages
            ),
        )

    def _write(
        self,
        connection: psycopg.Connection,
        target: Target,
        passages: Sequence[Passage],
        place: int,
        failures: dict[UUID, ItemError],
    ) -> None:
        report = writing.write(
            connection,
            target.leaf,
            [
                EmbeddingRow(
                    each.source_type,
                    each.document_id,
                    each.chunk_index,
                    each.content_hash,
                    each.content[:PREVIEW_CHARACTERS],
                    each.metadata,
                )
                for each in passages
            ],
            [each.vectors[place] for each in passages],
            fingerprint=target.fingerprint,
        )
        if report.failures:
            failures.update(
                {passages[row].object_id: error for row, error in report.failures.items()}
            )
            raise _Refused

    def _clear_places(self, connection: psycopg.Connection, passages: Sequence[Passage]) -> None:
        """Remove what the objects were before, and what has the places they take now."""
        ids, tenants, documents, indexes = as_columns(
            (
                (each.object_id, each.tenant, each.document_id, each.chunk_index)
                for each in passages
            ),
            4,
        )
        rows = connection.execute(
            """
            SELECT o.document_id, o.chunk_index
            FROM unnest(%(ids)s::uuid[], %(tenants)s::text[], %(documents)s::uuid[],
                        %(indexes)s::integer[]) AS asked (object_id, tenant, document, index)
            JOIN weaviate_objects o ON o.namespace = %(namespace)s
                AND (o.object_id = asked.object_id AND o.tenant = asked.tenant
                     OR o.document_id = asked.document AND o.chunk_index = asked.index)
            """,
            {
                "ids": ids,
                "tenants": tenants,
                "documents": documents,
                "indexes": indexes,
                "namespace": self.namespace,
            },
        ).fetchall()
        weaviate_removal.passages(connection, self.namespace, rows, keep=set(documents))


def language_of_rows(connection: psycopg.Connection, namespace: str) -> str | None:
    """The language of the passages that are here already; None before the first."""
    row = connection.execute(
        "SELECT language FROM documents WHERE namespace = %s AND origin = %s LIMIT 1",
        [namespace, ORIGIN],
    ).fetchone()
    return None if row is None else str(row[0])


_CHUNK_COLUMNS = {
    "namespace": "varchar",
    "document_id": "uuid",
    "chunk_index": "int4",
    "level": "int2",
    "content": "text",
    "content_hash": "varchar",
    "token_count": "int4",
    "start_char": "int4",
    "end_char": "int4",
    "heading_path": "text[]",
    "language": "varchar",
}
_OBJECT_COLUMNS = {
    "namespace": "varchar",
    "object_id": "uuid",
    "tenant": "text",
    "document_id": "uuid",
    "chunk_index": "int4",
    "updated_ms": "int8",
}
