"""Mini-batches hold each text once, the longest first, within their bounds."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from greenlang_vectors.embedding.batching import BatchLimits, length_sorted_batches

LENGTHS = st.lists(st.integers(0, 600), max_size=200)
LIMITS = st.builds(BatchLimits, st.integers(1, 3000), st.integers(1, 40), st.booleans())


def tokens(batch: list[int], lengths: list[int], limits: BatchLimits) -> int:
    """What the texts of a batch count together."""
    counted = [max(1, lengths[index]) for index in batch]
    return max(counted) * len(counted) if limits.padded else sum(counted)


@given(LENGTHS, LIMITS)
def test_each_text_is_in_exactly_one_batch(lengths: list[int], limits: BatchLimits) -> None:
    indexes = [index for batch in length_sorted_batches(lengths, limits) for index in batch]
    assert sorted(indexes) == list(range(len(lengths)))


@given(LENGTHS, LIMITS)
def test_no_text_is_longer_than_one_before_it(lengths: list[int], limits: BatchLimits) -> None:
    batches = length_sorted_batches(lengths, limits)
    in_order = [lengths[index] for batch in batches for index in batch]
    assert in_order == sorted(lengths, reverse=True)


@given(LENGTHS, LIMITS)
def test_no_batch_is_over_its_limits_and_none_could_take_the_next_text(
    lengths: list[int], limits: BatchLimits
) -> None:
    batches = list(length_sorted_batches(lengths, limits))
    for batch in batches:
        assert len(batch) <= limits.texts
        assert len(batch) == 1 or tokens(batch, lengths, limits) <= limits.tokens
    for batch, after in pairwise(batches):
        larger = [*batch, after[0]]
        assert len(larger) > limits.texts or tokens(larger, lengths, limits) > limits.tokens
