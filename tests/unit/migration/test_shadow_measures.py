"""How alike two lists of answers are, and how alike they are ordered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlang_vectors.migration.shadow import overlap, rank_distance

answers = st.lists(st.integers(0, 14), unique=True, max_size=10)


@given(answers, answers)
def test_both_lie_between_0_and_1_and_have_no_direction(one: list[int], other: list[int]) -> None:
    for measure in (overlap, rank_distance):
        assert 0 <= measure(one, other) <= 1
        assert measure(one, other) == pytest.approx(measure(other, one))


@given(answers)
def test_a_list_is_like_itself(one: list[int]) -> None:
    assert overlap(one, one) == 1
    assert rank_distance(one, one) == 0


@given(answers, answers)
def test_only_the_same_order_has_no_distance(one: list[int], other: list[int]) -> None:
    assert (rank_distance(one, other) == 0) == (one == other)
    assert (overlap(one, other) == 1) == (set(one) == set(other))


def test_nothing_in_common_is_farthest() -> None:
    assert rank_distance([1, 2, 3], [4, 5, 6]) == 1
    assert rank_distance([1, 2, 3], [4]) == 1
    assert overlap([1, 2, 3], [4]) == 0


def test_the_farther_a_passage_falls_the_farther_the_lists_are() -> None:
    ten = list(range(10))
    swapped = [1, 0, *ten[2:]]
    fallen = [*ten[1:], 0]
    assert 0 < rank_distance(ten, swapped) < rank_distance(ten, fallen) < 1
    assert overlap(ten, [*ten[:9], 99]) == 0.9
