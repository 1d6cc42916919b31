"""Passages that differ from one another: maximal marginal relevance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def mmr(
    relevance: NDArray[np.float32], vectors: NDArray[np.float32], diversity: float
) -> list[int]:
    """All candidates, ordered by maximal marginal relevance (Carbonell and Goldstein 1998).

    The first is the most relevant; each next one has the greatest
    (1 - diversity) * relevance - diversity * (greatest cosine similarity to those before it).
    Whatever number of first ones is taken, the order is the same. Ties go to the earlier one.

    Args:
        relevance: to the question, shape (n,), on the scale of a cosine similarity.
        vectors: of the candidates, shape (n, dimensions).
        diversity: in [0, 1].

    Returns:
        indexes into both.
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    directions = vectors / np.where(lengths > 0, lengths, 1)
    left = np.ones(len(vectors), dtype=bool)
    closest = np.full(len(vectors), -np.inf, dtype=np.float32)
    order: list[int] = []
    while left.any():
        gain = relevance
        if order:
            gain = (1 - diversity) * relevance - diversity * closest
        chosen = int(np.argmax(np.where(left, gain, -np.inf)))
        order.append(chosen)
        left[chosen] = False
        closest = np.maximum(closest, directions @ directions[chosen])
    return order
