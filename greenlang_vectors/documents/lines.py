"""Lines of print: text with coordinates, and the pieces that wide gaps part it into.

PDFs hold pieces of lines; what they mean is worked out from where they stand.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from greenlang_vectors.documents.footnotes import RAISED
from greenlang_vectors.documents.headings import enumerator

SMALL = 0.96
"""Share of the body's line height below which lines are footnotes."""
CELL_GAP = 1.2
"""Heights of a line that its words are apart at least where a cell ends."""
INDENT = 6.0
"""Heights of a line that the space behind a list's mark is wide at most."""


class Gap(NamedTuple):
    """A space in a line: its place in the text, and where it begins and ends on the page."""

    place: int
    left: float
    right: float

    def holds(self, x: float) -> bool:
        """Whether it is there, or as good as there."""
        return self.left - 1 <= x <= self.right + 1


class Rule(NamedTuple):
    """A ruling line, or the edge of a box: its sides in points, two of them nearly one."""

    left: float
    right: float
    bottom: float
    top: float


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """One line of text on a page; coordinates in points from the page's lower left corner.

    A row of a table has tabs between its cells, and line ends in cells that take several lines.

    Attributes:
        gaps: its spaces that are wider than between words, where the page was looked into for them.
    """

    text: str
    left: float
    right: float
    bottom: float
    top: float
    bold: bool
    page: int
    gaps: tuple[Gap, ...] = ()

    @property
    def height(self) -> float:
        """Points from the lowest to the highest part of its characters' boxes."""
        return self.top - self.bottom

    @property
    def middle(self) -> float:
        """Halfway up."""
        return (self.top + self.bottom) / 2


def merged(fragments: Iterable[Line]) -> list[Line]:
    """`fragments` with those that continue one another on the same line as one line.

    Superscripts and subscripts arrive as fragments of their own.
    """
    lines: list[Line] = []
    for fragment in fragments:
        previous = lines[-1] if lines else None
        if previous is not None and _on_one_line(previous, fragment):
            lines[-1] = _joined(previous, fragment)
        else:
            lines.append(fragment)
    return lines


def _joined(previous: Line, fragment: Line) -> Line:
    height = max(previous.height, fragment.height)
    width = fragment.left - previous.right
    space = " " if width > 0.2 * height else ""
    raised = RAISED if _is_raised(previous, fragment) else ""
    shift = len(previous.text) + len(space) + len(raised)
    between = Gap(len(previous.text), previous.right, fragment.left)
    is_mark = enumerator(previous.text) == previous.text
    wide = width > (INDENT if is_mark else 0.4) * height
    return replace(
        previous,
        text=previous.text + space + raised + fragment.text,
        right=max(previous.right, fragment.right),
        bottom=min(previous.bottom, fragment.bottom),
        top=max(previous.top, fragment.top),
        bold=previous.bold and fragment.bold,
        gaps=(
            *previous.gaps,
            *([between] if wide else []),
            *(gap._replace(place=gap.place + shift) for gap in fragment.gaps),
        ),
    )


def _is_raised(previous: Line, fragment: Line) -> bool:
    """Whether a fragment is a raised number behind words, such as calls a footnote."""
    return (
        len(previous.text) > 1
        and fragment.height < 0.75 * previous.height
        and fragment.bottom > previous.bottom + 0.15 * previous.height
        and fragment.text.isdecimal()
    )


def _on_one_line(first: Line, second: Line) -> bool:
    least = min(first.top - first.bottom, second.top - second.bottom)
    if least <= 0 or second.left < first.right - 0.5 * least:
        return False
    return min(first.top, second.top) - max(first.bottom, second.bottom) > 0.5 * least


def parted(line: Line, cuts: Sequence[Gap]) -> list[Line]:
    """The pieces of a line between some of its gaps."""
    if not cuts:
        return [line]
    pieces: list[Line] = []
    start, left = 0, line.left
    for cut in (*cuts, Gap(len(line.text), line.right, line.right)):
        within = tuple(
            gap._replace(place=gap.place - start)
            for gap in line.gaps
            if start <= gap.place < cut.place
        )
        text = line.text[start : cut.place]
        pieces.append(replace(line, text=text, left=left, right=cut.left, gaps=within))
        start, left = cut.place + 1, cut.right
    return pieces


def is_row(line: Line) -> bool:
    """Whether it is a row of a table."""
    return "\t" in line.text


def from_top(lines: Iterable[Line]) -> list[tuple[float, Line]]:
    """Lines from the top of the page, before each the room between it and all those above it.

    The room is less than nothing beside another line, and before the first.
    """
    found: list[tuple[float, Line]] = []
    bottom = float("-inf")
    for line in sorted(lines, key=lambda line: -line.top):
        found.append((bottom - line.top, line))
        bottom = min(bottom, line.bottom) if len(found) > 1 else line.bottom
    return found


def cell_gaps(line: Line) -> list[Gap]:
    """The gaps of a line that are wide enough to part cells."""
    return [gap for gap in line.gaps if gap.right - gap.left > CELL_GAP * line.height]


def has_cells(line: Line) -> bool:
    """Whether a gap of it may part cells."""
    return bool(line.gaps and cell_gaps(line))


def _cell_text(cell: Sequence[Line]) -> str:
    """The lines of a cell; a wide gap in its only one parts cells that no rule does."""
    if len(cell) == 1:
        return "\t".join(piece.text for piece in parted(cell[0], cell_gaps(cell[0])))
    return "\n".join(line.text for line in cell)


def row_of(cells: Sequence[Sequence[Line]]) -> Line:
    """A row of a table as one line, as high as its first and as low as its last."""
    lines = [line for cell in cells for line in cell]
    first = max(lines, key=lambda line: line.top)
    bottom = min(line.bottom for line in lines)
    text = "\t".join(map(_cell_text, cells)).rstrip("\t")
    return Line(
        text=text if "\t" in text else f"{text}\t",
        left=min(line.left for line in lines),
        right=max(line.right for line in lines),
        bottom=bottom,
        top=bottom + first.height,
        bold=all(line.bold for line in lines),
        page=first.page,
    )
