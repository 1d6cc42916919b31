"""Maximal marginal relevance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from greenlang_vectors.search.diversity import mmr

SIZE = 4
SETS = st.integers(1, 12).flatmap(
    lambda n: st.tuples(
        arrays.arrays(np.float32, n, elements=st.floats(-1, 1, width=32)),
        arrays.arrays(np.float32, (n, SIZE), elements=st.floats(-1, 1, width=32)),
    )
)


@given(SETS)
def test_without_diversity_the_order_is_that_of_relevance(
    given_: tuple[NDArray[np.float32], NDArray[np.float32]],
) -> None:
    relevance, vectors = given_
    assert mmr(relevance, vectors, 0) == np.argsort(-relevance, kind="stable").tolist()


@given(SETS, st.floats(0, 1))
def test_the_first_is_the_most_relevant_and_all_come_once(
    given_: tuple[NDArray[np.float32], NDArray[np.float32]], diversity: float
) -> None:
    relevance, vectors = given_
    order = mmr(relevance, vectors, diversity)
    assert sorted(order) == list(range(len(relevance)))
    assert order[0] == int(np.argmax(relevance))


def test_a_copy_comes_after_what_is_new() -> None:
    vectors = np.array([[1, 0], [1, 0.01], [0, 1], [-1, 0]], np.float32)
    relevance = np.array([0.9, 0.89, 0.5, -0.2], np.float32)
    assert mmr(relevance, vectors, 0) == [0, 1, 2, 3]
    assert mmr(relevance, vectors, 0.5) == [0, 3, 2, 1]
    assert mmr(relevance, vectors, 0.3) == [0, 2, 1, 3]


def test_lengths_of_vectors_do_not_count() -> None:
    random = np.random.default_rng(1)
    vectors = random.normal(size=(30, 8)).astype(np.float32)
    relevance = random.uniform(size=30).astype(np.float32)
    scaled = vectors * random.uniform(0.1, 10, size=(30, 1)).astype(np.float32)
    assert mmr(relevance, vectors, 0.4) == mmr(relevance, scaled, 0.4)


@pytest.mark.parametrize("diversity", [0.0, 0.5, 1.0])
def test_nothing_and_vectors_of_zeros(diversity: float) -> None:
    assert mmr(np.empty(0, np.float32), np.empty((0, SIZE), np.float32), diversity) == []
    assert mmr(np.ones(2, np.float32), np.zeros((2, SIZE), np.float32), diversity) == [0, 1]
