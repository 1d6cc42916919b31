"""Sizes are arithmetic of PostgreSQL's and pgvector's pages; real leaves are compared elsewhere."""

from __future__ import annotations

import pytest

from greenlang_vectors.planning import layout
from greenlang_vectors.planning.layout import INTEGER, PAGE, SMALLINT, UUID, Column, text
from greenlang_vectors.planning.sizes import RowShape, leaf_sizes
from greenlang_vectors.store.index_settings import IndexSettings

MIB = 2**20
HNSW = IndexSettings(m=16, ef_construction=200, ef_search=100)


def test_a_value_begins_where_its_type_may() -> None:
    assert layout.data_bytes([UUID, text(8), INTEGER]) == 16 + 9 + 3 + 4
    assert layout.data_bytes([SMALLINT, INTEGER]) == 8
    assert (text(126), text(127)) == (Column(127, 1), Column(131, 4))


def test_rows_share_pages_whole() -> None:
    wide = [Column(4000, 1)]
    assert layout.heap_bytes(1, wide) == PAGE
    assert layout.heap_bytes(2, wide) == PAGE
    assert layout.heap_bytes(3, wide) == 2 * PAGE
    assert layout.heap_bytes(10, [Column(8000, 1)]) == 10 * PAGE


def test_rows_and_entries_end_on_a_multiple_of_eight() -> None:
    nine = [Column(9, 1)]
    assert layout.entry_bytes(nine) == 24 + 4
    assert layout.heap_bytes((PAGE - 24) // 44, nine) == PAGE
    assert layout.heap_bytes((PAGE - 24) // 44 + 1, nine) == 2 * PAGE


def test_a_bitmap_of_nulls_takes_its_place() -> None:
    columns = [INTEGER] * 9
    without, with_nulls = (layout.heap_bytes(10**6, columns, nulls=n) for n in (False, True))
    assert without < with_nulls < 1.2 * without


def test_half_full_pages_take_twice_the_room() -> None:
    full, half = (layout.btree_bytes(10**6, [UUID], fill) for fill in (1.0, 0.5))
    assert half == pytest.approx(2 * full, rel=0.01)
    assert full == pytest.approx(10**6 * 28, rel=0.02)


def test_vectors_leave_a_row_that_no_page_holds() -> None:
    small = leaf_sizes(HNSW, 1536, 1000)
    large = leaf_sizes(IndexSettings(m=16, storage="halfvec"), 3072, 1000)
    assert small.toast == 0
    assert small.heap == 1000 * PAGE
    assert large.toast > 1000 * 4 * 3072
    assert large.heap < small.heap / 5


@pytest.mark.parametrize(
    ("index", "mebibytes"),
    [
        (HNSW, 391),
        (IndexSettings(m=16, storage="halfvec"), 223),
        (IndexSettings(m=16, storage="bit"), 66),
        (IndexSettings(kind="ivfflat", lists=447), 315),
    ],
)
def test_indexes_are_as_large_as_those_of_the_benchmarks(
    index: IndexSettings, mebibytes: int
) -> None:
    """docs/benchmarks.md, 200,000 x 384."""
    assert leaf_sizes(index, 384, 200_000).ann_index / MIB == pytest.approx(mebibytes, rel=0.01)


def test_what_is_stored_grows_with_what_stands_beside_a_vector() -> None:
    few, many = (
        leaf_sizes(HNSW, 384, 10_000, RowShape(preview_bytes=preview, tokens=tokens))
        for preview, tokens in ((100, 100), (2000, 400))
    )
    assert many.heap > few.heap
    assert many.texts == pytest.approx(4 * few.texts, rel=0.01)
    assert many.ann_index == few.ann_index
    assert few.total == few.leaf + few.texts + few.audit
    assert few.keys < few.leaf
