"""Which exports there are, which of them are good, and keeping one.

An export is good once a restore drill has proven it: its newest drill passed, and its manifest is
the one that was restored. All of this is read in the backup location, which survives the database.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import psycopg

from greenlang_vectors.backup import records
from greenlang_vectors.backup.errors import ExportDamaged, UnknownExport
from greenlang_vectors.backup.manifest import (
    DRILL,
    MANIFEST,
    PINNED,
    ROOT,
    Drill,
    Manifest,
    is_export,
    key,
    load,
    namespace_of,
    time_of,
)
from greenlang_vectors.lifecycle.location import Listed, Location
from greenlang_vectors.lifecycle.sealing import SealBroken, sha256_of, unsealed

READERS = 8
"""Manifests that are read at once: a bucket answers slowly, but many at a time."""

State = Literal["good", "unproven", "failed", "damaged", "unfinished"]


@dataclass(frozen=True, slots=True)
class Export:
    """A folder of the backup location that is or was to be an export.

    Attributes:
        manifest: None if it cannot be read.
        drill: the newest; None before the first.
        problem: why the manifest cannot be read, or what the drill found.
        objects: all that lies there.
    """

    id: str
    namespace: str
    made_at: datetime
    manifest: Manifest | None
    drill: Drill | None
    pinned: bool
    problem: str | None
    objects: tuple[Listed, ...]

    @property
    def state(self) -> State:
        """`unfinished` without a manifest, which is written last; `unproven` before a drill."""
        if self.manifest is None:
            named = any(each.key == key(self.id) for each in self.objects)
            return "damaged" if named else "unfinished"
        if self.drill is None:
            return "unproven"
        same = self.drill.manifest_sha256 == sha256_of(self.manifest)
        return "good" if same and self.drill.passed else "failed"

    @property
    def tier(self) -> str:
        """PRD 12.1: `monthly` of a month's first day, `weekly` of Sundays, else `daily`."""
        if self.made_at.day == 1:
            return "monthly"
        return "weekly" if self.made_at.isoweekday() == 7 else "daily"


def list_exports(location: Location, namespace: str | None = None) -> list[Export]:
    """The exports of one namespace or of all, by namespace, oldest first.

    Raises:
        LocationUnavailable: it cannot be listed or read.
    """
    folders: defaultdict[str, list[Listed]] = defaultdict(list)
    for found in location.listed(ROOT):
        folders[found.key.removeprefix(f"{ROOT}/").partition("/")[0]].append(found)
    wanted = [
        each for each in folders if is_export(each) and namespace in (None, namespace_of(each))
    ]
    with ThreadPoolExecutor(READERS) as pool:
        read = pool.map(lambda each: _read(location, each, folders[each]), wanted)
    return sorted(read, key=lambda each: (each.namespace, each.made_at, each.id))


def newest(location: Location, namespace: str, *, good: bool) -> Export:
    """The newest export of a namespace that is whole.

    Args:
        good: only one that a drill has proven.

    Raises:
        UnknownExport: there is none.
    """
    for each in reversed(list_exports(location, namespace)):
        if each.state == "good" or (not good and each.manifest is not None):
            return each
    kind = "proven export" if good else "export"
    raise UnknownExport(
        f"There is no {kind} of {namespace!r} in the backup location.",
        "Name one by its id (`greenlang-vectors backup list`), or run `greenlang-vectors drill`"
        " first."
        if good
        else f"Run `greenlang-vectors backup create {namespace}`.",
    )


def opened(connection: psycopg.Connection, location: Location, export_id: str) -> Manifest:
    """The manifest of an export, compared with what the database knows of it.

    Raises:
        UnknownExport, ExportDamaged: see `manifest.load`.
    """
    manifest = load(location, export_id)
    if records.manifest_sha256(connection, export_id) not in {None, sha256_of(manifest)}:
        raise ExportDamaged(export_id, "its manifest is not the one that was written")
    return manifest


def pin(location: Location, export_id: str, *, keep: bool) -> None:
    """Keep an export until it is no more to be kept, or no more keep it; again is no error.

    Raises:
        UnknownExport, ExportDamaged: see `manifest.load`.
    """
    load(location, export_id)
    mark = key(export_id, PINNED)
    there = location.get(mark) is not None
    if keep and not there:
        location.put(mark, json.dumps({"pinned_at": datetime.now(UTC).isoformat()}).encode())
    elif there and not keep:
        location.delete([mark])


def _read(location: Location, export_id: str, objects: Sequence[Listed]) -> Export:
    names = [each.key.rpartition("/")[2] for each in objects]
    manifest, drill, problem = None, None, None
    try:
        if MANIFEST in names:
            manifest = load(location, export_id)
    except ExportDamaged as error:
        problem = error.problem
    drills = sorted(name for name in names if name.startswith(DRILL))
    if drills:
        try:
            drill = unsealed(location.get(key(export_id, drills[-1])) or b"", Drill)
        except SealBroken:
            problem = f"{drills[-1]} cannot be read"
        else:
            problem = problem or drill.problem
    return Export(
        id=export_id,
        namespace=namespace_of(export_id),
        made_at=manifest.made_at if manifest is not None else time_of(export_id),
        manifest=manifest,
        drill=drill,
        pinned=PINNED in names,
        problem=problem,
        objects=tuple(objects),
    )
