"""Keeping a leaf's ANN indexes and cells in step with its rows, in the background (`segments`).

A tail of some rows is compared whole. Once it is longer, the leaf has cells, so that a search
compares few of its rows; then it is sealed and gets the index the collection wants (minutes, for
a graph) together with the newer segments that are not much larger. While rows stream in faster
than a graph takes them, the graph is left until they no longer do: it would take the processor
from those who write and search, and its tail would be longer in the end than before.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import psycopg

from greenlang_vectors.progress import Progress, silent
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import (
    cell_training,
    cells,
    filter_indexes,
    indexes,
    leaves,
    namespaces,
    segments,
)
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.index_estimates import estimate, fitting
from greenlang_vectors.store.index_settings import IndexSettings, resolved
from greenlang_vectors.store.indexes import IndexDefinition
from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.locks import exclusive
from greenlang_vectors.store.segments import Segment

EXACT_ROWS = 2_000
"""A tail of at most this many rows is compared whole (1 to 2 ms) and not sealed; a leaf of at
most this many needs no cells."""

OUTGROWN = 4
"""Cells are trained anew when the leaf has this many times the rows they were trained for."""

STREAMING_ROWS = 1_000_000
"""A tail of more rows is sealed and indexed even while rows stream in."""

OBSERVED_SECONDS = 1.5
"""How fast rows come in is watched so long, and again: writers report theirs once a second, so a
stream shows both times, and what ended just now but once."""


@dataclass(frozen=True, slots=True)
class MaintenanceReport:
    """What was done to a leaf.

    Attributes:
        built, dropped: names of indexes.
        segments: how the leaf is searched now.
        tail_rows: rows above every index.
    """

    built: tuple[str, ...]
    dropped: tuple[str, ...]
    segments: tuple[Segment, ...]
    tail_rows: int


def due(connection: psycopg.Connection, leaf: Leaf, settings: Settings) -> bool:
    """Whether `maintain` would have something to do because of rows that came in."""
    layout = segments.cover(segments.on_leaf(connection, leaf))
    tail = Segment(segments.tail_start(layout), None, None)
    enough = EXACT_ROWS if len(layout) > 1 else 0
    if not segments.holds_more(connection, leaf, tail, enough):
        return False
    work = _Work(connection, leaf, settings)
    return work.wants_cells() or not work.streaming(tail)


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
        work = _Work(connection, leaf, settings)
        work.remove_invalid()
        if work.wants_cells():
            work.train_cells()
        work.index_tail(database, progress)
        work.drop_superseded()
        layout = segments.cover(segments.on_leaf(connection, leaf))
        filter_indexes.follow(connection, leaf, layout)
        tail = Segment(segments.tail_start(layout), None, None)
        cells.forget(connection, leaf, tail.first)
        return MaintenanceReport(
            built=tuple(work.built),
            dropped=tuple(work.dropped),
            segments=tuple(layout),
            tail_rows=segments.rows_in(connection, leaf, tail),
        )


class _Work:
    def __init__(
        self,
        connection: psycopg.Connection,
        leaf: Leaf,
        settings: Settings,
    ) -> None:
        self._connection = connection
        self._leaf = leaf
        self._settings = settings
        self._wanted = leaves.index_settings(connection, leaf)
        self.built: list[str] = []
        self.dropped: list[str] = []

    def remove_invalid(self) -> None:
        """Drop what failed builds left."""
        for index in segments.on_leaf(self._connection, self._leaf):
            if not index.valid:
                self._drop(index.name)

    def wants_cells(self) -> bool:
        """Whether the leaf has rows enough for cells and none, or has outgrown those it has."""
        row = self._connection.execute(
            "SELECT rows FROM embedding_cells WHERE collection_id = %s"
            " ORDER BY first_segment DESC LIMIT 1",
            [self._leaf.collection_id],
        ).fetchone()
        enough = EXACT_ROWS if row is None else OUTGROWN * row[0] - 1
        return leaves.about(self._connection, self._leaf) > enough

    def train_cells(self) -> None:
        """Give the rows that come from now on cells trained with those that are there."""
        rows = leaves.count(self._connection, self._leaf)
        promised = namespaces.get(self._connection, self._leaf.namespace).recall_target
        vectors = cell_training.sample(self._connection, self._leaf, rows)
        trained = cell_training.train(vectors, self._wanted.metric, rows=rows, recall=promised)
        cells.begin(self._connection, self._leaf, trained, rows)

    def streaming(self, tail: Segment) -> bool:
        """Whether a long tail grows faster than the index over it would be built."""
        if not segments.holds_more(self._connection, self._leaf, tail, EXACT_ROWS):
            return False
        chosen = resolved(self._wanted, self._settings.index, EXACT_ROWS)
        built = estimate(self._connection, chosen, self._leaf.dimensions, EXACT_ROWS)
        for _ in range(2):
            before = self._written()
            time.sleep(OBSERVED_SECONDS)
            if (self._written() - before) / OBSERVED_SECONDS <= built.rows / built.seconds:
                return False
        indexed = sum(i.rows for i in self._found())
        return leaves.about(self._connection, self._leaf) - indexed <= STREAMING_ROWS

    def _written(self) -> int:
        row = self._connection.execute(
            "SELECT n_tup_ins + n_tup_upd FROM pg_stat_user_tables WHERE relid = to_regclass(%s)",
            [self._leaf.table.as_string(self._connection)],
        ).fetchone()
        return 0 if row is None else int(row[0])

    def index_tail(self, database: Database, progress: Progress) -> None:
        """Seal the tail and give it, with segments not much larger, the index that is wanted."""
        family = wanted_family(self._connection, self._leaf, self._settings)
        current = [i for i in self._found() if i.name.startswith(family)]
        layout = [s for s in segments.cover(current) if s.index is not None]
        start = segments.tail_start(layout)
        above = Segment(start, None, None)
        enough = EXACT_ROWS if layout else 0
        if not segments.holds_more(self._connection, self._leaf, above, enough):
            return
        if self.streaming(above):
            return
        tail = segments.rows_in(self._connection, self._leaf, above)
        sizes = [s.index.rows for s in layout if s.index is not None]
        place = segments.merge_from(sizes, tail)
        first = layout[place].first if place < len(layout) else start
        rows = tail + sum(sizes[place:])
        last = segments.seal(self._connection, self._leaf)
        chosen = resolved(self._wanted, self._settings.index, rows)
        if self._wanted.lists is None:
            chosen = self._fitting(chosen)
        definition = IndexDefinition(self._leaf, chosen, family, first, last)
        indexes.build(self._connection, database, definition, rows, self._settings, progress)
        leaves.analyze(self._connection, self._leaf)
        self.built.append(definition.name)

    def drop_superseded(self) -> None:
        """Drop what nothing needs: narrower forerunners, other settings."""
        found = self._found()
        serving = {s.index.name for s in segments.cover(found) if s.index is not None}
        for index in found:
            if index.name not in serving:
                self._drop(index.name)

    def _fitting(self, chosen: IndexSettings) -> IndexSettings:
        limit = self._settings.index_build_memory_mb * 2**20
        return fitting(chosen, self._leaf.dimensions, limit)

    def _found(self) -> list[segments.AnnIndex]:
        return [i for i in segments.on_leaf(self._connection, self._leaf) if i.valid]

    def _drop(self, name: str) -> None:
        indexes.drop(self._connection, name)
        self.dropped.append(name)


def problems(connection: psycopg.Connection, leaf: Leaf, settings: Settings) -> list[str]:
    """What keeps the leaf's indexes from being as they should, in words; none where nothing."""
    found = segments.on_leaf(connection, leaf)
    family = wanted_family(connection, leaf, settings)
    said = [f"{i.name} is invalid: its build failed" for i in found if not i.valid]
    said += [
        f"{i.name} was built with other settings"
        for i in found
        if i.valid and not i.name.startswith(family)
    ]
    if due(connection, leaf, settings):
        tail = Segment(segments.tail_start(segments.cover(found)), None, None)
        said.append(f"{segments.rows_in(connection, leaf, tail)} rows wait for an index")
    return said


def wanted_family(connection: psycopg.Connection, leaf: Leaf, settings: Settings) -> str:
    """What the names of the indexes begin with that the leaf's collection wants."""
    wanted = leaves.index_settings(connection, leaf)
    chosen = replace(resolved(wanted, settings.index, 1), lists=wanted.lists)
    return indexes.family(leaf, chosen)
