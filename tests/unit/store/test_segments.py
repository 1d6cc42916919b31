"""Ranges of segments hold every number once; merging keeps them few."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from greenlang_vectors.store.segments import GROWTH, AnnIndex, Segment, cover, merge_from


def index(first: int, last: int | None, *, rows: int = 1, valid: bool = True) -> AnnIndex:
    return AnnIndex(
        name=f"hnsw_{first}_{last}",
        kind="hnsw",
        storage="vector",
        lists=None,
        first=first,
        last=last,
        rows=rows,
        size_bytes=0,
        valid=valid,
    )


indexes = st.builds(
    lambda first, length, endless, valid: index(
        first, None if endless else first + length, valid=valid
    ),
    st.integers(0, 30),
    st.integers(0, 10),
    st.booleans(),
    st.booleans(),
)


def holds(segment: Segment, number: int) -> bool:
    return segment.first <= number and (segment.last is None or number <= segment.last)


@given(st.lists(indexes, max_size=8))
def test_every_segment_number_lies_in_exactly_one_range(found: list[AnnIndex]) -> None:
    layout = cover(found)
    for number in range(60):
        assert sum(holds(segment, number) for segment in layout) == 1


@given(st.lists(indexes, max_size=8))
def test_a_range_is_served_by_a_valid_index_that_holds_all_of_it(found: list[AnnIndex]) -> None:
    for segment in cover(found):
        served = segment.index
        if served is not None:
            assert served.valid
            assert served.first <= segment.first
            if served.last is not None:
                assert segment.last is not None
                assert segment.last <= served.last


def test_a_merged_index_serves_before_its_forerunners_are_dropped() -> None:
    merged = index(0, 5)
    layout = cover([index(0, 2), index(3, 5), merged])
    assert [segment.index for segment in layout] == [merged, None]


def test_without_indexes_everything_is_scanned() -> None:
    assert cover([]) == [Segment(0, None, None)]


def test_a_tail_is_served_by_its_own_index_though_that_begins_lower() -> None:
    tail = index(3, None)
    assert cover([index(0, 5), tail])[-1] == Segment(6, None, tail)


@given(st.lists(st.integers(1, 100_000), min_size=1, max_size=60))
def test_segments_stay_few_however_rows_come_in(arrivals: list[int]) -> None:
    sizes: list[int] = []
    for tail in arrivals:
        place = merge_from(sizes, tail)
        sizes = [*sizes[:place], tail + sum(sizes[place:])]
        assert all(older >= GROWTH * newer for older, newer in itertools.pairwise(sizes))
    assert sum(sizes) == sum(arrivals)
    assert GROWTH ** (len(sizes) - 1) <= sizes[0]


def test_a_large_segment_is_left_alone_by_a_small_tail() -> None:
    assert merge_from([200_000], 3_000) == 1
    assert merge_from([200_000, 8_000], 3_000) == 1
    assert merge_from([8_000, 3_000], 3_000) == 0
