"""Grids: tables of print, and which text stands in which of their cells.

A drawn grid is a group of rules across and down that touch one another. A grid is read as a table
only where all its text lies within its cells; else its lines stay as they are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from greenlang_vectors.documents.headings import division
from greenlang_vectors.documents.lines import (
    Gap,
    Line,
    Rule,
    from_top,
    has_cells,
    parted,
    row_of,
)

THIN = 3.0
"""Points that rules are thick at most, and apart at most where they touch."""
MOST_CROSSINGS = 100_000
"""Of rules across with rules down, on one page: one with more is a drawing."""
_LONG_CELL = 4_000


class Stroke(NamedTuple):
    """A rule along one axis: where it crosses the other, and from where to where it goes."""

    at: float
    start: float
    end: float

    def covers(self, place: float) -> bool:
        """Whether it passes there."""
        return self.start - THIN <= place <= self.end + THIN


def strokes(rules: Iterable[Rule]) -> tuple[list[Stroke], list[Stroke]]:
    """Rules across and rules down, those that continue one another as one."""
    across: list[Stroke] = []
    down: list[Stroke] = []
    for rule in rules:
        width, height = rule.right - rule.left, rule.top - rule.bottom
        if height <= THIN < width:
            across.append(Stroke((rule.bottom + rule.top) / 2, rule.left, rule.right))
        elif width <= THIN < height:
            down.append(Stroke((rule.left + rule.right) / 2, rule.bottom, rule.top))
    return _continued(across), _continued(down)


def _continued(pieces: list[Stroke]) -> list[Stroke]:
    found: list[Stroke] = []
    level: list[Stroke] = []
    for piece in sorted(pieces):
        if level and piece.at - level[0].at > THIN:
            found += _end_to_end(level)
            level = []
        level.append(piece)
    return [*found, *_end_to_end(level)]


def _end_to_end(level: list[Stroke]) -> Iterator[Stroke]:
    """Rules at one place, as few as they make."""
    at, start, end = 0.0, 0.0, float("-inf")
    for piece in sorted(level, key=lambda piece: piece.start):
        if piece.start <= end + THIN:
            end = max(end, piece.end)
            continue
        if end > start:
            yield Stroke(at, start, end)
        at, start, end = piece
    if end > start:
        yield Stroke(at, start, end)


def with_grids(
    lines: Sequence[Line], across: Sequence[Stroke], down: Sequence[Stroke]
) -> list[Line]:
    """The lines of a page, those in a grid as the rows of its table."""
    result = list(lines)
    for grid in _grids(across, down):
        inside = [line for line in result if grid.holds(line)]
        rows = grid.rows(inside)
        if rows:
            place = result.index(inside[0])
            kept = set(inside)
            before = [line for line in result[:place] if line not in kept]
            result = [*before, *rows, *(line for line in result[place:] if line not in kept)]
    return result


def _grids(across: Sequence[Stroke], down: Sequence[Stroke]) -> list[Grid]:
    """Groups of rules that touch, where they make at least two rows and two columns."""
    groups: list[tuple[set[Stroke], set[Stroke]]] = []
    if len(across) * len(down) > MOST_CROSSINGS:
        return []
    for upright in down:
        touched = {flat for flat in across if flat.covers(upright.at) and upright.covers(flat.at)}
        if not touched:
            continue
        group = (touched, {upright})
        for other in [other for other in groups if other[0] & touched]:
            groups.remove(other)
            group = (group[0] | other[0], group[1] | other[1])
        groups.append(group)
    grids = [Grid.drawn(*group) for group in groups]
    return [grid for grid in grids if len(grid.edges) > 2 and len(grid.levels) > 2]


@dataclass(frozen=True, slots=True)
class Grid:
    """Rules that make a table.

    Attributes:
        edges: where its columns begin and end, from the left.
        levels: where its rows begin and end, from the top.
    """

    across: Sequence[Stroke]
    down: Sequence[Stroke]
    edges: Sequence[float]
    levels: Sequence[float]

    @classmethod
    def implied(cls, edges: Sequence[float], levels: Sequence[float]) -> Grid:
        """The grid of which nothing is drawn, with every cell apart."""
        across = [Stroke(level, edges[0], edges[-1]) for level in levels]
        down = [Stroke(edge, levels[-1], levels[0]) for edge in edges]
        return cls(across, down, edges, levels)

    @classmethod
    def drawn(cls, across: Iterable[Stroke], down: Iterable[Stroke]) -> Grid:
        """The grid that rules make which touch one another."""
        across, down = sorted(across), sorted(down)
        left = min(flat.start for flat in across)
        right = max(flat.end for flat in across)
        edges = [left, *(upright.at for upright in down), right]
        levels = [flat.at for flat in across]
        return cls(across, down, _apart(edges), _apart(levels)[::-1])

    def holds(self, line: Line) -> bool:
        """Whether the line stands between its top and bottom, and not beside it."""
        level = self.levels[-1] < line.middle < self.levels[0]
        return level and line.right > self.edges[0] and line.left < self.edges[-1]

    def rows(self, lines: Sequence[Line]) -> list[Line]:
        """Its rows; empty where it is no table of data, or text does not lie within its cells."""
        cells: dict[int, dict[int, list[Line]]] = defaultdict(lambda: defaultdict(list))
        for line in lines:
            band = sum(line.middle < level for level in self.levels) - 1
            bounds = self._bounds(band)
            for piece in parted(line, _cuts(line, bounds)):
                centre = (piece.left + piece.right) / 2
                column = sum(centre > bound for bound in bounds) - 1
                start, end = bounds[column], bounds[min(column + 1, len(bounds) - 1)]
                if piece.left < start - THIN or piece.right > end + THIN or division(piece.text):
                    return []
                top = self._top(band, (start + end) / 2)
                cells[top][self.edges.index(start)].append(piece)
        columns = sorted({column for row in cells.values() for column in row})
        bands = [[cells[top][column] for column in columns] for top in sorted(cells)]
        rows = [row for place, band in enumerate(bands) for row in _rows(band, header=not place)]
        if len(columns) < 2 or len(rows) < 2 or any(map(_lays_out, chain.from_iterable(bands))):
            return []
        return [row_of(row) for row in rows]

    def _bounds(self, band: int) -> list[float]:
        """Where the cells of a band between two levels begin and end."""
        middle = (self.levels[band] + self.levels[band + 1]) / 2
        inner = [
            edge
            for edge in self.edges[1:-1]
            if any(
                abs(upright.at - edge) <= THIN and upright.start < middle < upright.end
                for upright in self.down
            )
        ]
        return [self.edges[0], *inner, self.edges[-1]]

    def _top(self, band: int, place: float) -> int:
        """The band in which the cell begins that is there in this one: cells may span rows."""
        while band and not any(
            abs(flat.at - self.levels[band]) <= THIN and flat.covers(place) for flat in self.across
        ):
            band -= 1
        return band


def _rows(band: list[list[Line]], *, header: bool) -> list[list[list[Line]]]:
    """The rows of a band between two rules: one, or each line one.

    Where several cells go on over lines of which hardly any goes on in small letters, these are
    rows between which nothing is drawn, but in a header.
    """
    more = [cell[1:] for cell in band if len(cell) > 1]
    running = sum(line.text[:1].islower() for lines in more for line in lines)
    if len(more) < 2 or 4 * running >= sum(map(len, more)) or (header and max(map(len, more)) < 3):
        return [band]
    levels: list[list[Line]] = []
    for room, line in from_top(line for cell in band for line in cell):
        if not levels or room > -0.5 * line.height:
            levels.append([])
        levels[-1].append(line)
    return [[[line for line in cell if line in level] for cell in band] for level in levels]


def _apart(places: Iterable[float]) -> list[float]:
    """Places in ascending order, of several that are nearly one the first."""
    found: list[float] = []
    for place in sorted(places):
        if not found or place - found[-1] > THIN:
            found.append(place)
    return found


def _cuts(line: Line, bounds: Sequence[float]) -> list[Gap]:
    """The gaps of a line in which a cell ends."""
    return [gap for gap in line.gaps if any(map(gap.holds, bounds[1:-1]))]


def _lays_out(cell: Sequence[Line]) -> bool:
    """Whether a cell holds a part of a page, or a table, rather than a datum."""
    return sum(len(line.text) for line in cell) > _LONG_CELL or sum(map(has_cells, cell)) > 1
