"""Phase 2: every object that Weaviate holds becomes a passage here, once, and nothing newer goes.

Pages of several ranges of uuids land together, in one transaction with how far each range is, the
part of the archive that holds them, and the dead letters of those that cannot be carried.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass

import psycopg
from psycopg import sql

from greenlang_vectors.documents.language import language_of
from greenlang_vectors.errors import UsageError
from greenlang_vectors.lifecycle.location import Location
from greenlang_vectors.migration import archive, destinations, ranges, server_export
from greenlang_vectors.migration.mapping import Mapper
from greenlang_vectors.migration.objects import item_of
from greenlang_vectors.migration.peer import Peer
from greenlang_vectors.migration.plan import Plan
from greenlang_vectors.migration.reading import Page, Reader
from greenlang_vectors.migration.sample import take, tenants_of
from greenlang_vectors.migration.server_export import Exports
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
from greenlang_vectors.store.embedding_jobs import EmbeddingJob, embedding_job
from greenlang_vectors.store.locks import exclusive
from greenlang_vectors.store.namespaces import partition
from greenlang_vectors.store.weaviate_rows import Landed, Rows, language_of_rows

STAGE = "backfill"


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


def backfill(
    database: Database,
    namespace: str,
    *,
    peer: Peer,
    location: Location,
    exports: Exports | None = None,
    progress: Progress = silent,
) -> BackfillReport:
    """Carry over every object that is not here; a run that was killed goes on where it was.

    At the end the namespace is in the phase "backfilled". Its indexes are not built: see `finish`.

    Args:
        exports: where the server's own export is to be read, in place of pages. A backfill that
            has begun goes on as it began; one that read an export reads pages from the beginning
            where this is None now.

    Raises:
        UnknownNamespace: it is not registered.
        NotUnderWay: no move is planned, it has not begun, or it has ended.
        UsageError: the plan does not fit the collection.
        WeaviateUnavailable: Weaviate does not answer; what landed stays.
        LocationUnavailable: a location failed; what landed stays.
        ExportFailed, ExportUnreadable: of the server's export; what landed stays.
    """
    with database.connect() as connection, exclusive(connection, STAGE, namespace):
        state = weaviate_migrations.get_under_way(connection, namespace)
        plan = Plan.model_validate(state.plan)
        work = _prepared(connection, namespace, plan, peer, location, exports, progress)
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
    exports: Exports | None,
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
    mapper = Mapper(plan, namespace, info, [each.leaf.dimensions for each in targets])
    known = weaviate_ranges.list_all(connection, namespace)
    if exports is None and any(each.file and not each.done for each in known):
        weaviate_migrations.forget_progress(connection, namespace)
        known = []
    archive.remove_strays(location, namespace, weaviate_parts.list_all(connection, namespace))
    if exports is not None and not known:
        known = server_export.files(connection, peer, mapper, exports, tenants, progress)
        weaviate_ranges.add(connection, namespace, known)
    for tenant in sorted(set(tenants) - {each.tenant for each in known}):
        weaviate_ranges.add(connection, namespace, ranges.split(peer, plan, tenant))
    rows = Rows(namespace, targets, language)
    reader = Reader(peer, mapper, exports)
    return _Work(connection, peer, reader, location, mapper, rows, tenants, progress)


class _Work:
    """Carrying over what is left of the ranges."""

    def __init__(
        self,
        connection: psycopg.Connection,
        peer: Peer,
        reader: Reader,
        location: Location,
        mapper: Mapper,
        rows: Rows,
        tenants: Sequence[str],
        progress: Progress,
    ) -> None:
        self._connection, self._peer, self._location = connection, peer, location
        self._reader = reader
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
        self._read = self._swept = 0

    def run(self) -> BackfillReport:
        """Carry over all that is left, then tell the planner and seal the archive."""
        connection, namespace = self._connection, self._namespace
        self._progress(self._done_before, self._total, "objects")
        with ExitStack() as jobs:
            opened = [
                jobs.enter_context(
                    embedding_job(
                        connection,
                        namespace,
                        target.leaf.model,
                        "weaviate",
                        source_count=self._total - self._done_before,
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
        # A crash of the server takes back the newest transactions whole, and how far the ranges
        # are with them: nothing waits for its disk before the end.
        self._connection.execute("SET synchronous_commit = off")
        with (
            closing(self._reader.batches(self._left)) as batches,
            ThreadPoolExecutor(1, thread_name_prefix="weaviate-archive") as writer,
        ):
            for batch in batches:
                self._land(batch, jobs, writer)
        self._connection.execute("SET synchronous_commit = on")

    def _land(
        self, batch: Sequence[Page], jobs: Sequence[EmbeddingJob], writer: ThreadPoolExecutor
    ) -> None:
        """Let pages land with all that belongs to them, in one transaction."""
        connection, namespace = self._connection, self._namespace
        objects = [each for page in batch for each in page.objects]
        passages = [each for page in batch for each in page.passages]
        part = None
        if objects:
            pages = [page.archived for page in batch if page.objects]
            vectors = self._mapper.vectors
            part = writer.submit(archive.put_pages, self._location, namespace, pages, vectors)

        def also(landed: Landed) -> None:
            for page in batch:
                if page.objects:
                    weaviate_ranges.advance(
                        connection,
                        namespace,
                        page.part,
                        page.objects[-1].id,
                        len(page.objects),
                    )
                else:
                    weaviate_ranges.finish(connection, namespace, page.part)
            if part is not None:
                weaviate_parts.note(connection, namespace, part.result())
            for each in objects:
                if error := landed.failures.get(each.id):
                    item = item_of(each.tenant, each.id)
                    dead_letters.record(connection, namespace, STAGE, item, error)
            for job in jobs:
                job.add(processed=landed.written, failed=len(landed.failures))

        failures = {key: error for page in batch for key, error in page.failures.items()}
        landed = self._rows.land(connection, passages, failures=failures, also=also)
        if passages:
            documents = {each.document_id for each in passages}
            self._swept += weaviate_removal.sweep(connection, namespace, documents)
        self._landed.written += landed.written
        self._landed.left_alone += landed.left_alone
        self._read += len(objects)
        done = self._done_before + self._read
        self._progress(done, max(done, self._total), "objects")
