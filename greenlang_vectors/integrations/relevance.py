"""Maximal marginal relevance over what a search found, as vector store libraries ask for it."""

from __future__ import annotations

import numpy as np

from greenlang_vectors.search.diversity import mmr
from greenlang_vectors.search.model import SearchAnswer, SearchResult
from greenlang_vectors.service import BlockingEmbeddingService


def diverse(
    service: BlockingEmbeddingService, answer: SearchAnswer, k: int, relevance: float
) -> list[SearchResult]:
    """k of the answer's passages, those first that are relevant and unlike those before.

    Relevance is their score (Carbonell and Goldstein 1998).

    Args:
        relevance: 1 for the most relevant, towards 0 for the most different.
    """
    vectors = service.vectors(answer)
    there = [each for each in answer.results if each.id in vectors]
    if not there:
        return []
    order = mmr(
        np.array([each.score for each in there], dtype=np.float32),
        np.stack([vectors[each.id] for each in there]),
        1 - relevance,
    )
    return [there[place] for place in order[:k]]
