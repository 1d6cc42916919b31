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


class FoundLimits:
    """What a GPU takes at once, found while it works (PRD 7.2): doubled while that is faster.

    What does not fit into its memory is never tried again.
    """

    FIRST, MOST = 8192, 2**20
    """Tokens of the first batches, and of the largest."""

    FASTER = 1.05
    """A size pays if it does so many times the tokens a second of half of it."""

    SAMPLES = 2
    """Batches a size is judged by, by the faster: the first of a shape is slow."""

    TOKENS_A_TEXT = 16
    """Texts shorter than this count as long as this: more texts than that are no matter of size."""

    def __init__(self) -> None:
        self._tokens = self.FIRST
        self._most = self.MOST
        self._rates: list[float] = []
        self._half = 0.0
        self._settled = False

    @property
    def limits(self) -> BatchLimits:
        """As found until now."""
        return BatchLimits(self._tokens, self._tokens // self.TOKENS_A_TEXT, padded=True)

    def done(self, tokens: int, seconds: float) -> None:
        """A batch of so many tokens, padding included, took so long."""
        if self._settled or 2 * tokens <= self._tokens:
            return
        self._rates.append(tokens / seconds)
        if len(self._rates) < self.SAMPLES:
            return
        rate = max(self._rates)
        self._rates = []
        if rate <= self._half * self.FASTER:
            self._tokens, self._settled = self._tokens // 2, True
        elif 2 * self._tokens > self._most:
            self._settled = True
        else:
            self._tokens, self._half = 2 * self._tokens, rate

    def too_large(self, tokens: int) -> None:
        """A batch of so many tokens did not fit into memory."""
        self._most = min(self._most, max(1, tokens // 2))
        if self._tokens > self._most:
            self._tokens, self._rates = self._most, []


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
