"""Phase 2: every object that Weaviate holds becomes a passage here, once, and nothing newer goes.

Ranges of uuids are read side by side, a page of each at a time: the next page of a range is asked
for when the one before has landed. So memory holds a page a range, and a killed run reads no more
than that again. Pages of several ranges land together, in one transaction with how far each range
is, the part of the archive that holds them, and the dead letters of those that cannot be carried.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from uuid import UUID

import psycopg
from psycopg import sql

from greenlang_vectors.documents.language import language_of
from greenlang_vectors.errors import ItemError, UsageError
from greenlang_vectors.lifecycle.location import Location
from greenlang_vectors.migration import archive, destinations, ranges
from greenlang_vectors.migration.mapping import Mapper
from greenlang_vectors.migration.objects import Passage, WeaviateObject
from greenlang_vectors.migration.peer import Peer
from greenlang_vectors.migration.plan import Plan
from greenlang_vectors.migration.sample import take, tenants_of
from greenlang_vectors.progress import Progress, silent
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import (
    dead_letters,
    maintenance,
    text_statistics,
    weaviate_migrations,
    weaviate_parts,
    weaviate_ranges,
    weaviate_removal,
)
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.locks import exclusive
from greenlang_vectors.store.namespaces import partition
from greenlang_vectors.store.records import EmbeddingJob, embedding_job
from greenlang_vectors.store.weaviate_ranges import Range
from greenlang_vectors.store.weaviate_rows import Landed, Rows, language_of_rows

STAGE = "backfill"

READERS = 4
"""Pages read at once: more do not make one server quicker, and each takes a connection's memory."""

PHASES = ("parallel", "backfilled", "shifting")
"""In which objects may be carried over."""


@dataclass(frozen=True, slots=True)
class BackfillReport:
    """What a run did.

    Attributes:
        read: objects that were read.
        written: passages that were not here before.
        left_alone: objects whose document something newer has, or that were here.
        failed: objects that are dead letters now, of all runs.
        swept: documents that were deleted here while their objects landed.
        objects: read by all runs together.
        parts: of the archive.
    """

    namespace: str
    read: int
    written: int
    left_alone: int
    failed: int
    swept: int
    objects: int
    parts: int


@dataclass
class _Open:
    """A range that is read, and its pages that are still to come."""

    part: Range
    pages: Iterator[list[WeaviateObject]]


@dataclass
class _Page:
    """A page as it was read; without objects at the end of its range."""

    source: _Open
    objects: list[WeaviateObject]
    passages: list[Passage] = field(default_factory=list)
    failures: dict[UUID, ItemError] = field(default_factory=dict)


def backfill(
    database: Database,
    namespace: str,
    *,
    peer: Peer,
    location: Location,
    progress: Progress = silent,
) -> BackfillReport:
    """Carry over every object that is not here; a run that was killed goes on where it was.

    At the end the namespace is in the phase "backfilled". Its indexes are not built: see `finish`.

    Raises:
        UnknownNamespace: it is not registered.
        UsageError: no move is planned or dual writing has not begun; the plan does not fit the
            collection.
        WeaviateUnavailable: Weaviate does not answer; what landed stays.
        LocationUnavailable: the backup location failed; what landed stays.
    """
    with database.connect() as connection, exclusive(connection, STAGE, namespace):
        state = weaviate_migrations.get(connection, namespace)
        plan = Plan.model_validate(state.plan)
        if state.phase not in PHASES:
            raise UsageError(
                f"The migration of {namespace} is in the phase {state.phase}.",
                "`greenlang-vectors migrate start` begins writing to both sides, then backfill.",
            )
        work = _prepared(connection, namespace, plan, peer, location, progress)
        report = work.run()
        if state.phase == "parallel":
            with weaviate_migrations.changing(connection, namespace):
                weaviate_migrations.move(
                    connection,
                    namespace,
                    STAGE,
                    phase="backfilled",
                    share=state.share,
                    evidence={"objects": report.objects, "failed": report.failed},
                )
        return report


