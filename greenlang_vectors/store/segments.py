"""Segments: how a leaf takes rows quickly and still answers from ANN indexes.

Every row carries the number of a segment; new and changed rows take the collection's open one.
ANN indexes are partial indexes over ranges of segments (`WHERE segment BETWEEN a AND b`), so a
row that lands above every indexed range touches no graph. Sealing a range is raising the open
number; merging is building one index over a wider range and dropping the narrower ones. No row
is ever moved, and a search is complete whatever indexes there are: the ranges it visits cover
every number, and of a range without an index the rows are compared, those of the cells nearest to
the question where a generation of `cells` holds there.

The idea is that of the LSM tree (O'Neil et al. 1996) and of Lucene's segments, with the rows of
all segments in one table, so that its keys, grants and triggers hold as in any table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import cast
from uuid import UUID

import psycopg
from psycopg import sql

from greenlang_vectors.store.cells import Generation
from greenlang_vectors.store.index_settings import Kind, Storage
from greenlang_vectors.store.leaves import Leaf

_NAME = re.compile(r"(hnsw|ivfflat)_[0-9a-f]{12}_(\d+)_(\d+)")


@dataclass(frozen=True, slots=True)
class AnnIndex:
    """An ANN index found on a leaf.

    Attributes:
        storage: what it stores of each vector.
        lists: of IVFFlat, else None.
        first, last: the segments it covers.
        rows: what it held when it was built or last vacuumed.
        valid: False for the leftover of a build that failed, or of a version that built others.
    """

    name: str
    kind: Kind
    storage: Storage
    lists: int | None
    first: int
    last: int
    rows: int
    size_bytes: int
    valid: bool


@dataclass(frozen=True, slots=True)
class Segment:
    """A range of segments that one part of a search visits.

    Attributes:
        last: None for the range that has no end.
        index: what serves it; None where its rows are compared.
        cells: the generation in whose cells they lie; None where all are compared.
    """

    first: int
    last: int | None
    index: AnnIndex | None
    cells: UUID | None = None

    @property
    def exact(self) -> bool:
        """Whether every row of it is compared."""
        return self.index is None and self.cells is None

    def condition(self) -> sql.Composed:
        """The range as SQL, in literals: the planner proves from it that a partial index fits."""
        if self.last is None:
            return sql.SQL("segment >= {}").format(sql.Literal(self.first))
        if self.cells is not None:  # before PostgreSQL 18 a range would not let cells be looked up
            numbers = [*range(self.first, self.last + 1)]
            return sql.SQL("segment = ANY({}::integer[])").format(sql.Literal(numbers))
        return sql.SQL("segment >= {} AND segment <= {}").format(
            sql.Literal(self.first), sql.Literal(self.last)
        )


def on_leaf(connection: psycopg.Connection, leaf: Leaf) -> list[AnnIndex]:
    """The ANN indexes of a leaf, valid or not, by name."""
    rows = connection.execute(
        """
        SELECT c.relname, a.amname, split_part(o.opcname, '_', 1),
               (SELECT option_value::integer FROM pg_options_to_table(c.reloptions)
                WHERE option_name = 'lists'),
               c.reltuples, coalesce(pg_relation_size(c.oid), 0), i.indisvalid
        FROM pg_index i
        JOIN pg_class c ON c.oid = i.indexrelid
        JOIN pg_am a ON a.oid = c.relam
        JOIN pg_opclass o ON o.oid = i.indclass[0]
        WHERE i.indrelid = to_regclass(%s) AND a.amname IN ('hnsw', 'ivfflat')
        ORDER BY c.relname
        """,
        [leaf.table.as_string(connection)],
    )
    return [_found(*row) for row in rows]


def _found(
    name: str,
    kind: str,
    storage: str,
    lists: int | None,
    rows: float,
    size_bytes: int,
    valid: bool,
) -> AnnIndex:
    matched = _NAME.fullmatch(name)
    first, last = (0, -1) if matched is None else (int(matched[2]), int(matched[3]))
    return AnnIndex(
        name=name,
        kind=cast("Kind", kind),
        storage=cast("Storage", storage),
        lists=lists,
        first=first,
        last=last,
        rows=max(0, int(rows)),
        size_bytes=size_bytes,
        valid=valid and matched is not None,
    )


def cover(indexes: Iterable[AnnIndex]) -> list[Segment]:
    """Ranges that hold every segment number exactly once, each with the index that serves it.

    Where indexes overlap (a merge whose forerunners are not dropped yet) the widest one serves.
    """
    valid = [index for index in indexes if index.valid]
    ranges: list[Segment] = []
    position = 0
    while True:
        reaching = [i for i in valid if i.first <= position <= i.last]
        later = [i.first for i in valid if i.first > position]
        if reaching:
            index = max(reaching, key=lambda i: i.last)
            ranges.append(Segment(position, index.last, index))
            position = index.last + 1
        elif later:
            ranges.append(Segment(position, min(later) - 1, None))
            position = min(later)
        else:
            return [*ranges, Segment(position, None, None)]


def in_cells(
    ranges: Iterable[Segment], generations: Sequence[Generation], open_segment: int
) -> list[Segment]:
    """The same ranges, those without an index cut where a generation of cells begins.

    What lies above the open segment, where nobody has written yet, is a range of its own: so the
    numbers of the others are known.
    """
    cut: list[Segment] = []
    for part in ranges:
        cut.extend([part] if part.index is not None else _cut(part, generations, open_segment))
    return cut


def _cut(part: Segment, generations: Sequence[Generation], open_segment: int) -> Iterator[Segment]:
    edges = [part.first, *(g.first_segment for g in generations if g.first_segment > part.first)]
    end = open_segment + 1 if part.last is None else part.last + 1
    edges = [edge for edge in edges if edge < end] + [end]
    for first, following in pairwise(edges):
        holding = [g for g in generations if g.first_segment <= first]
        yield Segment(first, following - 1, None, holding[-1].id if holding else None)
    if part.last is None:
        yield Segment(max(end, part.first), None, None)


def tail_start(ranges: Iterable[Segment]) -> int:
    """The first segment above every range that an index serves."""
    return 1 + max((s.last for s in ranges if s.index and s.last is not None), default=-1)


def rows_in(connection: psycopg.Connection, leaf: Leaf, segment: Segment) -> int:
    """How many rows of the leaf a range holds now."""
    row = connection.execute(
        sql.SQL("SELECT count(*) FROM {} WHERE {}").format(leaf.table, segment.condition())
    ).fetchone()
    return 0 if row is None else int(row[0])


def holds_more(connection: psycopg.Connection, leaf: Leaf, segment: Segment, than: int) -> bool:
    """Whether a range holds more than so many rows; no more are counted."""
    row = connection.execute(
        sql.SQL("SELECT count(*) FROM (SELECT FROM {} WHERE {} LIMIT {}) AS counted").format(
            leaf.table, segment.condition(), sql.Literal(than + 1)
        )
    ).fetchone()
    return row is not None and int(row[0]) > than


def seal(connection: psycopg.Connection, leaf: Leaf) -> int:
    """Open the next segment; return the number of the one that is sealed now.

    A transaction that read the old number may still write it; the index build that follows
    waits for such transactions or takes their rows in, so no row is missed.
    """
    row = connection.execute(
        """
        UPDATE embedding_collections SET open_segment = open_segment + 1
        WHERE id = %s RETURNING open_segment - 1
        """,
        [leaf.collection_id],
    ).fetchone()
    return cast("tuple[int]", row)[0]


GROWTH = 3
"""A segment is merged with the newer ones when it is less than this many times as large."""


def merge_from(sizes: Sequence[int], tail: int) -> int:
    """From which segment on everything newer becomes one: an index into `sizes`.

    The tail is always part of it; so is every older segment that is not much larger than what
    is newer. Sizes fall by GROWTH from one segment to the next, so their number grows with the
    logarithm of the rows, and a row is indexed again as often as that.

    Args:
        sizes: rows of the indexed segments, oldest first.
        tail: rows above them.
    """
    total, first = tail, len(sizes)
    for place in range(len(sizes) - 1, -1, -1):
        if sizes[place] >= GROWTH * total:
            break
        total += sizes[place]
        first = place
    return first
