"""Reciprocal Rank Fusion: what it promises of any rankings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlang_vectors.search.fusion import fuse

ranking = st.lists(st.integers(0, 30), unique=True, max_size=15)
weight = st.floats(0.1, 10)


def test_the_formula_of_the_paper() -> None:
    fused = dict(fuse([["a", "b"], ["b", "c"]], [1.0, 1.0]))
    assert fused == {
        "a": pytest.approx(1 / 61),
        "b": pytest.approx(1 / 62 + 1 / 61),
        "c": pytest.approx(1 / 62),
    }


def test_what_both_know_comes_before_what_only_one_knows_well() -> None:
    assert [key for key, _ in fuse([["a", "x"], ["b", "x"]], [1, 1])] == ["x", "a", "b"]


def test_a_weight_tips_the_balance() -> None:
    assert [key for key, _ in fuse([["a"], ["b"]], [1, 2])] == ["b", "a"]
    assert fuse([["a"], ["b"]], [1, 0]) == [("a", pytest.approx(1 / 61))]


def test_nothing_fused_is_nothing() -> None:
    assert fuse([], []) == []
    assert fuse([[], []], [1, 1]) == []


@pytest.mark.parametrize("weights", [[1.0], [1.0, -1.0], [1.0, 1.0, 1.0]])
def test_weights_that_do_not_fit_are_refused(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="weighted"):
        fuse([["a"], ["b"]], weights)


@given(ranking, weight)
def test_one_ranking_stays_as_it_is(keys: list[int], by: float) -> None:
    assert [key for key, _ in fuse([keys], [by])] == keys


@given(st.lists(ranking, min_size=2, max_size=2), weight, weight)
def test_every_key_comes_once_the_best_first(rankings: list[list[int]], a: float, b: float) -> None:
    fused = fuse(rankings, [a, b])
    assert {key for key, _ in fused} == {key for keys in rankings for key in keys}
    assert len(fused) == len({key for key, _ in fused})
    scores = [score for _, score in fused]
    assert scores == sorted(scores, reverse=True)


@given(st.lists(ranking, min_size=2, max_size=2), st.integers(0, 30))
def test_a_key_that_rises_in_one_ranking_never_falls(rankings: list[list[int]], key: int) -> None:
    before = dict(fuse(rankings, [1, 1])).get(key, 0.0)
    risen = [key, *(other for other in rankings[0] if other != key)]
    after = fuse([risen, rankings[1]], [1, 1])
    assert dict(after)[key] >= before


@given(st.lists(ranking, min_size=1, max_size=4))
def test_scores_do_not_depend_on_the_order_of_the_arms(rankings: list[list[int]]) -> None:
    there = dict(fuse(rankings, [1.0] * len(rankings)))
    back = dict(fuse(rankings[::-1], [1.0] * len(rankings)))
    assert there == pytest.approx(back)
