"""Tables of print that no rules part into cells: rows told by wide gaps in lines near one another.

Where cells take several lines, lines are put together to rows only where something parts the rows:
rules across, or more room than there is between the lines of a cell.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from greenlang_vectors.documents.columns import GUTTER
from greenlang_vectors.documents.grids import Grid, Stroke
from greenlang_vectors.documents.lines import Gap, Line, cell_gaps, from_top, is_row, parted

WIDE = 0.6
"""Heights of a line that a character is wide on average where its gaps part cells; it is half a
height in running text."""
_NEAR = 3
_NEAR_CELLS = 8
_ROWS = 3
_FAR = 2.5
_ROOM = 0.25

Gaps = Mapping[int, Sequence[Gap]]
"""The gaps between the cells of lines that are rows, by their places on the page."""


def with_rows(lines: Sequence[Line], across: Sequence[Stroke]) -> list[Line]:
    """The lines of a page, tables as rows with tabs between their cells.

    Args:
        across: rules of the page.
    """
    parting = {
        i: gaps for i, line in enumerate(lines) if not is_row(line) and (gaps := cell_gaps(line))
    }
    rows = _rows(lines, parting)
    result: list[Line] = []
    done = 0
    for first, last in _near_one_another(sorted({*rows, *_in_line(parting)})):
        if first >= done:
            start, end, table = _table(lines, {**parting, **rows}, done, (first, last), across)
            result += [*_tabbed(lines, rows, done, start), *table]
            done = end
    return [*result, *_tabbed(lines, rows, done, len(lines))]


def _in_line(parting: Gaps) -> Iterator[int]:
    """Lines of which a cell begins where one does in a line near them."""
    for i, gaps in parting.items():
        near = [parting.get(j, ()) for j in range(i - _NEAR_CELLS, i + _NEAR_CELLS + 1) if j != i]
        starts = [gap.right for others in near for gap in others]
        if any(abs(gap.right - start) < 2 for gap in gaps for start in starts):
            yield i


def _rows(lines: Sequence[Line], parting: Gaps) -> Gaps:
    """Rows of one line: much wider than their characters; one such line alone is no table.

    A neighbour of theirs is a row where a cell of it begins where one of theirs does.
    """
    wide = {
        i: gaps
        for i, gaps in parting.items()
        if lines[i].right - lines[i].left > WIDE * lines[i].height * len(lines[i].text)
    }
    rows = {i: gaps for i, gaps in wide.items() if any(0 < abs(i - j) <= _NEAR for j in wide)}
    starts = [gap.right for gaps in rows.values() for gap in gaps]
    for i in {i + step for i in rows for step in (-1, 1)} - set(rows):
        if 0 <= i < len(lines) and not is_row(lines[i]):
            gaps = [
                gap
                for gap in lines[i].gaps
                if gap.right - gap.left > GUTTER * lines[i].height
                and any(abs(gap.right - x) < 2 for x in starts)
            ]
            if gaps:
                rows[i] = gaps
    return rows


def _tabbed(lines: Sequence[Line], gaps: Gaps, start: int, end: int) -> Iterator[Line]:
    """Lines with tabs for their gaps between cells."""
    for i in range(start, end):
        text = list(lines[i].text)
        for gap in gaps.get(i, ()):
            text[gap.place] = "\t"
        yield replace(lines[i], text="".join(text)) if i in gaps else lines[i]


def _near_one_another(places: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and last of each run of places that are not far from one another."""
    first = 0
    for i, place in enumerate(places):
        if i + 1 == len(places) or places[i + 1] - place > _NEAR_CELLS:
            yield places[first], place
            first = i + 1


def _table(
    lines: Sequence[Line],
    gaps: Gaps,
    done: int,
    within: tuple[int, int],
    across: Sequence[Stroke],
) -> tuple[int, int, list[Line]]:
    """Where the lines of a table with cells of several lines begin and end, and its rows.

    Nothing where it has none such, or where it is not sure what its rows are.
    """
    first, last = within
    pieces = [
        piece for i in range(first, last + 1) if i in gaps for piece in parted(lines[i], gaps[i])
    ]
    edges = _inner_edges(pieces)
    start, end = _extent(lines, edges, done, first, last + 1)
    inside = list(lines[start:end])
    if edges and all(_fits(line, edges) for line in inside):
        bands = _bands(inside, across)
        while bands and all(line.right <= edges[0] for line in bands[0]):
            start += len(bands.pop(0))
        while bands and all(line.right <= edges[0] for line in bands[-1]):
            end -= len(bands.pop())
        inside = list(lines[start:end])
        if {id(line) for band in bands for line in band} == {id(line) for line in inside}:
            rows = _grid(bands, edges).rows(inside) if bands else []
            if _is_sure(rows):
                return start, end, rows
    return done, done, []


