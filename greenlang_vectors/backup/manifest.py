"""What an export is made of: its manifest, its objects' keys, its drills.

An export is a folder `pgvector/ID` in the backup location (PRD 12.1): `dump`, made by pg_dump in
custom format; `rows/TABLE`, the namespace's rows of shared tables as COPY writes them; and
`manifest.json`, written last, without which nothing there counts. Beside it come `drill-TIME.json`
for each restore drill, and `pinned` while somebody wants it kept.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from greenlang_vectors.backup.errors import ExportDamaged, UnknownExport
from greenlang_vectors.lifecycle.location import Location
from greenlang_vectors.lifecycle.manifest import ID
from greenlang_vectors.lifecycle.sealing import SealBroken, unsealed
from greenlang_vectors.store.leaves import Leaf

ROOT = "pgvector"
MANIFEST = "manifest.json"
DUMP = "dump"
ROWS = "rows"
PINNED = "pinned"
DRILL = "drill-"

SUBSTANCE = ("documents", "vector_embeddings")
"""An export without a row of these holds nothing that anybody could miss."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ExportedTable(_Record):
    """What an export holds of one table.

    Attributes:
        root: the table that callers name; the table itself for a shared one.
        shared: whether it holds rows of other namespaces as well.
        checksum: see `checksums`.
        indexes: definitions by name.
    """

    name: str
    root: str
    shared: bool
    rows: int
    checksum: str
    indexes: dict[str, str]


class ExportedCollection(_Record):
    """A collection of the namespace: what it is called is its namespace and model."""

    model: str
    dimensions: int


class ExportedObject(_Record):
    """An object of the export: its name below the export's folder, size and SHA-256."""

    name: str
    size_bytes: int
    sha256: str


class Manifest(_Record):
    """What an export holds and how it came about.

    Attributes:
        made_at: when its snapshot was taken, by the database's clock.
        master_keys: what unwraps the data keys of an encrypted namespace, as `encryption status`
            calls them; the keys themselves are in no backup.
        partitions: those that hold no rows themselves, but leaves; each with its root.
        source_revision: of this program.
    """

    format: Literal[1] = 1
    export: str
    namespace: str
    made_at: datetime
    schema_version: str
    server_version: str
    pgvector_version: str
    pg_dump_version: str
    source_revision: str
    compression: str
    collections: tuple[ExportedCollection, ...]
    master_keys: tuple[str, ...]
    partitions: dict[str, str]
    tables: tuple[ExportedTable, ...]
    objects: tuple[ExportedObject, ...]

    @property
    def rows(self) -> int:
        """Of the namespace's own tables together."""
        return sum(table.rows for table in self.tables if not table.shared)

    @property
    def is_empty(self) -> bool:
        """Whether there is neither a document nor an embedding."""
        return not any(table.rows for table in self.tables if table.root in SUBSTANCE)

    @property
    def size_bytes(self) -> int:
        """Of all objects together."""
        return sum(each.size_bytes for each in self.objects)

    @property
    def leaves(self) -> list[Leaf]:
        """The leaves of its collections."""
        return [Leaf(self.namespace, each.model, each.dimensions) for each in self.collections]

    @property
    def server_major(self) -> int:
        """The server's major version."""
        return int(self.server_version.split(".")[0].split()[0])


class Recall(_Record):
    """What searches in a restored collection found of the exact answers.

    Attributes:
        indexed: whether an ANN index answered.
        target: what the namespace is promised.
        margin: how far below the target a sample of this size may fall by chance.
    """

    collection: str
    rows: int
    indexed: bool
    queries: int
    recall_at_10: float
    target: float
    margin: float

    @property
    def kept(self) -> bool:
        """Whether the promise is kept, as far as so many questions tell."""
        return self.recall_at_10 + self.margin >= self.target


class Drill(_Record):
    """What one restore drill of an export found.

    Attributes:
        manifest_sha256: of the export that was restored.
        restore_seconds: the measured RTO; None where it did not come to an end.
        tables: whose counts and checksums were compared.
    """

    format: Literal[1] = 1
    export: str
    namespace: str
    manifest_sha256: str
    drilled_at: datetime
    passed: bool
    problem: str | None
    restore_seconds: float | None
    server_version: str
    pgvector_version: str
    tables: int
    rows: int
    recalls: tuple[Recall, ...]


def key(export_id: str, name: str = MANIFEST) -> str:
    """The key of an object of an export."""
    return f"{ROOT}/{export_id}/{name}"


def namespace_of(export_id: str) -> str:
    """The namespace an export is of, out of its id."""
    return export_id.rsplit("-", 2)[0]


def time_of(export_id: str) -> datetime:
    """When an export was begun, out of its id."""
    return datetime.strptime(export_id.rsplit("-", 2)[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def is_export(export_id: str) -> bool:
    """Whether this can be the id of an export."""
    return ID.fullmatch(export_id) is not None


def drill_key(export_id: str, moment: datetime) -> str:
    """The key under which a drill is kept; keys of an export's drills sort by time."""
    return key(export_id, f"{DRILL}{moment.astimezone(UTC):%Y%m%dT%H%M%S%fZ}.json")


def load(location: Location, export_id: str) -> Manifest:
    """The manifest of an export.

    Raises:
        UnknownExport: the location holds nothing of it.
        ExportDamaged: its manifest is missing, altered, or that of another export.
    """
    if not is_export(export_id):
        raise _unknown(export_id)
    stored = location.get(key(export_id))
    if stored is None:
        if location.keys(f"{ROOT}/{export_id}"):
            raise ExportDamaged(export_id, "it has no manifest, as if it had been interrupted")
        raise _unknown(export_id)
    try:
        manifest = unsealed(stored, Manifest)
    except SealBroken as error:
        raise ExportDamaged(export_id, str(error)) from error
    if manifest.export != export_id:
        raise ExportDamaged(export_id, f"its manifest is that of {manifest.export}")
    return manifest


def _unknown(export_id: str) -> UnknownExport:
    return UnknownExport(
        f"There is no export {export_id!r} in the backup location.",
        "`greenlang-vectors backup list` shows those that are there.",
    )
