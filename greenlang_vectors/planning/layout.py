"""How PostgreSQL lays rows and keys out on its pages of 8 KiB, so that their size is arithmetic.

Heap: https://www.postgresql.org/docs/current/storage-page-layout.html; out of line:
https://www.postgresql.org/docs/current/storage-toast.html; B-tree: src/include/access/nbtree.h.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import NamedTuple

PAGE = 8192
PAGE_HEADER = 24
ITEM_POINTER = 4
ALIGNMENT = 8

HEAP_TUPLE_HEADER = 23
TOAST_POINTER = 18
TOAST_CHUNK = 1996
TOAST_TUPLE = 2032
"""Of a whole chunk: header, two integers, and the chunk with its length."""

BTREE_PAGE_SPACE = PAGE - PAGE_HEADER - 16
INDEX_TUPLE_HEADER = 8
ROW_POINTER = 6

ASCENDING_FILL = 0.9
"""Of a B-tree whose keys come in order: its default fillfactor."""


class Column(NamedTuple):
    """What a value takes in a row, and on a multiple of how many bytes it begins."""

    size: int
    alignment: int


UUID = Column(16, 1)
SMALLINT = Column(2, 2)
INTEGER = Column(4, 4)
BIGINT = TIMESTAMP = Column(8, 8)


def text(size: int) -> Column:
    """A text, JSON or vector of so many bytes: with a short header where it has up to 126."""
    return Column(size + 1, 1) if size <= 126 else Column(size + 4, 4)


def heap_bytes(rows: int, columns: Sequence[Column], *, nulls: bool = False) -> int:
    """A table of rows that are all alike, none of them dead.

    Args:
        columns: those that are not NULL, in their order.
        nulls: whether some of the table's columns are NULL, which a bitmap then says.
    """
    header = HEAP_TUPLE_HEADER + (ceil((len(columns) + 1) / 8) if nulls else 0)
    tuple_bytes = aligned(aligned(header) + data_bytes(columns)) + ITEM_POINTER
    return pages(rows, max(1, (PAGE - PAGE_HEADER) // tuple_bytes))


def toast_bytes(rows: int, value_bytes: int) -> int:
    """A value of each row that is kept out of line, uncompressed, and the index that finds it."""
    whole, rest = divmod(value_bytes, TOAST_CHUNK)
    row_bytes = whole * (TOAST_TUPLE + ITEM_POINTER)
    if rest:
        row_bytes += aligned(TOAST_TUPLE - TOAST_CHUNK + rest) + ITEM_POINTER
    chunks = rows * (whole + bool(rest))
    found = btree_bytes(chunks, [INTEGER, INTEGER], ASCENDING_FILL)
    return ceil(rows * row_bytes / (PAGE - PAGE_HEADER)) * PAGE + found


def btree_bytes(rows: int, columns: Sequence[Column], fill: float) -> int:
    """A B-tree with an entry a row.

    Args:
        fill: how full its pages are on average.
    """
    entry = entry_bytes(columns)
    fanout = BTREE_PAGE_SPACE * fill / entry
    return (1 + ceil(rows / fanout * fanout / (fanout - 1))) * PAGE


def deduplicated_btree_bytes(rows: int, fill: float) -> int:
    """A B-tree of a few keys that each stand for many rows: one key, then pointers alone."""
    return (1 + ceil(rows * ROW_POINTER / (BTREE_PAGE_SPACE * fill))) * PAGE


def entry_bytes(columns: Sequence[Column]) -> int:
    """An entry of a B-tree, with its item pointer."""
    return aligned(INDEX_TUPLE_HEADER + data_bytes(columns)) + ITEM_POINTER


def data_bytes(columns: Sequence[Column]) -> int:
    """The values of a row, each at the place its type may begin at."""
    offset = 0
    for size, alignment in columns:
        offset = -(-offset // alignment) * alignment + size
    return offset


def aligned(size: int) -> int:
    """The next multiple of 8 bytes."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def pages(rows: int, per_page: int) -> int:
    """Bytes of as many pages as so many rows need."""
    return -(-rows // per_page) * PAGE
