"""Verification: whether a collection of Weaviate and what is stored here are the same.

Ranges of uuids are compared side by side, each side in pages: memory does not grow with what is
compared. Nothing is taken on trust: texts are hashed by the server anew, vectors are compared bit
by bit, ids in both directions. An empty side is a failure, however well it fits the other.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

import psycopg

from greenlang_vectors.documents.model import JSON
from greenlang_vectors.migration import ranges
from greenlang_vectors.migration.comparison import Difference
from greenlang_vectors.migration.objects import item_of
from greenlang_vectors.migration.overlap import Overlap, measure
from greenlang_vectors.migration.peer import MOST_RESULTS, NIL, Peer
from greenlang_vectors.migration.plan import Plan
from greenlang_vectors.migration.second_look import settle
from greenlang_vectors.migration.sides import Seen, Sides
from greenlang_vectors.progress import Progress, silent
from greenlang_vectors.store import (
    dead_letters,
    weaviate_migrations,
    weaviate_outbox,
    weaviate_verifications,
)
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.locks import exclusive
from greenlang_vectors.store.weaviate_ranges import Range
from greenlang_vectors.store.weaviate_verifications import OpenDifference

LOCK = "weaviate verification"
READERS = 4
"""Ranges compared at once."""

MOST_NAMED = 100_000
"""Differing objects named by one verification; more are counted."""

COUNTS = 3
"""How often ids are counted until Weaviate's own count is theirs: others write meanwhile."""


@dataclass(frozen=True, slots=True)
class Verification:
    """What a verification found.

    Attributes:
        tenants: compared.
        weaviate: objects that were read there.
        counted: objects by Weaviate's own count.
        pgvector: passages that were read here.
        differing: objects that are not the same, or are on one side only.
        differences: the first `MOST_NAMED` of them.
        under_way: objects that differ because their change is still on its way across.
        waiting: documents that the relay has still to carry.
        overlap: None where either side is empty, or was not asked.
        failures: what is not as it should be, in sentences for people.
    """

    namespace: str
    started_at: datetime
    seconds: float
    tenants: int
    weaviate: int
    counted: int
    pgvector: int
    differing: int
    differences: list[Difference]
    under_way: int
    waiting: int
    overlap: Overlap | None
    failures: list[str]

    @property
    def clean(self) -> bool:
        """Whether both sides are the same, and nothing is on its way."""
        return not self.failures and not self.under_way and not self.waiting

    @property
    def kinds(self) -> dict[str, int]:
        """Named differences by kind."""
        return dict(Counter(kind for each in self.differences for kind in each.kinds))

    def as_json(self, most: int | None = None) -> dict[str, JSON]:
        """As commands and assets report it.

        Args:
            most: so many differences of all; None for every one.
        """
        return {
            "namespace": self.namespace,
            "clean": self.clean,
            "failures": [*self.failures],
            "started_at": self.started_at.isoformat(),
            "seconds": round(self.seconds, 3),
            "tenants": self.tenants,
            "weaviate": self.weaviate,
            "counted": self.counted,
            "pgvector": self.pgvector,
            "differing": self.differing,
            "kinds": {**self.kinds},
            "under_way": self.under_way,
            "waiting": self.waiting,
            "overlap": None if self.overlap is None else self.overlap.as_json(),
            "differences": [each.as_json() for each in self.differences[:most]],
        }


def verify(
    database: Database,
    peer: Peer,
    namespace: str,
    *,
    queries: int = 20,
    k: int = 10,
    patience: float = 30.0,
    progress: Progress = silent,
) -> Verification:
    """Compare a namespace with the collection it moves from; keep what was found.

    Writes may go on meanwhile: what differs is looked at a second time (`second_look`).

    Args:
        queries: stored vectors that both sides are searched with; 0 for none.
        k: answers of a search that are compared.
        patience: seconds that changes on their way across are waited for.

    Raises:
        UnknownNamespace: it is not registered.
        UsageError: no move is planned, it has not begun, or Weaviate has no such collection.
        WeaviateUnavailable, WeaviateRefused: of the server; nothing is recorded then.
    """
    with database.connect() as connection, exclusive(connection, LOCK, namespace):
        return _Work(database, connection, peer, namespace, progress).run(queries, k, patience)


