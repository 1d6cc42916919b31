"""Following Weaviate: what applications change there comes here (PRD 13.1, with Weaviate primary).

Weaviate tells nobody what changed, so all ids are read with the time of their last change, and
the objects that are new or changed whole. What a sweep has carried it need not carry again: one
that was killed begins anew and finds less to do.

An object goes here only when Weaviate, asked for it by its id, does not have it: a page that ends
early is not believed. A tenant without any object is taken for one that failed, unless told
otherwise.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

import psycopg

from greenlang_vectors.errors import ItemError, UsageError
from greenlang_vectors.migration import destinations
from greenlang_vectors.migration.mapping import Mapper
from greenlang_vectors.migration.objects import Passage, WeaviateObject, item_of
from greenlang_vectors.migration.peer import NIL, Peer, WeaviateRefused, WeaviateUnavailable
from greenlang_vectors.migration.plan import Plan
from greenlang_vectors.migration.ranges import LAST
from greenlang_vectors.migration.relay import LOCK
from greenlang_vectors.migration.titles import Titles
from greenlang_vectors.progress import Progress, silent
from greenlang_vectors.store import (
    dead_letters,
    weaviate_carried,
    weaviate_migrations,
    weaviate_outbox,
    weaviate_removal,
)
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.embedding_jobs import Burst
from greenlang_vectors.store.locks import exclusive
from greenlang_vectors.store.weaviate_rows import Landed, Rows

STAGE = "follow"

VANISHED_AT_ONCE = 500
"""Objects whose disappearance is looked into at once."""


@dataclass(slots=True)
class FollowReport:
    """What one sweep did.

    Attributes:
        alone: False where another follower was at work: nothing was done.
        seen: objects of Weaviate.
        written, deleted: passages.
        refused: objects and tenants that cannot be carried; each is a dead letter.
        emptied: tenants (`NO_TENANT` is the collection) without an object of which there are
            passages here: nothing of theirs was deleted.
        unavailable: what kept Weaviate from answering: what it did not show is still here. None
            where it did.
        lag_seconds: since the oldest change that was carried; 0 where there was none.
    """

    namespace: str
    alone: bool = True
    seen: int = 0
    written: int = 0
    deleted: int = 0
    refused: int = 0
    emptied: list[str] = field(default_factory=list)
    unavailable: str | None = None
    lag_seconds: float = 0.0


def follow(
    database: Database,
    peer: Peer,
    namespace: str,
    *,
    allow_empty: bool = False,
    progress: Progress = silent,
) -> FollowReport:
    """Make the passages here what Weaviate holds now.

    Args:
        allow_empty: delete everything of a tenant, or of the collection, that is empty or gone.

    Raises:
        UnknownNamespace, UsageError: it does not follow Weaviate, or the collection is gone.
        WeaviateUnavailable: the collection cannot even be looked at; nothing was changed.
    """
    report = FollowReport(namespace)
    with (
        database.connect() as connection,
        exclusive(connection, LOCK, namespace, wait=False) as alone,
    ):
        plan = _followed(connection, namespace)
        report.alone = alone
        if alone:
            _Sweep(connection, peer, plan, report).run(allow_empty, progress)
    return report


def _followed(connection: psycopg.Connection, namespace: str) -> Plan:
    state = weaviate_migrations.get_under_way(connection, namespace)
    plan = Plan.model_validate(state.plan)
    if plan.primary != "weaviate":
        raise UsageError(
            f"Applications write {namespace} to pgvector: it does not follow Weaviate.",
            "Run `greenlang-vectors migrate relay`.",
        )
    return plan


class _Sweep:
    """One sweep over the plan's collection."""

    def __init__(
        self, connection: psycopg.Connection, peer: Peer, plan: Plan, report: FollowReport
    ) -> None:
        self._connection, self._peer, self._plan, self._report = connection, peer, plan, report
        self._namespace, self._collection = report.namespace, plan.collection
        info = peer.describe(plan.collection)
        targets = destinations.present(connection, self._namespace, plan) or []
        dimensions = [target.leaf.dimensions for target in targets]
        self._mapper = Mapper(plan, self._namespace, info, dimensions)
        language = destinations.language_of(connection, self._namespace, plan)
        self._rows = Rows(self._namespace, targets, language)
        self._titles = Titles(connection, peer, plan, self._namespace)
        self._job = Burst(connection, self._namespace, "follow")
        self._failures: dict[str, ItemError] = {}
        self._oldest_ms: int | None = None

    def run(self, allow_empty: bool, progress: Progress) -> None:
        """Every tenant of the plan, and those that are here and gone there."""
        with self._job.bit(going_on=False):
            self._run(allow_empty, progress)

    def _run(self, allow_empty: bool, progress: Progress) -> None:
        wanted = self._plan.tenants
        there = self._peer.tenants(self._collection)
        here = weaviate_carried.tenants(self._connection, self._namespace)
        known = [each for each in there if wanted is None or each in wanted]
        try:
            total = sum(self._peer.count(self._collection, each) for each in known)
            for tenant in sorted({*known, *here}):
                if tenant in known:
                    self._tenant(tenant, allow_empty, total, progress)
                else:
                    self._gone(tenant, allow_empty)
        except WeaviateUnavailable as error:
            self._report.unavailable = str(error)
        for item, failure in self._failures.items():
            dead_letters.record(self._connection, self._namespace, STAGE, item, failure)
        if self._report.unavailable is None:
            dead_letters.keep_only(self._connection, self._namespace, STAGE, self._failures)
        self._report.refused = len(self._failures)
        if self._oldest_ms is not None:
            self._report.lag_seconds = max(0.0, time.time() - self._oldest_ms / 1000)

    def _tenant(self, tenant: str, allow_empty: bool, total: int, progress: Progress) -> None:
        """All of one tenant; one that is refused harms no other."""
        try:
            if not self._swept(tenant, total, progress):
                self._gone(tenant, allow_empty)
        except WeaviateRefused as error:
            self._failures[tenant or self._collection] = error

    def _swept(self, tenant: str, total: int, progress: Progress) -> bool:
        """Carry and remove what differs; say whether there is any object."""
        after = NIL
        for page in self._peer.pages(
            self._collection,
            tenant,
            after=None,
            last=LAST,
            size=self._plan.page,
            properties=(),
            vectors=(),
        ):
            self._carry(tenant, page)
            last = page[-1].id
            self._remove(tenant, (after, last), [each.id for each in page])
            after = last
            self._report.seen += len(page)
            progress(self._report.seen, max(total, self._report.seen), "objects")
        if after != NIL:
            self._remove(tenant, (after, LAST), [])
        return after != NIL

    def _carry(self, tenant: str, page: Sequence[WeaviateObject]) -> None:
        """Carry over the objects of a page that are new or changed."""
        here = weaviate_carried.carried(
            self._connection, self._namespace, tenant, [each.id for each in page]
        )
        changed = [each for each in page if here.get(each.id) != each.updated_ms]
        if not changed:
            return
        objects, passages, failures = self._read(tenant, [each.id for each in changed])
        for each in self._contested(tenant, passages):
            passages.remove(each)
            failures[each.object_id] = ItemError(
                "duplicate_passage",
                f"Passage {each.chunk_index} of {each.source_key!r} is another object, too.",
                "Number the passages of each source, in Weaviate.",
            )
        titles = self._titles.settled(tenant, [each.object_id for each in passages], passages)

        def also(landed: Landed) -> None:
            weaviate_carried.retitle(self._connection, self._namespace, titles)
            if landed.written:
                lost = len(landed.failures)
                self._job.add(source=landed.written + lost, processed=landed.written, failed=lost)

        landed = self._rows.land(
            self._connection, passages, replace=True, failures=failures, also=also
        )
        self._failures |= {
            item_of(tenant, identity): error for identity, error in landed.failures.items()
        }
        self._report.written += landed.written
        if landed.written:
            oldest = min(each.updated_ms for each in objects.values())
            self._oldest_ms = min(oldest, self._oldest_ms or oldest)

    def _read(
        self, tenant: str, ids: Sequence[UUID]
    ) -> tuple[dict[UUID, WeaviateObject], list[Passage], dict[UUID, ItemError]]:
        """Those of the objects that are there, what they become, and why others cannot."""
        objects = self._peer.fetch(
            self._collection,
            tenant,
            ids,
            properties=self._mapper.properties,
            vectors=self._mapper.vectors,
        )
        passages: list[Passage] = []
        failures: dict[UUID, ItemError] = {}
        for each in objects.values():
            try:
                passages.append(self._mapper.passage(each))
            except ItemError as error:
                failures[each.id] = error
        return objects, passages, failures

    def _contested(self, tenant: str, passages: Sequence[Passage]) -> list[Passage]:
        """Passages whose place another object has, and still claims."""
        own = {each.object_id for each in passages}
        held = {
            place: holder
            for place, holder in weaviate_carried.holders(
                self._connection, self._namespace, [_place(each) for each in passages]
            ).items()
            if holder not in own
        }
        if not held:
            return []
        _, claimants, _ = self._read(tenant, list(held.values()))
        claimed = {_place(each) for each in claimants if held.get(_place(each)) == each.object_id}
        return [each for each in passages if _place(each) in claimed]

    def _remove(self, tenant: str, between: tuple[UUID, UUID], there: Sequence[UUID]) -> None:
        """Remove what is here between two ids and not there any more."""
        after, last = between
        while True:
            missing = weaviate_carried.carried_besides(
                self._connection,
                self._namespace,
                tenant,
                (after, last),
                there,
                VANISHED_AT_ONCE,
            )
            if missing:
                found = self._peer.fetch(
                    self._collection, tenant, missing, properties=(), vectors=()
                )
                self._delete(tenant, [each for each in missing if each not in found])
                after = missing[-1]
            if len(missing) < VANISHED_AT_ONCE:
                return

    def _gone(self, tenant: str, allow_empty: bool) -> None:
        """Remove all that is here of a tenant that has nothing there, if that is so wanted."""
        while missing := weaviate_carried.carried_besides(
            self._connection, self._namespace, tenant, (NIL, LAST), [], VANISHED_AT_ONCE
        ):
            if not allow_empty:
                self._report.emptied.append(tenant)
                return
            if not self._delete(tenant, missing):
                return

    def _delete(self, tenant: str, objects: Sequence[UUID]) -> int:
        titles = self._titles.settled(tenant, objects)
        with weaviate_outbox.from_weaviate(self._connection):
            weaviate_carried.retitle(self._connection, self._namespace, titles)
            gone = weaviate_removal.objects(
                self._connection, self._namespace, [(each, tenant) for each in objects]
            )
        self._report.deleted += gone
        return gone


def _place(each: Passage) -> tuple[UUID, int]:
    return each.document_id, each.chunk_index
