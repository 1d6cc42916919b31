"""Mini-batches hold each text once, the longest first, within their bounds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from greenlang_vectors.embedding.batching import length_sorted_batches

LENGTHS = st.lists(st.integers(0, 600), max_size=200)
TOKENS = st.integers(1, 3000)
TEXTS = st.integers(1, 40)


@given(LENGTHS, TOKENS, TEXTS)
def test_each_text_is_in_exactly_one_batch(lengths: list[int], tokens: int, texts: int) -> None:
    indexes = [index for batch in length_sorted_batches(lengths, tokens, texts) for index in batch]
    assert sorted(indexes) == list(range(len(lengths)))


@given(LENGTHS, TOKENS, TEXTS)
def test_no_text_is_longer_than_one_before_it(lengths: list[int], tokens: int, texts: int) -> None:
    batches = length_sorted_batches(lengths, tokens, texts)
    in_order = [lengths[index] for batch in batches for index in batch]
    assert in_order == sorted(lengths, reverse=True)


@given(LENGTHS, TOKENS, TEXTS)
def test_no_batch_is_over_its_bounds_and_none_but_the_last_could_take_another_text(
    lengths: list[int], tokens: int, texts: int
) -> None:
    batches = list(length_sorted_batches(lengths, tokens, texts))
    for batch in batches:
        longest = lengths[batch[0]]
        assert len(batch) == 1 or (len(batch) <= texts and len(batch) * longest <= tokens)
    for batch in batches[:-1]:
        longest = lengths[batch[0]]
        assert len(batch) == texts or (len(batch) + 1) * longest > tokens
