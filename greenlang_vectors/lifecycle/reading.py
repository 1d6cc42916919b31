"""Reading archives back: nothing is handed out that is not what was written."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
from pyarrow import ArrowException

from greenlang_vectors.errors import GreenLangError
from greenlang_vectors.lifecycle import parquet
from greenlang_vectors.lifecycle.location import Location
from greenlang_vectors.lifecycle.manifest import (
    ROOT,
    ArchiveDamaged,
    Manifest,
    Part,
    RowsChecksum,
    key,
    load,
    sum_of,
)
from greenlang_vectors.lifecycle.sealing import sha256_of
from greenlang_vectors.progress import Progress, silent
from greenlang_vectors.store import archives
from greenlang_vectors.store.archived import StoredRow


@dataclass(frozen=True, slots=True)
class ListedArchive:
    """An archive in the backup location.

    Attributes:
        manifest: None if it cannot be read.
        problem: why not; a killed run leaves a folder without a manifest until the next run.
    """

    archive: str
    manifest: Manifest | None
    problem: str | None = None


def list_archives(location: Location) -> list[ListedArchive]:
    """Every archive of the location, by id, that is by namespace and time."""
    listed = []
    for folder in location.folders(ROOT):
        archive_id = folder.removeprefix(f"{ROOT}/")
        try:
            listed.append(ListedArchive(archive_id, load(location, archive_id)))
        except GreenLangError as error:
            listed.append(ListedArchive(archive_id, None, error.message))
    return listed


def opened(connection: psycopg.Connection, location: Location, archive_id: str) -> Manifest:
    """The manifest of an archive, compared with what the database knows of it.

    Raises:
        UnknownArchive, ArchiveDamaged: see `manifest.load`.
    """
    manifest = load(location, archive_id)
    known = archives.manifest_sha256(connection, manifest.namespace, archive_id)
    if known not in {None, sha256_of(manifest)}:
        raise ArchiveDamaged(archive_id, "its manifest is not the one that was written")
    return manifest


def verify(location: Location, manifest: Manifest, progress: Progress = silent) -> None:
    """Read all of an archive back and compare it with its manifest.

    Raises:
        ArchiveDamaged: a part is missing or is not, bit by bit, what was written.
    """
    done = 0
    for part in manifest.parts:
        for page in rows_of(location, manifest, part):
            done += len(page)
            progress(done, manifest.rows, "rows")
    together = (
        sum(part.rows for part in manifest.parts),
        sum_of(part.rows_checksum for part in manifest.parts),
    )
    if together != (manifest.rows, manifest.rows_checksum):
        raise ArchiveDamaged(manifest.archive, "its parts together are not what it should hold")


def rows_of(location: Location, manifest: Manifest, part: Part) -> Iterator[list[StoredRow]]:
    """The pages of a part, whose bytes are verified before the first and rows after the last.

    Raises:
        ArchiveDamaged: the part is missing or is not what was written.
    """
    data = location.get(key(manifest.archive, part.name))
    if data is None:
        raise ArchiveDamaged(manifest.archive, f"{part.name} is missing")
    if len(data) != part.size_bytes:
        raise ArchiveDamaged(
            manifest.archive, f"{part.name} has {len(data)} bytes, not {part.size_bytes}"
        )
    if hashlib.sha256(data).hexdigest() != part.sha256:
        raise ArchiveDamaged(manifest.archive, f"{part.name} does not match its SHA-256")
    checksum, rows = RowsChecksum(), 0
    try:
        for page in parquet.read(data):
            checksum.add(page)
            rows += len(page)
            yield page
    except (ArrowException, OSError) as error:
        raise ArchiveDamaged(manifest.archive, f"{part.name} is no such Parquet file") from error
    if (rows, str(checksum)) != (part.rows, part.rows_checksum):
        raise ArchiveDamaged(manifest.archive, f"the rows of {part.name} are not those written")
