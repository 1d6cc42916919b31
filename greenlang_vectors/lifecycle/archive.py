"""Archiving: what has not been written for long moves from a leaf to the backup location.

An archive is written whole, read back whole and compared, and only then do rows leave, page by
page in short transactions, each page read back once more and each row only if the database still
holds exactly those bits. Killed anywhere and run again, it goes on where it was.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg

from greenlang_vectors.errors import UsageError
from greenlang_vectors.lifecycle.location import Location
from greenlang_vectors.lifecycle.manifest import (
    ROOT,
    ArchiveDamaged,
    Manifest,
    Part,
    RowsChecksum,
    key,
    new_id,
    sum_of,
)
from greenlang_vectors.lifecycle.parquet import PartWriter
from greenlang_vectors.lifecycle.reading import opened, rows_of, verify
from greenlang_vectors.lifecycle.sealing import sealed, sha256_of
from greenlang_vectors.progress import Progress, silent
from greenlang_vectors.store import archived, archives, namespaces, schema
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.locks import exclusive

logger = logging.getLogger(__name__)

LOCK = "archive"
PAGE_ROWS = 2000
PART_BYTES = 32 * 2**20
"""A part is closed at the first page that reaches this size."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """What an archive of one leaf would hold."""

    model: str
    rows: int
    cutoff: datetime


@dataclass(frozen=True, slots=True)
class ArchiveReport:
    """What became of one archive.

    Attributes:
        rows: what it holds.
        archived: rows that left the database for it.
        kept: rows that stayed, because they changed or went meanwhile.
        size_bytes: of its parts.
    """

    archive: str
    namespace: str
    model: str
    rows: int
    archived: int
    kept: int
    parts: int
    size_bytes: int


def candidates(
    database: Database, namespace: str, *, older_than: timedelta, model: str | None = None
) -> list[Candidates]:
    """What `archive` would move, by model; nothing is changed.

    Raises:
        UnknownNamespace: it is not registered.
        UsageError: the namespace has no embeddings of this model.
    """
    with database.connection() as connection:
        cutoff = archived.moment_before(connection, older_than)
        return [
            Candidates(leaf.model, archived.count_older(connection, leaf, cutoff), cutoff)
            for leaf in _leaves(connection, namespace, model)
        ]


def archive(
    database: Database,
    location: Location,
    namespace: str,
    *,
    older_than: timedelta,
    model: str | None = None,
    progress: Progress = silent,
) -> list[ArchiveReport]:
    """Move embeddings last written longer ago than this to the backup location (PRD 15.3).

    What a killed run left is finished first. An archive of each model with such rows is made.

    Args:
        model: of this model alone.

    Raises:
        UnknownNamespace: it is not registered.
        UsageError: the namespace has no embeddings of this model.
        LocationUnavailable: the location failed; no row left for what was not written whole.
        ArchiveDamaged: what was read back is not what was written; no row left for it.
    """
    with database.connect() as connection:
        chosen = _leaves(connection, namespace, model)
        with exclusive(connection, LOCK, namespace):
            cutoff = archived.moment_before(connection, older_than)
            reports = []
            for leaf in chosen:
                for archive_id in archives.unfinished(connection, leaf):
                    if _is_whole(connection, location, leaf, archive_id):
                        manifest = opened(connection, location, archive_id)
                        archives.seal(connection, namespace, archive_id, sha256_of(manifest))
                        reports.append(_let_go(connection, location, manifest, progress))
                if rows := archived.count_older(connection, leaf, cutoff):
                    work = _Work(connection, location, leaf, cutoff, older_than)
                    if written := work.write(rows, progress):
                        reports.append(_let_go(connection, location, written, progress))
    return reports


def _leaves(connection: psycopg.Connection, namespace: str, model: str | None) -> list[Leaf]:
    namespaces.get(connection, namespace)
    known = archived.leaves_of(connection, namespace)
    if model is None:
        return known
    chosen = [leaf for leaf in known if leaf.model == model]
    if not chosen:
        models = ", ".join(leaf.model for leaf in known) or "none"
        raise UsageError(f"{namespace} has no embeddings of {model!r}.", f"Models: {models}.")
    return chosen


class _Work:
    """Writing one archive."""

    def __init__(
        self,
        connection: psycopg.Connection,
        location: Location,
        leaf: Leaf,
        cutoff: datetime,
        older_than: timedelta,
    ) -> None:
        self._connection, self._location, self._leaf = connection, location, leaf
        self._cutoff, self._older_than = cutoff, older_than
        self._id = new_id(leaf.namespace)
        self._parts: list[Part] = []
        self._fingerprints: Counter[str] = Counter()

    def write(self, total: int, progress: Progress) -> Manifest | None:
        """Write the parts, then the manifest; None if the rows have gone meanwhile.

        Args:
            total: about how many rows there are.
        """
        connection, leaf = self._connection, self._leaf
        archives.begin(connection, leaf, self._id)
        writer, checksum, done = PartWriter(leaf.dimensions), RowsChecksum(), 0
        for rows in archived.older(connection, leaf, self._cutoff, PAGE_ROWS):
            writer.add(rows)
            checksum.add(rows)
            self._fingerprints.update(row.embedding_fingerprint for row in rows)
            done += len(rows)
            progress(min(done, total), total, "rows")
            if writer.size >= PART_BYTES:
                self._put(writer, checksum)
                writer, checksum = PartWriter(leaf.dimensions), RowsChecksum()
        if writer.rows:
            self._put(writer, checksum)
        if not self._parts:
            archives.discard(connection, leaf.namespace, self._id)
            return None
        manifest = self._manifest()
        self._location.put(key(self._id), sealed(manifest))
        archives.seal(connection, leaf.namespace, self._id, sha256_of(manifest))
        return manifest

    def _put(self, writer: PartWriter, checksum: RowsChecksum) -> None:
        name, data = f"part-{len(self._parts):05}.parquet", writer.finish()
        self._location.put(key(self._id, name), data)
        self._parts.append(
            Part(
                name=name,
                rows=writer.rows,
                size_bytes=len(data),
                sha256=hashlib.sha256(data).hexdigest(),
                rows_checksum=str(checksum),
            )
        )

    def _manifest(self) -> Manifest:
        server, pgvector = schema.versions(self._connection)
        return Manifest(
            archive=self._id,
            namespace=self._leaf.namespace,
            model=self._leaf.model,
            dimensions=self._leaf.dimensions,
            fingerprints=dict(sorted(self._fingerprints.items())),
            older_than=self._older_than,
            cutoff=self._cutoff,
            created_at=datetime.now(UTC),
            schema_version=str(schema.current(self._connection)),
            pgvector_version=pgvector,
            server_version=server,
            rows=sum(part.rows for part in self._parts),
            rows_checksum=sum_of(part.rows_checksum for part in self._parts),
            parts=tuple(self._parts),
        )


def _let_go(
    connection: psycopg.Connection, location: Location, manifest: Manifest, progress: Progress
) -> ArchiveReport:
    """Read the archive back, then delete the rows that still are what it holds."""
    verify(location, manifest, progress)
    done = 0
    for part in manifest.parts:
        for page in rows_of(location, manifest, part):
            archived.remove_exactly(connection, manifest.leaf, manifest.archive, page)
            done += len(page)
            progress(done, manifest.rows, "rows")
    archives.finish(connection, manifest.namespace, manifest.archive)
    archived.analyze(connection, manifest.namespace)
    gone = archived.remembered(connection).get(manifest.archive, 0)
    return ArchiveReport(
        archive=manifest.archive,
        namespace=manifest.namespace,
        model=manifest.model,
        rows=manifest.rows,
        archived=gone,
        kept=manifest.rows - gone,
        parts=len(manifest.parts),
        size_bytes=manifest.size_bytes,
    )


def _is_whole(
    connection: psycopg.Connection, location: Location, leaf: Leaf, archive_id: str
) -> bool:
    """Whether a killed run came as far as the manifest; what it left otherwise is removed."""
    if location.get(key(archive_id)) is not None:
        return True
    if archives.manifest_sha256(connection, leaf.namespace, archive_id) is not None:
        raise ArchiveDamaged(archive_id, "its manifest is gone")
    logger.info("Removing what a killed run left of the archive %s", archive_id)
    location.delete(location.keys(f"{ROOT}/{archive_id}"))
    archives.discard(connection, leaf.namespace, archive_id)
    return False
