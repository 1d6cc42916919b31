"""Mini-batches of texts of like length, so that little is computed on padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

MINI_BATCH = 32
"""Texts a mini-batch; more gain nothing on a CPU (measured)."""


def length_sorted_batches(lengths: Sequence[int], size: int = MINI_BATCH) -> Iterator[list[int]]:
    """Indexes of the lengths in batches of at most `size`, longest first: each exactly once.

    Whoever fills `result[batch] = encode(batch)` has the original order back. With the longest
    first, a batch that does not fit into memory shows itself at once.
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)
    for start in range(0, len(order), size):
        yield order[start : start + size]
