"""What a search has to know of a leaf before it begins, kept for as long as it holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

import psycopg

from greenlang_vectors.store import cells, filter_indexes
from greenlang_vectors.store.cells import Cells
from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.segments import Segment, cover, in_cells, on_leaf

KEPT = 1_000
"""So many layouts are kept."""


class Mark(NamedTuple):
    """What every search looks up: another mark, another layout.

    Attributes:
        rows: of the leaf, as PostgreSQL counted last; negative where it never did.
        indexes: its valid indexes, by number.
        sealed: keys of metadata whose values the namespace encrypts.
        generations: of its cells, by number.
        open_segment: where rows land.
    """

    rows: float = -1
    indexes: tuple[int, ...] = ()
    sealed: tuple[str, ...] = ()
    generations: tuple[str, ...] = ()
    open_segment: int = 0


@dataclass(frozen=True, slots=True)
class Layout:
    """How a leaf can be searched.

    Attributes:
        parts: ranges of segments, each with the ANN index that serves it, its cells or neither.
        filtered: ranges of segments, cut so that an index on metadata fits where there is one.
        cells: by generation.
    """

    mark: Mark
    parts: tuple[Segment, ...]
    filtered: tuple[Segment, ...]
    cells: Mapping[UUID, Cells]

    @property
    def rows(self) -> int:
        """About how many rows the leaf holds, as far as they were ever counted."""
        if self.mark.rows >= 0:
            return int(self.mark.rows)
        return self.indexed

    @property
    def indexed(self) -> int:
        """How many of them ANN indexes held when they were built."""
        return sum(part.index.rows for part in self.parts if part.index is not None)


_Key = tuple[str, int, str, Leaf]
_kept: dict[_Key, Layout] = {}


def kept(connection: psycopg.Connection, leaf: Leaf) -> Layout | None:
    """The layout as it was read last."""
    return _kept.get(_key(connection, leaf))


def read(connection: psycopg.Connection, leaf: Leaf, mark: Mark) -> Layout:
    """The layout that goes with this mark, to be kept."""
    known = {
        generation: found
        for generation in cells.generations(connection, leaf)
        if (found := cells.load(connection, leaf, generation.id)) is not None
    }
    layout = Layout(
        mark=mark,
        parts=tuple(in_cells(cover(on_leaf(connection, leaf)), [*known], mark.open_segment)),
        filtered=tuple(filter_indexes.ranges(connection, leaf)),
        cells={generation.id: found for generation, found in known.items()},
    )
    if len(_kept) >= KEPT:
        _kept.clear()
    _kept[_key(connection, leaf)] = layout
    return layout


def _key(connection: psycopg.Connection, leaf: Leaf) -> _Key:
    info = connection.info
    return info.host, info.port, info.dbname, leaf
