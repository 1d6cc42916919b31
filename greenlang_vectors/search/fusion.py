"""Rankings of several arms of a search become one (PRD 8.1.3)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)

K = 60
"""Damps the lead of the first ranks; the value of the paper."""


def fuse(
    rankings: Sequence[Sequence[Key]], weights: Sequence[float], k: int = K
) -> list[tuple[Key, float]]:
    """Reciprocal Rank Fusion (Cormack, Clarke and Büttcher, SIGIR 2009), the best first.

    The score of a key is the sum of `weight / (k + rank)` over the rankings it is in, ranks
    counted from 1. Keys of equal score come in the order they are first met in, going through
    the rankings rank by rank.

    Args:
        rankings: each the best first, no key twice.
        weights: one for each ranking, none negative; a ranking of weight 0 contributes no keys.

    Raises:
        ValueError: not one weight for each ranking, or a negative one.
    """
    if len(weights) != len(rankings) or any(weight < 0 for weight in weights):
        raise ValueError(f"{len(rankings)} rankings cannot be weighted by {tuple(weights)}")
    scores: dict[Key, float] = {}
    for place in range(max(map(len, rankings), default=0)):
        for ranking, weight in zip(rankings, weights, strict=True):
            if place < len(ranking) and weight:
                key = ranking[place]
                scores[key] = scores.get(key, 0.0) + weight / (k + place + 1)
    return sorted(scores.items(), key=lambda entry: -entry[1])
