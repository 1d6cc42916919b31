"""Mini-batches of texts of like length, so that little is computed on padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

MINI_BATCH_TOKENS = 2048
"""Tokens a mini-batch, padding included: on two cores the fastest of 512 to 16,384, or equal to
it, for short and long texts alike (docs/benchmarks.md)."""

MINI_BATCH_TEXTS = 32
"""Texts a mini-batch; more gain nothing on a CPU."""


def length_sorted_batches(
    lengths: Sequence[int], tokens: int = MINI_BATCH_TOKENS, texts: int = MINI_BATCH_TEXTS
) -> Iterator[list[int]]:
    """Indexes of the lengths (in tokens) in batches, longest first: each exactly once.

    A batch holds at most `texts` texts and, padded to its longest, `tokens` tokens; a text of
    more has a batch of its own. Whoever fills `result[batch] = encode(batch)` has the original
    order back. With the longest first, what does not fit into memory shows itself at once.
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)
    start = 0
    while start < len(order):
        longest = max(1, lengths[order[start]])
        stop = start + max(1, min(texts, tokens // longest))
        yield order[start:stop]
        start = stop
