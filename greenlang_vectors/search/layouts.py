"""What a search has to know of a leaf before it begins, kept for as long as it holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import psycopg

from greenlang_vectors.store import filter_indexes
from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.segments import Segment, cover, on_leaf

KEPT = 1_000
"""So many layouts are kept."""


class Mark(NamedTuple):
    """What every search looks up: another mark, another layout.

    Attributes:
        rows: of the leaf, as PostgreSQL counted last; negative where it never did.
        indexes: its valid indexes, by number.
        sealed: keys of metadata whose values the namespace encrypts.
    """

    rows: float = -1
    indexes: tuple[int, ...] = ()
    sealed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Layout:
    """How a leaf can be searched.

    Attributes:
        parts: ranges of segments, each with the ANN index that serves it or none.
        filtered: ranges of segments, cut so that an index on metadata fits where there is one.
    """

    mark: Mark
    parts: tuple[Segment, ...]
    filtered: tuple[Segment, ...]

    @property
    def rows(self) -> int:
        """About how many rows the leaf holds, as far as they were ever counted."""
        if self.mark.rows >= 0:
            return int(self.mark.rows)
        return sum(part.index.rows for part in self.parts if part.index is not None)


_Key = tuple[str, int, str, Leaf]
_kept: dict[_Key, Layout] = {}


def kept(connection: psycopg.Connection, leaf: Leaf) -> Layout | None:
    """The layout as it was read last."""
    return _kept.get(_key(connection, leaf))


def read(connection: psycopg.Connection, leaf: Leaf, mark: Mark) -> Layout:
    """The layout that goes with this mark, to be kept."""
    layout = Layout(
        mark=mark,
        parts=tuple(cover(on_leaf(connection, leaf))),
        filtered=tuple(filter_indexes.ranges(connection, leaf)),
    )
    if len(_kept) >= KEPT:
        _kept.clear()
    _kept[_key(connection, leaf)] = layout
    return layout


def _key(connection: psycopg.Connection, leaf: Leaf) -> _Key:
    info = connection.info
    return info.host, info.port, info.dbname, leaf
