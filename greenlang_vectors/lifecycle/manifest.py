"""What an archive is made of: its manifest, its objects' keys, and how damage is told.

An archive is a folder `archives/ID` in the backup location: Parquet parts, and `manifest.json`,
which is written last. The manifest carries a hash of itself and of every part.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict

from greenlang_vectors.errors import GreenLangError, UsageError
from greenlang_vectors.lifecycle.location import Location
from greenlang_vectors.lifecycle.sealing import SealBroken, unsealed
from greenlang_vectors.store.archived import StoredRow, digest
from greenlang_vectors.store.leaves import Leaf

ROOT = "archives"

_Manifest = TypeVar("_Manifest", bound=BaseModel)
ID = re.compile(r"[a-z0-9_-]+-\d{8}T\d{6}Z-[0-9a-f]{6}")


class ArchiveDamaged(GreenLangError):
    """An archive is not what was written; nothing was changed on its account."""

    def __init__(self, archive_id: str, problem: str) -> None:
        super().__init__(
            f"The archive {archive_id} is damaged: {problem}.",
            "Nothing was changed. Put its objects back from another copy of the backup location.",
        )


class UnknownArchive(UsageError):
    """There is no archive of this id in the backup location."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Part(_Record):
    """One Parquet object of an archive.

    Attributes:
        name: its key below the archive's folder.
        rows_checksum: see `RowsChecksum`.
    """

    name: str
    rows: int
    size_bytes: int
    sha256: str
    rows_checksum: str


class Manifest(_Record):
    """What an archive holds and how it came about.

    Attributes:
        fingerprints: rows by the fingerprint of what their vectors were made with.
        older_than, cutoff: the rule: rows last written longer ago than this, before this moment.
        rows_checksum: of all parts together.
    """

    format: Literal[1] = 1
    archive: str
    namespace: str
    model: str
    dimensions: int
    fingerprints: dict[str, int]
    older_than: timedelta
    cutoff: datetime
    created_at: datetime
    schema_version: str
    pgvector_version: str
    server_version: str
    rows: int
    rows_checksum: str
    parts: tuple[Part, ...]

    @property
    def leaf(self) -> Leaf:
        """The leaf its rows come from."""
        return Leaf(self.namespace, self.model, self.dimensions)

    @property
    def size_bytes(self) -> int:
        """Of all parts together."""
        return sum(part.size_bytes for part in self.parts)


class RowsChecksum:
    """A checksum of rows in any order: the sum of their digests, modulo 2**256."""

    def __init__(self) -> None:
        self._sum = 0

    def add(self, rows: Iterable[StoredRow]) -> None:
        """Add these rows."""
        self._sum += sum(int.from_bytes(digest(row), "big") for row in rows)

    def __str__(self) -> str:
        return f"{self._sum % 2**256:064x}"


def sum_of(checksums: Iterable[str]) -> str:
    """The checksum of what these are the checksums of, together."""
    return f"{sum(int(checksum, 16) for checksum in checksums) % 2**256:064x}"


def new_id(namespace: str, moment: datetime | None = None) -> str:
    """An id for an archive that begins now, or at this moment."""
    began = (moment or datetime.now(UTC)).astimezone(UTC)
    return f"{namespace}-{began:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def key(archive_id: str, name: str = "manifest.json") -> str:
    """The key of an object of an archive."""
    return f"{ROOT}/{archive_id}/{name}"


def load(location: Location, archive_id: str) -> Manifest:
    """The manifest of an archive.

    Raises:
        UnknownArchive: the location holds nothing of it.
        ArchiveDamaged: its manifest is missing, altered, or that of another archive.
    """
    if ID.fullmatch(archive_id) is None:
        raise _unknown(archive_id)
    stored = location.get(key(archive_id))
    if stored is None:
        if location.keys(f"{ROOT}/{archive_id}"):
            raise ArchiveDamaged(archive_id, "it has no manifest")
        raise _unknown(archive_id)
    manifest = read(stored, Manifest, archive_id)
    if manifest.archive != archive_id:
        raise ArchiveDamaged(archive_id, f"its manifest is that of {manifest.archive}")
    return manifest


def read(stored: bytes, kind: type[_Manifest], archive_id: str) -> _Manifest:
    """The manifest that was sealed so.

    Raises:
        ArchiveDamaged: it is altered, or no such manifest.
    """
    try:
        return unsealed(stored, kind)
    except SealBroken as error:
        raise ArchiveDamaged(archive_id, str(error)) from error


def _unknown(archive_id: str) -> UnknownArchive:
    return UnknownArchive(
        f"There is no archive {archive_id!r} in the backup location.",
        "`greenlang-vectors archive list` shows those that are there.",
    )