def finish(
    database: Database, namespace: str, plan: Plan, settings: Settings, progress: Progress = silent
) -> None:
    """Build the indexes of what was carried over; searches go on meanwhile.

    Raises:
        IndexBuildFailed: a build broke off.
    """
    with database.connect() as connection:
        targets = destinations.present(connection, namespace, plan)
    for target in targets or ():
        maintenance.maintain(database, target.leaf, settings, progress)


def _prepared(
    connection: psycopg.Connection,
    namespace: str,
    plan: Plan,
    peer: Peer,
    location: Location,
    progress: Progress,
) -> _Work:
    info = peer.describe(plan.collection)
    if wrong := [each for each in Mapper(plan, namespace, info).problems() if each.fatal]:
        said = " ".join(f"{each.message} {each.remedy}" for each in wrong)
        raise UsageError(f"The plan of {namespace} does not fit {plan.collection}: {said}")
    tenants = tenants_of(peer, plan)
    targets = destinations.present(connection, namespace, plan)
    language = plan.language or language_of_rows(connection, namespace)
    if targets is None or language is None:
        sample = take(peer, Mapper(plan, namespace, info), tenants)
        targets = destinations.prepare(connection, namespace, plan, info, sample.dimensions)
        language = language or language_of("\n".join(sample.texts))
    archive.remove_strays(location, namespace, weaviate_parts.list_all(connection, namespace))
    known = weaviate_ranges.list_all(connection, namespace)
    for tenant in sorted(set(tenants) - {each.tenant for each in known}):
        weaviate_ranges.add(connection, namespace, ranges.split(peer, plan, tenant))
    mapper = Mapper(plan, namespace, info, [each.leaf.dimensions for each in targets])
    rows = Rows(namespace, targets, language)
    return _Work(connection, peer, location, mapper, rows, tenants, progress)


