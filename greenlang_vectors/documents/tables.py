"""Tables as readable rows: cells between " | ", the header above every piece of a long table.

A chunk is a stretch of the text, so a long table's header stands in the text again and again, as it
does in print at the top of every page.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from greenlang_vectors.documents.blocks import Block
from greenlang_vectors.documents.clean import clean, one_line
from greenlang_vectors.documents.footnotes import without_private
from greenlang_vectors.documents.headings import GENERIC, enumerator

PIECE = 1_000
"""Characters of rows below which a table is one piece: some 300 tokens, so that a chunk of 512
holds a piece whole."""

NOTHING = "–"
"""An empty cell between others, so that every value keeps its column."""

CELLS = " | "
"""Stands between the cells of a row."""
_LONG_ROW = 4_000
_LONG_HEADER = 300


def table_blocks(rows: Sequence[Sequence[str]], headers: int = 0) -> list[Block]:
    """A table of data as paragraphs of one row a line.

    Args:
        rows: the text of each cell; columns that are empty throughout are left out.
        headers: how many rows at the top are its header.
    """
    width = max((len(row) for row in rows), default=0)
    full = [[*row, *[""] * (width - len(row))] for row in rows]
    kept = [column for column in range(width) if any(row[column] for row in full)]
    lines = [row_text([row[column] for column in kept]) for row in full]
    head = [line for line in lines[:headers] if line]
    body = [line for line in lines[headers:] if line]
    repeated = head if sum(map(len, head)) <= _LONG_HEADER else []
    blocks: list[Block] = []
    piece = list(head)
    size = 0
    for line in body:
        if head and size and size + len(line) > PIECE:
            blocks.append(Block("\n".join(piece)))
            piece, size = list(repeated), 0
        piece.append(line)
        size += len(line)
    return [*blocks, Block("\n".join(piece))] if piece else blocks


def row_text(cells: Sequence[str]) -> str:
    """A row as one line of text; cells that are empty to its right are left out."""
    last = max((place for place, cell in enumerate(cells) if cell), default=-1)
    return clean(CELLS.join(cell or NOTHING for cell in cells[: last + 1]))


class Rows:
    """Rows of a table of print as they come: pieces of it, a header above each.

    The first row is its header where it holds no digit.

    Attributes:
        joins: the row that came last belongs to the piece before.
    """

    def __init__(self) -> None:
        self.joins = False
        self._header = ""
        self._size = -1

    def end(self) -> None:
        """What follows is of no table, or of another."""
        self._size, self._header = -1, ""

    def next(self, row: str, *, alone: bool) -> str:
        """The row, below the header where a piece begins with it.

        Args:
            alone: a piece begins with it whatever its size, as with a page.
        """
        begins = self._size < 0
        if begins and not any(char.isdigit() for char in row):
            self._header = row
        self.joins = not begins and not alone and self._size + len(row) <= PIECE
        self._size = len(row) + (self._size if self.joins else 0)
        plain = begins or self.joins or row == self._header
        return row if plain or not self._header else f"{self._header}\n{row}"


class Table:
    """A table of a web page being read: rows of cells, each a list of blocks.

    Args:
        outer: the list that what comes after the table belongs to.
    """

    def __init__(self, outer: list[Block]) -> None:
        self.outer = outer
        self.rows: list[list[list[Block]]] = []
        self._headers: list[list[bool]] = []

    def new_row(self, *, header: bool = False) -> None:
        """Begin a row.

        Args:
            header: it stands in the table's head.
        """
        self.rows.append([])
        self._headers.append([header])

    def new_cell(self, *, header: bool = False) -> list[Block]:
        """The empty list of one more cell of the last row."""
        if not self.rows:
            self.new_row()
        cell: list[Block] = []
        self.rows[-1].append(cell)
        self._headers[-1].append(header)
        return cell

    def blocks(self) -> list[Block]:
        """The table as paragraphs, nothing lost."""
        filled = [[cell for cell in row if cell] for row in self.rows]
        filled = [row for row in filled if row]
        if all(len(row) == 1 or _is_item(row) for row in filled):
            return [block for row in filled for block in _item(row)]
        if any(_lays_out(cell) for row in filled for cell in row):
            return [block for row in filled for cell in row for block in cell]
        rows = [["\n".join(block.text for block in cell) for cell in row] for row in self.rows]
        headers = takewhile(lambda row: row[0] or all(row[1:]), self._headers)
        return table_blocks(rows, len(list(headers)))


def _is_item(row: list[list[Block]]) -> bool:
    """Whether the row is a list item: its mark, and beside it its text."""
    if len(row) != 2 or len(row[0]) != 1:
        return False
    mark = one_line(without_private(row[0][0].text))
    return enumerator(mark) == mark or (mark.startswith("►") and len(mark) <= 5)


def _item(row: list[list[Block]]) -> list[Block]:
    if len(row) == 1:
        return row[0]
    (mark,), (first, *others) = row
    return [Block(f"{mark.text} {first.text}", level=first.level), *others]


def _lays_out(cell: list[Block]) -> bool:
    """Whether a cell holds a part of a page rather than a datum."""
    return any(block.level is not None and block.level < GENERIC for block in cell) or (
        sum(len(block.text) for block in cell) > _LONG_ROW
    )
