"""Columns that a program drew line by line across the page: read one after the other.

A gutter is a strip that stays white over many lines, which go on at both its sides. Tables have
such strips, too: as columns are read only those that look like running text at both sides, whose
lines mostly fill the column, often begin in mid-sentence and have no gaps of their own. What
crosses the strip, such as a heading over both columns, ends them. Columns drawn one after the other
are in order already.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from itertools import pairwise

from greenlang_vectors.documents.grids import Stroke
from greenlang_vectors.documents.lines import SMALL, Gap, Line, from_top, has_cells, is_row, parted

GUTTER = 0.7
"""Heights of a line that a gutter is wide at least."""
MOST = 4
"""Columns of a page."""
LINES = 5
"""Lines that go on over a gutter at least."""
_WIDTH = 10.0
_FAR = 4.0

Strip = tuple[float, float]


class _Region:
    """Lines on both sides of a strip, from a first one on.

    Attributes:
        end: place of the first line after it.
        left, right: the lines, or pieces of lines, of each side.
        crossings: how often the text goes on from left to right.
    """

    def __init__(
        self, lines: Sequence[Line], start: int, strip: Strip, across: Sequence[Stroke]
    ) -> None:
        self.left: list[Line] = []
        self.right: list[Line] = []
        self.crossings = 0
        self.end = start
        self._strip = strip
        self._on_left = False
        self._last = start
        for previous, line in pairwise([lines[start], *lines[start:]]):
            ruled = any(self._is_between(flat, previous, line) for flat in across)
            if is_row(line) or ruled or not _follows(previous, line) or not self._takes(line):
                break
            self.end += 1
            self._last = self._last if self._on_left else self.end
        if self.end < len(lines):
            self._leave(lines)

    def _leave(self, lines: Sequence[Line]) -> None:
        """Leave to what comes below the columns the heading that it may begin with."""
        room = lines[self.end - 1].bottom - lines[self.end].top
        for place in range(self.end - 1, max(self._last - 1, self.end - 3), -1):
            if lines[place - 1].bottom - lines[place].top >= max(room, 0.8 * lines[place].height):
                del self.left[place - self.end :]
                self.end = place
                return

    def _is_between(self, flat: Stroke, previous: Line, line: Line) -> bool:
        """Whether a rule crosses the strip between two lines."""
        left, right = self._strip
        between = line.middle < flat.at < previous.middle
        return between and flat.start < left and flat.end > right

    def _takes(self, line: Line) -> bool:
        """Put a line where it belongs; whether it leaves the strip white."""
        left, right = self._strip
        least = GUTTER * line.height
        if line.right <= right - least:
            left = max(left, line.right)
            self._put(line, on_left=True)
        elif line.left >= left + least:
            right = min(right, line.left)
            self._put(line, on_left=False)
        elif cut := _widest(line.gaps, self._strip, least):
            left, right = max(left, cut.left), min(right, cut.right)
            for piece, on_left in zip(parted(line, [cut]), (True, False), strict=True):
                self._put(piece, on_left=on_left)
        else:
            return False
        self._strip = left, right
        return True

    def _put(self, piece: Line, *, on_left: bool) -> None:
        self.crossings += self._on_left and not on_left
        self._on_left = on_left
        (self.left if on_left else self.right).append(piece)

    def columns(self, across: Sequence[Stroke]) -> list[list[Line]]:
        """Its columns from the left; empty where they are none."""
        if _has_rows(self.left, self.right):
            return []
        sides = [_side(side, across) for side in (self.left, self.right)]
        return sides[0] + sides[1] if all(sides) else []


def in_reading_order(lines: Sequence[Line], across: Sequence[Stroke], body: float) -> list[Line]:
    """The lines of a page, columns one after the other, the footnotes of all below them.

    Args:
        across: rules that no column runs over.
        body: height of the body's lines.
    """
    result: list[Line] = []
    place = 0
    while place < len(lines):
        end, columns = _columns(lines, place, across)
        notes: list[Line] = []
        for column in columns:
            last = len(column)
            while last and column[last - 1].height < SMALL * body:
                last -= 1
            result += column[:last]
            notes += column[last:]
        result += notes if columns else lines[place:end]
        place = end
    return result


def _columns(
    lines: Sequence[Line], start: int, across: Sequence[Stroke]
) -> tuple[int, list[list[Line]]]:
    """Where a region ends that begins with a line, and its columns; none where it has none.

    Of a region that may be a table no part is taken for columns.
    """
    regions = [_Region(lines, start, strip, across) for strip in _strips(lines, start)]
    regions = [region for region in regions if region.crossings >= LINES]
    regions.sort(key=lambda region: -region.end)
    for region in regions:
        if columns := region.columns(across):
            return region.end, columns
    return regions[0].end if regions else start + 1, []


def _side(lines: list[Line], across: Sequence[Stroke]) -> list[list[Line]]:
    """The columns of one side: itself, or those that it has in turn."""
    if _is_prose(lines):
        return [lines]
    end, columns = _columns(lines, 0, across)
    return columns if end == len(lines) else []


def _strips(lines: Sequence[Line], start: int) -> Iterable[Strip]:
    """Strips that may be a gutter: wide gaps of a line, or between it and one beside it."""
    line = lines[start]
    wide = [gap for gap in line.gaps if gap.right - gap.left >= GUTTER * line.height]
    if len(wide) < MOST:
        yield from ((gap.left, gap.right) for gap in wide)
    beside = lines[start + 1] if start + 1 < len(lines) else line
    if beside.left - line.right >= GUTTER * line.height and beside.top > line.bottom:
        yield line.right, beside.left


def _widest(gaps: Iterable[Gap], strip: Strip, least: float) -> Gap | None:
    """The gap that shares most with the strip."""
    shared = [(min(strip[1], gap.right) - max(strip[0], gap.left), gap) for gap in gaps]
    width, gap = max(shared, default=(0.0, None))
    return gap if width >= least else None


def _follows(previous: Line, line: Line) -> bool:
    """Whether a line stands beside or below the one before it, and not far."""
    height = max(previous.height, line.height)
    upward, downward = line.top - previous.top, previous.bottom - line.top
    return upward < 1.5 * height and downward < _FAR * height


def _is_prose(lines: Sequence[Line]) -> bool:
    """Whether the lines of a column look like running text."""
    height = statistics.median(line.height for line in lines)
    width = max(line.right for line in lines) - min(line.left for line in lines)
    full = sum(line.right - line.left >= 0.7 * width for line in lines)
    running = sum(line.text[:1].islower() for line in lines)
    loose = sum(map(has_cells, lines))
    count = len(lines)
    return (
        width >= _WIDTH * height
        and full >= 0.5 * count
        and running >= 0.3 * count
        and loose <= 0.2 * count
    )


def _has_rows(left: Sequence[Line], right: Sequence[Line]) -> bool:
    """Whether both sides begin anew at the same heights, as the rows of a table do.

    In columns that happens by chance, too, but then both have lines right above.
    """
    last = max(min(line.bottom for line in side) for side in (left, right))
    descending = from_top(line for line in [*left, *right] if line.top > last)
    height = statistics.median(line.height for _, line in descending)
    steps = [room for room, _ in descending if room > -0.5 * height] or [0.0]
    usual = statistics.median(steps)
    breaks = [line.top + room for room, line in descending if room > usual + 0.35 * height]
    ragged = [
        level
        for level in breaks
        if not all(
            any(abs(line.bottom - level) < 0.5 * height for line in side) for side in (left, right)
        )
    ]
    return len(breaks) > max(3, len(steps) / 6) or 0 < len(breaks) <= 3 * len(ragged)