class _Work:
    """Carrying over what is left of the ranges."""

    def __init__(
        self,
        connection: psycopg.Connection,
        peer: Peer,
        location: Location,
        mapper: Mapper,
        rows: Rows,
        tenants: Sequence[str],
        progress: Progress,
    ) -> None:
        self._connection, self._peer, self._location = connection, peer, location
        self._mapper, self._rows, self._plan = mapper, rows, mapper.plan
        self._namespace = rows.namespace
        known = weaviate_ranges.list_all(connection, self._namespace)
        self._left = [each for each in known if not each.done and each.tenant in tenants]
        self._done_before = sum(each.objects for each in known)
        self._total = max(
            self._done_before, sum(peer.count(self._plan.collection, each) for each in tenants)
        )
        self._progress = progress
        self._landed = Landed()
        self._read = self._failed = self._swept = 0

    def run(self) -> BackfillReport:
        """Carry over all that is left, then tell the planner and seal the archive."""
        connection, namespace = self._connection, self._namespace
        self._progress(self._done_before, self._total, "objects")
        with ExitStack() as jobs:
            opened = [
                jobs.enter_context(
                    embedding_job(
                        connection,
                        target.leaf,
                        self._plan.source_type,
                        self._total - self._done_before,
                    )
                )
                for target in self._rows.targets
            ]
            self._carry(opened)
        self._swept += weaviate_removal.sweep(connection, namespace)
        if self._read:
            for table in ("documents", "document_chunks", "weaviate_objects"):
                connection.execute(sql.SQL("ANALYZE {}").format(partition(table, namespace)))
            for target in self._rows.targets:
                connection.execute(sql.SQL("ANALYZE {}").format(target.leaf.table))
        text_statistics.refresh(connection, namespace)
        parts = weaviate_parts.list_all(connection, namespace)
        archive.seal(
            self._location,
            namespace,
            self._plan.collection,
            parts,
            self._mapper.properties,
            self._mapper.vectors,
        )
        return BackfillReport(
            namespace=namespace,
            read=self._read,
            written=self._landed.written,
            left_alone=self._landed.left_alone,
            failed=len(dead_letters.list_all(connection, namespace, STAGE)),
            swept=self._swept,
            objects=self._done_before + self._read,
            parts=len(parts),
        )

    def _carry(self, jobs: Sequence[EmbeddingJob]) -> None:
        waiting = iter([_Open(each, self._pages(each)) for each in self._left])
        with ThreadPoolExecutor(READERS, thread_name_prefix="weaviate-read") as readers:
            try:
                reading = {
                    readers.submit(self._next, each) for each in islice(waiting, self._plan.ranges)
                }
                ready: list[_Page] = []
                while reading or ready:
                    ready += _arrived(reading, block=not self._enough(ready, reading))
                    if not self._enough(ready, reading):
                        continue
                    batch = self._batch(ready)
                    # The ranges of what lands now wait for it; the others are read meanwhile.
                    self._land(batch, jobs)
                    for page in batch:
                        following = page.source if page.objects else next(waiting, None)
                        if following is not None:
                            reading.add(readers.submit(self._next, following))
            except BaseException:
                readers.shutdown(cancel_futures=True)
                raise

    def _enough(self, ready: Sequence[_Page], reading: set[Future[_Page]]) -> bool:
        """Whether what is ready is worth a transaction: half the ranges, or a batch."""
        return bool(ready) and (
            len(ready) >= len(reading)
            or sum(len(page.objects) for page in ready) >= self._plan.batch
        )

    def _batch(self, ready: list[_Page]) -> list[_Page]:
        """Take pages of as many objects as one transaction may hold, and at least one page."""
        batch: list[_Page] = []
        size = 0
        while ready and (not batch or size + len(ready[0].objects) <= self._plan.batch):
            batch.append(ready.pop(0))
            size += len(batch[-1].objects)
        return batch

    def _pages(self, part: Range) -> Iterator[list[WeaviateObject]]:
        return self._peer.pages(
            self._plan.collection,
            part.tenant,
            after=part.after,
            last=part.last,
            size=self._plan.page,
            properties=self._mapper.properties,
            vectors=self._mapper.vectors,
        )

    def _next(self, source: _Open) -> _Page:
        """The next page of a range and what its objects become; in a reader's thread."""
        page = _Page(source, next(source.pages, []))
        for each in page.objects:
            try:
                page.passages.append(self._mapper.passage(each))
            except ItemError as error:
                page.failures[each.id] = error
        return page

    def _land(self, batch: Sequence[_Page], jobs: Sequence[EmbeddingJob]) -> None:
        """Let pages land with all that belongs to them, in one transaction."""
        connection, namespace = self._connection, self._namespace
        objects = [each for page in batch for each in page.objects]
        passages = [each for page in batch for each in page.passages]
        part = (
            archive.put(self._location, namespace, objects, self._mapper.vectors)
            if objects
            else None
        )

        def also(landed: Landed) -> None:
            for page in batch:
                if page.objects:
                    weaviate_ranges.advance(
                        connection,
                        namespace,
                        page.source.part,
                        page.objects[-1].id,
                        len(page.objects),
                    )
                else:
                    weaviate_ranges.finish(connection, namespace, page.source.part)
            if part is not None:
                weaviate_parts.note(connection, namespace, part)
            for each in objects:
                if error := landed.failures.get(each.id):
                    dead_letters.record(connection, namespace, STAGE, item_of(each), error)

        failures = {key: error for page in batch for key, error in page.failures.items()}
        landed = self._rows.land(connection, passages, failures=failures, also=also)
        if passages:
            documents = {each.document_id for each in passages}
            self._swept += weaviate_removal.sweep(connection, namespace, documents)
        self._landed.written += landed.written
        self._landed.left_alone += landed.left_alone
        self._failed += len(landed.failures)
        self._read += len(objects)
        for job in jobs:
            job.advance(self._landed.written, self._failed)
        done = self._done_before + self._read
        self._progress(done, max(done, self._total), "objects")


def item_of(each: WeaviateObject) -> str:
    """What a dead letter calls an object."""
    return f"{each.tenant}/{each.id}" if each.tenant else str(each.id)


def _arrived(reading: set[Future[_Page]], *, block: bool) -> list[_Page]:
    """Take the pages that have been read; wait for one if there is nothing else to do.

    Raises:
        WeaviateUnavailable, WeaviateRefused: what reading one of them failed with.
    """
    done, _ = wait(reading, None if block else 0, FIRST_COMPLETED)
    reading -= done
    return [each.result() for each in done]
