"""Mini-batches hold each text once, the longest first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from greenlang_vectors.embedding.batching import length_sorted_batches

LENGTHS = st.lists(st.integers(0, 600), max_size=200)
SIZES = st.integers(1, 40)


@given(LENGTHS, SIZES)
def test_each_text_is_in_exactly_one_batch(lengths: list[int], size: int) -> None:
    indexes = [index for batch in length_sorted_batches(lengths, size) for index in batch]
    assert sorted(indexes) == list(range(len(lengths)))


@given(LENGTHS, SIZES)
def test_no_text_is_longer_than_one_before_it(lengths: list[int], size: int) -> None:
    in_order = [lengths[i] for batch in length_sorted_batches(lengths, size) for i in batch]
    assert in_order == sorted(lengths, reverse=True)


@given(LENGTHS, SIZES)
def test_batches_are_full_but_the_last(lengths: list[int], size: int) -> None:
    sizes = [len(batch) for batch in length_sorted_batches(lengths, size)]
    assert all(count == size for count in sizes[:-1])
    assert all(0 < count <= size for count in sizes[-1:])