class _Work:
    """One verification.

    Attributes:
        suspects: what seems to differ, by tenant; at most `MOST_NAMED` in all.
        unnamed: what seems to differ beyond those.
    """

    def __init__(
        self,
        database: Database,
        connection: psycopg.Connection,
        peer: Peer,
        namespace: str,
        progress: Progress,
    ) -> None:
        state = weaviate_migrations.get(connection, namespace)
        self._plan = Plan.model_validate(state.plan)
        self._database, self._connection, self._peer = database, connection, peer
        self._namespace, self._progress = namespace, progress
        self._sides = Sides(connection, peer, namespace, self._plan)
        self._lock = threading.Lock()
        self._done = self._expected = 0
        self._suspects: defaultdict[str, list[UUID]] = defaultdict(list)
        self._named = self._unnamed = 0
        self._read: Counter[str] = Counter()
        self._stored = 0

    def run(self, queries: int, k: int, patience: float) -> Verification:
        """Compare all, look again, search, and record it."""
        started, began = datetime.now(UTC), time.monotonic()
        there = self._sides.tenants
        counts = {each: self._peer.count(self._plan.collection, each) for each in there}
        self._expected = sum(counts.values())
        self._compare()
        uncounted = self._uncounted(counts)
        settled = settle(
            self._connection,
            self._sides,
            self._suspects,
            since_ms=int(started.timestamp() * 1000),
            patience=patience,
        )
        overlap = None
        if queries and self._stored and self._read.total():
            overlap = measure(self._connection, self._sides, queries=queries, k=k)
        found = Verification(
            namespace=self._namespace,
            started_at=started,
            seconds=time.monotonic() - began,
            tenants=len(there),
            weaviate=self._read.total(),
            counted=sum(counts.values()),
            pgvector=self._stored,
            differing=len(settled.differences) + self._unnamed,
            differences=self._explained(settled.differences),
            under_way=settled.under_way,
            waiting=weaviate_outbox.lag(self._connection, self._namespace).documents,
            overlap=overlap,
            failures=[],
        )
        missing = sorted({*(self._plan.tenants or ())} - {*there})
        found.failures.extend(_failures(found, self._plan, missing, uncounted))
        weaviate_verifications.save(
            self._connection,
            self._namespace,
            started,
            clean=found.clean,
            figures=found.as_json(0),
            differences=[
                OpenDifference(each.object_id, each.tenant, each.kind, each.detail)
                for each in found.differences
            ],
        )
        return found

    def _explained(self, differences: Sequence[Difference]) -> list[Difference]:
        """The differences, those of objects that a backfill gave up on with its reason."""
        letters = {
            each.item: each.message
            for each in dead_letters.list_all(
                self._connection, self._namespace, "backfill", discarded=True
            )
        }
        return [
            replace(each, detail=letters.get(item_of(each.tenant, each.object_id), each.detail))
            if each.kinds == ("missing in pgvector",)
            else each
            for each in differences
        ]

    def _compare(self) -> None:
        """Compare every range of every tenant that either side knows."""
        tenants = sorted({*self._sides.tenants, *self._sides.contents.tenants(self._connection)})
        with ThreadPoolExecutor(READERS, thread_name_prefix="verification") as threads:
            parts = [
                threads.submit(self._compare_range, part)
                for tenant in tenants
                for part in self._ranges(tenant)
            ]
            try:
                for part in parts:
                    part.result()
            except BaseException:
                threads.shutdown(wait=False, cancel_futures=True)
                raise
        for each in self._sides.contents.unmapped(self._connection):
            self._stored += 1
            self._suspect(self._sides.tenant_of(each.source_key), each.id)

    def _ranges(self, tenant: str) -> list[Range]:
        if tenant in self._sides.tenants:
            return ranges.split(self._peer, self._plan, tenant)
        return [Range(tenant, NIL, ranges.LAST)]

    def _compare_range(self, part: Range) -> None:
        seen, tenant = Seen(self._tell), part.tenant
        with self._database.connect() as connection:
            for found in self._sides.differences(
                connection, tenant, part.after or NIL, part.last, seen
            ):
                self._suspect(tenant, found.object_id)
        with self._lock:
            self._read[tenant] += seen.there
            self._stored += seen.here

    def _suspect(self, tenant: str, identity: UUID) -> None:
        with self._lock:
            if self._named < MOST_NAMED:
                self._named += 1
                self._suspects[tenant].append(identity)
            else:
                self._unnamed += 1

    def _tell(self, more: int) -> None:
        with self._lock:
            self._done += more
            self._progress(self._done, max(self._done, self._expected), "objects")

    def _uncounted(self, counts: Mapping[str, int]) -> list[str]:
        """The tenants whose objects Weaviate counts otherwise than it delivers them."""
        return [
            tenant
            for tenant, count in counts.items()
            if count != self._read[tenant] and not self._counts_agree(tenant)
        ]

    def _counts_agree(self, tenant: str) -> bool:
        """Count ids again: others write, and a count is of another moment than what was read."""
        collection = self._plan.collection
        for _ in range(COUNTS):
            pages = self._peer.pages(
                collection,
                tenant,
                after=None,
                last=ranges.LAST,
                size=MOST_RESULTS,
                properties=(),
                vectors=(),
            )
            if sum(map(len, pages)) == self._peer.count(collection, tenant):
                return True
        return False


def _failures(
    found: Verification, plan: Plan, missing: Sequence[str], uncounted: Sequence[str]
) -> Iterator[str]:
    """What is not as it should be."""
    if not found.weaviate:
        yield f"Weaviate's collection {plan.collection} is empty."
    if not found.pgvector:
        yield "Nothing is stored in pgvector."
    if found.differing:
        kinds = ", ".join(f"{kind}: {count:,}" for kind, count in found.kinds.items())
        yield f"{found.differing:,} objects differ ({kinds})."
    for tenant in missing:
        yield f"Weaviate has no tenant {tenant}."
    for tenant in uncounted:
        whose = f"tenant {tenant}" if tenant else plan.collection
        yield f"Weaviate counts another number of objects of {whose} than it delivers."
    if found.overlap is not None and found.overlap.mean < plan.gates.overlap:
        yield f"Answers overlap by {found.overlap.mean:.3f}, less than {plan.gates.overlap:g}."
