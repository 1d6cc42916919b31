"""Which texts a model is given at once: mini-batches within its limits, texts of like length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """What a model takes at once.

    Attributes:
        tokens: the most tokens of a batch.
        texts: the most texts of a batch.
        padded: whether each text counts as long as the longest of its batch.
    """

    tokens: int
    texts: int
    padded: bool


LOCAL = BatchLimits(tokens=2048, texts=32, padded=True)
"""A model on this machine. On two cores 2,048 tokens are the fastest of 512 to 16,384, or equal
to it, for short and long texts alike (docs/benchmarks.md); over 32 texts gain nothing on a CPU."""


def length_sorted_batches(
    lengths: Sequence[int], limits: BatchLimits = LOCAL
) -> Iterator[list[int]]:
    """Indexes of the lengths (in tokens) in batches, longest first: each exactly once.

    A text of more tokens than a batch may have has one of its own. Whoever fills
    `result[batch] = encode(batch)` has the original order back. With the longest first, what does
    not fit into memory shows itself at once, and padding is little.
    """
    batch: list[int] = []
    tokens = 0
    for index in sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True):
        length = max(1, lengths[batch[0] if batch and limits.padded else index])
        if batch and (len(batch) == limits.texts or tokens + length > limits.tokens):
            yield batch
            batch, tokens, length = [], 0, max(1, lengths[index])
        batch.append(index)
        tokens += length
    if batch:
        yield batch
