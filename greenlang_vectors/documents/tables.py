"""HTML tables: told apart into tables of data and tables that only lay text out."""

from __future__ import annotations

from greenlang_vectors.documents.blocks import Block
from greenlang_vectors.documents.clean import one_line
from greenlang_vectors.documents.headings import GENERIC, enumerator

_LONG_ROW = 4_000


class Table:
    """A table being read: rows of cells, each a list of blocks.

    Args:
        outer: the list that what comes after the table belongs to.
    """

    def __init__(self, outer: list[Block]) -> None:
        self.outer = outer
        self.rows: list[list[list[Block]]] = []

    def new_cell(self) -> list[Block]:
        """The empty list of one more cell of the last row."""
        if not self.rows:
            self.rows.append([])
        cell: list[Block] = []
        self.rows[-1].append(cell)
        return cell

    def blocks(self) -> list[Block]:
        """The table as paragraphs, nothing lost."""
        rows = [[cell for cell in row if cell] for row in self.rows]
        rows = [row for row in rows if row]
        if all(len(row) == 1 or _is_item(row) for row in rows):
            return [block for row in rows for block in _item(row)]
        if any(_lays_out(cell) for row in rows for cell in row):
            return [block for row in rows for cell in row for block in cell]
        lines = [" | ".join("\n".join(b.text for b in cell) for cell in row) for row in rows]
        return [Block("\n".join(lines))] if lines else []


def _is_item(row: list[list[Block]]) -> bool:
    """Whether the row is a list item: its mark, and beside it its text."""
    if len(row) != 2 or len(row[0]) != 1:
        return False
    mark = one_line(row[0][0].text)
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