def _inner_edges(pieces: Iterable[Line]) -> list[float]:
    """Where columns begin but the first: left of all their cells, right of all those before."""
    edges: list[float] = []
    reached = float("-inf")
    for piece in sorted(pieces, key=lambda piece: piece.left):
        if piece.left > reached:
            edges.append(piece.left - 1)
        reached = max(reached, piece.right)
    return edges[1:]


def _extent(
    lines: Sequence[Line], edges: Sequence[float], done: int, start: int, end: int
) -> tuple[int, int]:
    """The lines from `start` to `end`, and those around them that belong to the same columns."""
    top = max(line.top for line in lines[start:end])
    bottom = min(line.bottom for line in lines[start:end])

    def belongs(line: Line) -> bool:
        far = _FAR * line.height
        return bottom - far < line.top and line.bottom < top + far and _fits(line, edges)

    while start > done and belongs(lines[start - 1]):
        start -= 1
        top, bottom = max(top, lines[start].top), min(bottom, lines[start].bottom)
    while end < len(lines) and belongs(lines[end]):
        top, bottom = max(top, lines[end].top), min(bottom, lines[end].bottom)
        end += 1
    return start, end


def _fits(line: Line, edges: Sequence[float]) -> bool:
    """Whether no cell of a line crosses an edge between columns, and none has a wide gap."""
    return (
        not is_row(line)
        and all(
            line.right <= edge or line.left >= edge or any(gap.holds(edge) for gap in line.gaps)
            for edge in edges
        )
        and all(any(map(gap.holds, edges)) for gap in cell_gaps(line))
    )


def _bands(lines: Iterable[Line], across: Sequence[Stroke]) -> list[list[Line]]:
    """Lines in groups from the top, between which there is a rule or more room than within."""
    descending = from_top(lines)
    usual = min((room for room, line in descending if room > -0.5 * line.height), default=0.0)
    bands: list[list[Line]] = []
    above = descending[0][1]
    for room, line in descending:
        ruled = any(
            line.middle < flat.at < above.middle and flat.covers(line.left) for flat in across
        )
        if not bands or ruled or room > usual + _ROOM * line.height:
            bands.append([])
        bands[-1].append(line)
        above = line
    return bands


def _grid(bands: Sequence[Sequence[Line]], edges: Sequence[float]) -> Grid:
    lines = [line for band in bands for line in band]
    left = min(line.left for line in lines) - 1
    right = max(line.right for line in lines) + 1
    tops = [max(line.top for line in band) for band in bands]
    bottoms = [min(line.bottom for line in band) for band in bands]
    between = [(bottom + top) / 2 for bottom, top in zip(bottoms, tops[1:], strict=False)]
    return Grid.implied([left, *edges, right], [tops[0] + 1, *between, bottoms[-1] - 1])


def _is_sure(rows: Sequence[Line]) -> bool:
    """Whether rows look like rows: some take several lines, which not all their cells fill.

    Numbers take no second line, and only a header may be as high in all cells.
    """
    cells = [[cell.split("\n") for cell in row.text.split("\t") if cell] for row in rows]
    tall = [row for row in cells if max(map(len, row)) > 1]
    filled = [row for row in tall[1:] if len(row) > 1 and min(map(len, row)) > 1]
    numbers = any(
        len(cell) > 1 and not any(char.isalpha() for line in cell for char in line)
        for row in tall
        for cell in row
    )
    alone = [row for row in cells if len(row) == 1]
    return (
        len(rows) >= _ROWS
        and bool(tall)
        and not numbers
        and 4 * len(filled) <= len(rows)
        and 3 * len(alone) <= len(rows)
    )
