"""Repair: exactly the objects that the newest verification named become the same on both sides.

The side that applications write to is right. Where that is pgvector, an object it has not is judged
as a backfill would: it goes from Weaviate if its document was deleted or written anew here, and
comes over if it never did, or was lost here. Nothing else is touched on either side; of what was
mended, a document that Weaviate had refused is relayed once more, so that it waits no longer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

import psycopg

from greenlang_vectors.documents.model import JSON
from greenlang_vectors.errors import ItemError
from greenlang_vectors.migration import destinations, relay
from greenlang_vectors.migration.comparison import Difference
from greenlang_vectors.migration.objects import Passage, WeaviateObject
from greenlang_vectors.migration.outgoing import outgoing
from greenlang_vectors.migration.peer import Peer
from greenlang_vectors.migration.plan import Plan
from greenlang_vectors.migration.second_look import AT_ONCE, Judge
from greenlang_vectors.migration.sides import Pair, Sides, held_here
from greenlang_vectors.migration.verification import LOCK
from greenlang_vectors.progress import Progress, silent
from greenlang_vectors.store import (
    weaviate_documents,
    weaviate_migrations,
    weaviate_removal,
    weaviate_verifications,
)
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.embedding_jobs import Burst
from greenlang_vectors.store.locks import exclusive
from greenlang_vectors.store.weaviate_outbox import Noted
from greenlang_vectors.store.weaviate_rows import Landed, Rows
from greenlang_vectors.store.weaviate_verifications import OpenDifference

Kept = dict[UUID, str]
"""Why objects could not be mended."""


@dataclass(frozen=True, slots=True)
class Repaired:
    """What a repair did.

    Attributes:
        mended: objects that are the same now.
        left: those that differ still, each with what kept it from being mended.
        under_way: objects left to the relay or the follower, as a change is on its way.
    """

    namespace: str
    mended: list[UUID] = field(default_factory=list)
    left: list[Difference] = field(default_factory=list)
    under_way: list[UUID] = field(default_factory=list)

    def as_json(self) -> dict[str, JSON]:
        """As commands and assets report it."""
        return {
            "namespace": self.namespace,
            "mended": [str(each) for each in self.mended],
            "left": [each.as_json() for each in self.left],
            "under_way": [str(each) for each in self.under_way],
        }


def repair(
    database: Database, peer: Peer, namespace: str, *, progress: Progress = silent
) -> Repaired:
    """Mend what the newest verification named, and look at each of it again.

    The relay and the follower are waited for, and wait meanwhile. Doing it again does no harm.

    Raises:
        UnknownNamespace: it is not registered.
        NotUnderWay: no move is planned, it has not begun, or it has ended.
        WeaviateUnavailable: the server does not answer; what was mended until then stays.
    """
    with (
        database.connect() as connection,
        exclusive(connection, LOCK, namespace),
        exclusive(connection, relay.LOCK, namespace),
    ):
        state = weaviate_migrations.get_under_way(connection, namespace)
        plan = Plan.model_validate(state.plan)
        known = weaviate_verifications.differences(connection, namespace)
        done = Repaired(namespace)
        if known:
            work = _Work(connection, Sides(connection, peer, namespace, plan), done)
            work.run(known, progress)
            if plan.primary == "pgvector":
                relay.carry_again(connection, peer, plan, namespace, work.documents)
            weaviate_migrations.record(
                connection,
                namespace,
                "repair",
                {
                    "mended": len(done.mended),
                    "left": len(done.left),
                    "under_way": len(done.under_way),
                },
            )
        return done


class _Work:
    """Mending in the direction of the plan's primary.

    Attributes:
        documents: whose passages were looked at.
    """

    def __init__(self, connection: psycopg.Connection, sides: Sides, done: Repaired) -> None:
        self._connection, self._sides, self._done = connection, sides, done
        self._namespace, self._plan = done.namespace, sides.plan
        self._judge = Judge(connection, sides)
        self._job = Burst(connection, self._namespace, "repair")
        self.documents: set[UUID] = set()
        language = destinations.language_of(connection, done.namespace, sides.plan)
        self._rows = Rows(done.namespace, sides.targets, language)
        self._leaves = [each.leaf for each in sides.targets]
        self._outgoing = outgoing(sides.peer, sides.plan, done.namespace, self._leaves)

    def run(self, known: Sequence[OpenDifference], progress: Progress) -> None:
        """Mend tenant by tenant, some hundred objects at a time."""
        with self._job.bit(going_on=False):
            self._run(known, progress)

    def _run(self, known: Sequence[OpenDifference], progress: Progress) -> None:
        by_tenant: defaultdict[str, list[UUID]] = defaultdict(list)
        for each in known:
            by_tenant[each.tenant].append(each.object_id)
        seen = 0
        for tenant, ids in by_tenant.items():
            for start in range(0, len(ids), AT_ONCE):
                part = ids[start : start + AT_ONCE]
                self._mend(tenant, part)
                seen += len(part)
                progress(seen, len(known), "objects")

    def _mend(self, tenant: str, ids: Sequence[UUID]) -> None:
        follows = self._plan.primary == "weaviate"
        mend = self._as_there if follows else self._as_here
        found = self._judge.look(tenant, ids)
        self.documents.update(*(pair.documents for _, pair in found.values()))
        # A change that the follower would bring is what is mended; the relay has its own order.
        kept = mend(
            tenant,
            {
                each: pair
                for each, (said, pair) in found.items()
                if said == "differs" or (said == "under way" and follows)
            },
        )
        left, moving = [], []
        for each, (said, pair) in self._judge.look(tenant, ids).items():
            if pair.found is None:
                self._done.mended.append(each)
            elif said == "under way" and not follows:
                moving.append(each)
            else:
                left.append(replace(pair.found, detail=kept.get(each, pair.found.detail)))
        self._done.left.extend(left)
        self._done.under_way.extend(moving)
        weaviate_verifications.settle(
            self._connection,
            self._namespace,
            tenant,
            [each for each in ids if each not in moving],
            [OpenDifference(each.object_id, tenant, each.kind, each.detail) for each in left],
        )

    def _as_here(self, tenant: str, wrong: Mapping[UUID, Pair]) -> Kept:
        """Make Weaviate's objects what is stored here."""
        kept: Kept = {}
        by_document: defaultdict[UUID, set[UUID]] = defaultdict(set)
        for each, pair in wrong.items():
            if pair.stored is None:
                continue
            if fault := held_here(pair.stored).fault:
                kept[each] = (
                    f"The row here is damaged ({fault.detail}): put its document again, or restore"
                    " the row."
                )
            else:
                by_document[pair.stored.document_id].add(each)
        kept |= self._send(tenant, by_document)
        return kept | self._judge_strangers(
            tenant, {each: pair for each, pair in wrong.items() if pair.stored is None}
        )

    def _send(self, tenant: str, by_document: Mapping[UUID, set[UUID]]) -> Kept:
        """Write these objects of these documents as the passages here say."""
        documents = list(by_document)
        stored = weaviate_documents.load(self._connection, self._leaves, documents)
        known = weaviate_documents.known_objects(self._connection, self._namespace, documents)
        kept: Kept = {}
        objects: list[WeaviateObject] = []
        passages: list[Passage] = []
        for document, ids in by_document.items():
            note = Noted(document, (), None, None)
            try:
                wanted = self._outgoing.wanted(note, stored.get(document), known.get(document, ()))
            except ItemError as error:
                kept |= dict.fromkeys(ids, str(error))
                continue
            if wanted is not None:
                objects += [each for each in wanted.objects if each.id in ids]
                passages += [each for each in wanted.passages if each.object_id in ids]
            kept |= dict.fromkeys(
                ids - {each.id for each in objects},
                "A vector is missing here: restore it from its archive, or embed the passage.",
            )
        weaviate_documents.remember(
            self._connection,
            self._namespace,
            [(each.object_id, tenant, each.document_id, each.chunk_index) for each in passages],
        )
        if objects:
            completed = self._outgoing.completed(tenant, objects)
            kept |= self._sides.peer.upsert(self._plan.collection, tenant, completed)
        return kept

    def _judge_strangers(self, tenant: str, wrong: Mapping[UUID, Pair]) -> Kept:
        """Delete or bring over what only Weaviate has."""
        ours = self._sides.contents.decided_here(
            self._connection, [pair.passage.document_id for pair in wrong.values() if pair.passage]
        )
        gone = [
            each
            for each, pair in wrong.items()
            if pair.passage is not None and pair.passage.document_id in ours
        ]
        if gone:
            self._sides.peer.delete(self._plan.collection, tenant, gone)
            weaviate_documents.forget(self._connection, self._namespace, tenant, gone)
        return self._land({each: pair for each, pair in wrong.items() if each not in gone})

    def _as_there(self, tenant: str, wrong: Mapping[UUID, Pair]) -> Kept:
        """Make what is stored here what Weaviate has."""
        gone = [each for each, pair in wrong.items() if pair.given is None]
        weaviate_removal.objects(
            self._connection, self._namespace, [(each, tenant) for each in gone]
        )
        kept = dict.fromkeys(
            gone, "An application wrote its document here, and what it wrote is not deleted."
        )
        return kept | self._land({each: pair for each, pair in wrong.items() if pair.given})

    def _land(self, wrong: Mapping[UUID, Pair]) -> Kept:
        """Let objects of Weaviate land in the place of what was carried over of them before."""
        passages = [pair.passage for pair in wrong.values() if pair.passage is not None]
        landed = self._rows.land(self._connection, passages, replace=True, also=self._count)
        kept = {
            each.object_id: "An application or a source wrote its document here, which stays."
            for each in passages
        }
        return kept | {each: str(error) for each, error in landed.failures.items()}

    def _count(self, landed: Landed) -> None:
        lost = len(landed.failures)
        if landed.written or lost:
            self._job.add(source=landed.written + lost, processed=landed.written, failed=lost)
