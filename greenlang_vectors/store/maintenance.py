"""Keeping a leaf's ANN indexes in step with its rows, in the background (see `segments`).

A tail of some rows is scanned exactly. Once it is longer, an IVFFlat index without an end covers
it within seconds and takes new rows as they come; then it is sealed, gets the index the
collection wants (minutes, for a graph) together with the newer segments that are not much
larger, and the IVFFlat index goes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import sqrt

import psycopg

from greenlang_vectors.progress import Progress, silent
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import filter_indexes, indexes, leaves, segments
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.index_estimates import fitting
from greenlang_vectors.store.index_settings import MAX_DIMENSIONS, IndexSettings, resolved
from greenlang_vectors.store.indexes import IndexDefinition
from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.locks import exclusive
from greenlang_vectors.store.segments import Segment

EXACT_ROWS = 2_000
"""A tail of at most this many rows is scanned exactly (1 to 2 ms) and not sealed."""

COVERED_ROWS = EXACT_ROWS
"""A tail of more rows gets an IVFFlat index of its own before anything that takes longer."""

TAIL_GROWTH = 8
"""An IVFFlat tail gets lists for this many times its rows; beyond that it is trained again."""

TAIL_ROWS_PER_LIST = 15
"""It is trained with at least so many rows a list: few, since more are on their way."""


@dataclass(frozen=True, slots=True)
class MaintenanceReport:
    """What was done to a leaf.

    Attributes:
        built, dropped: names of indexes.
        segments: how the leaf is searched now.
        tail_rows: rows above every index but that of the tail.
    """

    built: tuple[str, ...]
    dropped: tuple[str, ...]
    segments: tuple[Segment, ...]
    tail_rows: int


def due(connection: psycopg.Connection, leaf: Leaf) -> bool:
    """Whether `maintain` would have something to do because of rows that came in."""
    layout = segments.cover(segments.on_leaf(connection, leaf))
    tail = Segment(_covered(layout), None, None)
    enough = EXACT_ROWS if len(layout) > 1 else 0
    return segments.rows_in(connection, leaf, tail) > enough


def maintain(
    database: Database, leaf: Leaf, settings: Settings, progress: Progress = silent
) -> MaintenanceReport:
    """Bring the leaf's indexes to what its collection and its rows want; searches go on.

    What a killed run left behind is found and removed; doing it again changes nothing.

    Args:
        settings: profile, and the memory and workers a build may take.

    Raises:
        IndexBuildFailed: a build broke off; what served before serves on.
    """
    with database.connect() as connection, exclusive(connection, "index build"):
        work = _Work(connection, database, leaf, settings, progress)
        work.remove_invalid()
        work.cover_tail()
        work.index_tail()
        work.drop_superseded()
        layout = segments.cover(segments.on_leaf(connection, leaf))
        filter_indexes.follow(connection, leaf, layout)
        tail = Segment(_covered(layout), None, None)
        return MaintenanceReport(
            built=tuple(work.built),
            dropped=tuple(work.dropped),
            segments=tuple(layout),
            tail_rows=segments.rows_in(connection, leaf, tail),
        )


def _covered(layout: list[Segment]) -> int:
    """The first segment above every range that is served by an index with an end."""
    return 1 + max(
        (s.last for s in layout if s.index is not None and s.last is not None), default=-1
    )


class _Work:
    def __init__(
        self,
        connection: psycopg.Connection,
        database: Database,
        leaf: Leaf,
        settings: Settings,
        progress: Progress,
    ) -> None:
        self._connection = connection
        self._database = database
        self._leaf = leaf
        self._settings = settings
        self._progress = progress
        self._wanted = leaves.index_settings(connection, leaf)
        self.built: list[str] = []
        self.dropped: list[str] = []

    def remove_invalid(self) -> None:
        """Drop what failed builds left."""
        for index in segments.on_leaf(self._connection, self._leaf):
            if not index.valid:
                self._drop(index.name)

    def cover_tail(self) -> None:
        """Give a long tail an IVFFlat index that takes new rows as they come.

        Where the tail has outgrown it by then, another: what follows may take minutes.
        """
        while self._cover():
            pass

    def _cover(self) -> bool:
        found = self._found()
        start = _covered(segments.cover(found))
        rows = segments.rows_in(self._connection, self._leaf, Segment(start, None, None))
        endless = [i for i in found if i.last is None]
        tail = self._fitting(_tail_settings(self._wanted, self._leaf.dimensions, rows))
        enough = any(i.first >= start and (tail.lists or 1) < 2 * (i.lists or 1) for i in endless)
        if rows <= COVERED_ROWS or enough:
            return False
        family = indexes.family(self._leaf, tail)
        self._build(IndexDefinition(self._leaf, tail, family, start, None), rows)
        for index in endless:
            self._drop(index.name)
        return True

    def index_tail(self) -> None:
        """Seal the tail and give it, with segments not much larger, the index that is wanted."""
        family = wanted_family(self._connection, self._leaf, self._settings)
        closed = [i for i in self._found() if i.last is not None]
        current = [i for i in closed if i.name.startswith(family)]
        layout = [s for s in segments.cover(current) if s.index is not None]
        start = _covered(layout)
        tail = segments.rows_in(self._connection, self._leaf, Segment(start, None, None))
        if tail <= (EXACT_ROWS if layout else 0):
            return
        sizes = [s.index.rows for s in layout if s.index is not None]
        place = segments.merge_from(sizes, tail)
        first = layout[place].first if place < len(layout) else start
        rows = tail + sum(sizes[place:])
        last = segments.seal(self._connection, self._leaf)
        chosen = resolved(self._wanted, self._settings.index, rows)
        if self._wanted.lists is None:
            chosen = self._fitting(chosen)
        self._build(IndexDefinition(self._leaf, chosen, family, first, last), rows)

    def drop_superseded(self) -> None:
        """Drop what nothing needs: narrower forerunners, other settings, a tail now indexed."""
        found = self._found()
        serving = {s.index.name for s in segments.cover(found) if s.index is not None}
        closed = [i for i in found if i.last is not None]
        start = _covered(segments.cover(closed))
        tail_rows = segments.rows_in(self._connection, self._leaf, Segment(start, None, None))
        for index in found:
            old_tail = index.last is None and index.first < start
            if old_tail and tail_rows > COVERED_ROWS:
                continue
            if old_tail or index.name not in serving:
                self._drop(index.name)

    def _fitting(self, chosen: IndexSettings) -> IndexSettings:
        limit = self._settings.index_build_memory_mb * 2**20
        return fitting(chosen, self._leaf.dimensions, limit)

    def _found(self) -> list[segments.AnnIndex]:
        return [i for i in segments.on_leaf(self._connection, self._leaf) if i.valid]

    def _build(self, definition: IndexDefinition, rows: int) -> None:
        indexes.build(
            self._connection, self._database, definition, rows, self._settings, self._progress
        )
        leaves.analyze(self._connection, self._leaf)
        self.built.append(definition.name)

    def _drop(self, name: str) -> None:
        indexes.drop(self._connection, name)
        self.dropped.append(name)


def _tail_settings(wanted: IndexSettings, dimensions: int, rows: int) -> IndexSettings:
    """IVFFlat with lists for a tail that will grow several times before it is trained again."""
    half = wanted.storage == "halfvec" or dimensions > MAX_DIMENSIONS["vector"]
    return IndexSettings(
        metric=wanted.metric,
        kind="ivfflat",
        storage="halfvec" if half else "vector",
        lists=max(1, min(rows // TAIL_ROWS_PER_LIST, round(sqrt(TAIL_GROWTH * rows)))),
    )


def problems(connection: psycopg.Connection, leaf: Leaf, settings: Settings) -> list[str]:
    """What keeps the leaf's indexes from being as they should, in words; none where nothing."""
    found = segments.on_leaf(connection, leaf)
    family = wanted_family(connection, leaf, settings)
    said = [f"{i.name} is invalid: its build failed" for i in found if not i.valid]
    said += [
        f"{i.name} was built with other settings"
        for i in found
        if i.valid and i.last is not None and not i.name.startswith(family)
    ]
    if due(connection, leaf):
        tail = Segment(_covered(segments.cover(found)), None, None)
        said.append(f"{segments.rows_in(connection, leaf, tail)} rows wait for an index")
    return said


def wanted_family(connection: psycopg.Connection, leaf: Leaf, settings: Settings) -> str:
    """What the names of the indexes begin with that the leaf's collection wants."""
    wanted = leaves.index_settings(connection, leaf)
    chosen = replace(resolved(wanted, settings.index, 1), lists=wanted.lists)
    return indexes.family(leaf, chosen)
