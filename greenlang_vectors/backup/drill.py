"""Restore drills: an export is restored into a scratch database, compared, and searched in.

Only an export that came through its newest drill is good. What a drill found is kept beside the
export, where it survives the database, and in the database. A drill that cannot be held (nobody
answers, the disk is full) says nothing of the export, and is not kept.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg

from greenlang_vectors.backup import exports, records
from greenlang_vectors.backup.errors import ExportDamaged
from greenlang_vectors.backup.manifest import Drill, Manifest, Recall, drill_key
from greenlang_vectors.backup.restore import RestoreReport, restore
from greenlang_vectors.backup.scratch import scratch_database
from greenlang_vectors.lifecycle.location import Location
from greenlang_vectors.lifecycle.sealing import sealed, sha256_of
from greenlang_vectors.progress import Progress, silent
from greenlang_vectors.quality.recall import Questions, Truth
from greenlang_vectors.quality.workload import SEED, sample_vectors
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import collections, leaves, namespaces, schema, segments
from greenlang_vectors.store.cell_training import CONFIDENCE
from greenlang_vectors.store.collections import Collection
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.locks import exclusive

logger = logging.getLogger(__name__)

LOCK = "restore drill"


@dataclass(frozen=True, slots=True)
class _Found:
    report: RestoreReport | None
    server: str
    pgvector: str
    recalls: tuple[Recall, ...]
    problem: str | None


def drill(
    database: Database,
    location: Location,
    export_id: str,
    *,
    settings: Settings,
    progress: Progress = silent,
) -> Drill:
    """Prove an export, or find that it is none: whether it passed, and why not, is in the result.

    Every count and checksum is compared, versions too; every collection is searched with stored
    vectors, through its ANN indexes where it has some, and recall@10 is held against what the
    namespace is promised, as far as so many questions tell. How long the restore took is the
    measured RTO (PRD 12.4).

    Raises:
        UnknownExport: there is none of this id.
        ExportDamaged: its manifest cannot be read, so that nothing can be said of the rest.
        UsageError: the export does not fit the scratch server.
        DatabaseUnavailable, RestoreFailed, LocationUnavailable: the drill could not be held.
    """
    with database.connect() as connection, exclusive(connection, LOCK):
        manifest = exports.opened(connection, location, export_id)
        found = _prove(database, location, manifest, settings, progress)
        held = Drill(
            export=export_id,
            namespace=manifest.namespace,
            manifest_sha256=sha256_of(manifest),
            drilled_at=datetime.now(UTC),
            passed=found.problem is None,
            problem=found.problem,
            restore_seconds=found.report.seconds if found.report else None,
            server_version=found.server,
            pgvector_version=found.pgvector,
            tables=len(manifest.tables) if found.report else 0,
            rows=found.report.rows if found.report else 0,
            recalls=found.recalls,
        )
        location.put(drill_key(export_id, held.drilled_at), sealed(held))
        records.note_drill(connection, held)
    return held


def _prove(
    database: Database,
    location: Location,
    manifest: Manifest,
    settings: Settings,
    progress: Progress,
) -> _Found:
    with scratch_database(database, settings) as scratch:
        with scratch.connection() as connection:
            server, pgvector = schema.versions(connection)
        try:
            report = restore(
                scratch, location, manifest.export, settings=settings, progress=progress
            )
        except ExportDamaged as error:
            return _Found(None, server, pgvector, (), error.problem)
        with scratch.connect() as connection:
            recalls = recalls_of(connection, manifest.namespace, settings, progress)
    low = [
        f"searches of {each.collection} find {each.recall_at_10:.3f} of the exact answers,"
        f" {each.target:g} is promised"
        for each in recalls
        if not each.kept
    ]
    return _Found(report, server, pgvector, recalls, "; ".join(low) or None)


def recalls_of(
    connection: psycopg.Connection, namespace: str, settings: Settings, progress: Progress
) -> tuple[Recall, ...]:
    """What searches find in each restored collection that holds anything."""
    target = namespaces.get(connection, namespace).recall_target
    known = collections.list_all(connection, namespace)
    found = []
    for done, each in enumerate(known, start=1):
        if rows := leaves.count(connection, each.leaf):
            found.append(_recall(connection, each, rows, target, settings))
        progress(done, len(known), "collections searched")
    return tuple(found)


def _recall(
    connection: psycopg.Connection,
    collection: Collection,
    rows: int,
    target: float,
    settings: Settings,
) -> Recall:
    leaf, index = collection.leaf, collection.searched
    indexed = any(each.valid for each in segments.on_leaf(connection, leaf))
    questions = Questions(sample_vectors(connection, leaf, settings.quality_sample, SEED))
    answered = Truth(connection, leaf, questions, index, "index" if indexed else "auto").ask(index)
    count = len(answered.recall)
    spread = float(answered.recall.std(ddof=1)) if count > 1 else 0.0
    return Recall(
        collection=collection.name,
        rows=rows,
        indexed=indexed,
        queries=count,
        recall_at_10=answered.mean,
        target=target,
        margin=CONFIDENCE * spread / count**0.5,
    )
