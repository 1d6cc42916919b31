"""How much a GPU takes at once is found while it works: larger while that pays and fits."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from greenlang_vectors.embedding.batching import FoundLimits


def work(found: FoundLimits, batches: int, full_at: int, fits: int) -> list[int]:
    """Full batches for a device that is busy from `full_at` tokens on and holds `fits`."""
    tried = []
    for _ in range(batches):
        tokens = found.limits.tokens
        tried.append(tokens)
        if tokens > fits:
            found.too_large(tokens)
        else:
            found.done(tokens, max(tokens, full_at) / 1e6)
    return tried


def test_batches_grow_until_they_are_no_faster() -> None:
    found = FoundLimits()
    tried = work(found, 100, full_at=100_000, fits=2**30)
    assert 100_000 <= found.limits.tokens < 2 * 131_072
    assert max(tried) <= 4 * 131_072
    assert tried[-50:] == [found.limits.tokens] * 50


@given(st.integers(1, 2**20), st.integers(1, 2**22))
def test_what_did_not_fit_is_never_tried_again(full_at: int, fits: int) -> None:
    found = FoundLimits()
    tried = work(found, 200, full_at, fits)
    refused = [tokens for tokens in tried if tokens > fits]
    assert len(refused) == len(set(refused))
    assert found.limits.tokens <= max(fits, 1)
    assert found.limits.tokens <= FoundLimits.MOST


def test_batches_that_are_not_full_tell_nothing() -> None:
    found = FoundLimits()
    for _ in range(50):
        found.done(found.limits.tokens // 2, 1.0)
    assert found.limits.tokens == FoundLimits.FIRST


def test_a_slow_first_batch_is_not_taken_for_the_rate() -> None:
    found = FoundLimits()
    first = found.limits.tokens
    found.done(first, 10.0)
    found.done(first, 0.001)
    assert found.limits.tokens == 2 * first
