"""Ranges of segments hold every number once, in cells or not; merging keeps them few."""

from __future__ import annotations

import itertools
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from greenlang_vectors.store.cells import Generation
from greenlang_vectors.store.segments import (
    GROWTH,
    AnnIndex,
    Segment,
    cover,
    in_cells,
    merge_from,
    tail_start,
)


def index(first: int, last: int, *, rows: int = 1, valid: bool = True) -> AnnIndex:
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
    lambda first, length, valid: index(first, first + length, valid=valid),
    st.integers(0, 30),
    st.integers(0, 10),
    st.booleans(),
)

generations = st.sets(st.integers(0, 45), max_size=4).map(
    lambda firsts: [Generation(UUID(int=first), first) for first in sorted(firsts)]
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
            assert segment.last is not None
            assert segment.last <= served.last


def test_a_merged_index_serves_before_its_forerunners_are_dropped() -> None:
    merged = index(0, 5)
    layout = cover([index(0, 2), index(3, 5), merged])
    assert [segment.index for segment in layout] == [merged, None]


def test_without_indexes_everything_is_scanned() -> None:
    assert cover([]) == [Segment(0, None, None)]


@given(st.lists(indexes, max_size=8), generations, st.integers(0, 50))
def test_each_number_lies_in_one_range_and_in_the_cells_that_held_when_it_was_open(
    found: list[AnnIndex], known: list[Generation], opened: int
) -> None:
    ranges = cover(found)
    layout = in_cells(ranges, known, opened)
    for number in range(60):
        [part] = [segment for segment in layout if holds(segment, number)]
        [whole] = [segment for segment in ranges if holds(segment, number)]
        assert part.index == whole.index
        held = [each.id for each in known if each.first_segment <= number]
        above = number > opened and whole.last is None
        if part.index is None and held and not above:
            assert part.cells == held[-1]
        else:
            assert part.cells is None


def test_a_range_that_lies_in_cells_has_an_end() -> None:
    [old, new, rest] = in_cells(
        [Segment(3, None, None)],
        [Generation(UUID(int=1), 1), Generation(UUID(int=5), 5)],
        7,
    )
    assert (old.first, old.last, old.cells) == (3, 4, UUID(int=1))
    assert (new.first, new.last, new.cells) == (5, 7, UUID(int=5))
    assert rest == Segment(8, None, None)
    assert rest.exact
    assert not old.exact


def test_a_tail_begins_above_every_index() -> None:
    assert tail_start(cover([])) == 0
    assert tail_start(cover([index(0, 2), index(5, 6), index(7, 9, valid=False)])) == 7


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
