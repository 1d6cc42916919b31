"""Other orders of the best hits: diversified, or re-ranked.

Either orders pools of a fixed size, one after the other, so that the order does not depend on
how many hits a page holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice

import numpy as np
import psycopg

from greenlang_vectors.search import passages
from greenlang_vectors.search.cursor import Seen
from greenlang_vectors.search.diversity import mmr
from greenlang_vectors.search.hits import Hit, Key, eligible
from greenlang_vectors.search.model import SearchRequest
from greenlang_vectors.search.passages import Passage
from greenlang_vectors.search.questions import Asked
from greenlang_vectors.search.rerank import Reranker

DIVERSIFIED = 100
RERANKED = 50


def pool(request: SearchRequest) -> int:
    """How many hits are ordered together."""
    if request.diversity is not None:
        return DIVERSIFIED
    return RERANKED if request.rerank else 1


def diversified(
    connection: psycopg.Connection, asked: Asked, hits: Sequence[Hit], diversity: float
) -> list[Hit]:
    """The hits by maximal marginal relevance.

    Relevance is the cosine similarity to the question in a vector search; else the score, scaled
    so that the best hit's is 1. A hit whose embedding is gone is left out.
    """
    vectors = passages.vectors(connection, asked.collection.leaf, [hit.key for hit in hits])
    there = [hit for hit in hits if hit.key in vectors]
    ordered: list[Hit] = []
    for start in range(0, len(there), DIVERSIFIED):
        part = there[start : start + DIVERSIFIED]
        matrix = np.stack([vectors[hit.key] for hit in part])
        if asked.request.mode == "vector":
            lengths = np.linalg.norm(matrix, axis=1) * np.linalg.norm(asked.vector)
            cosines = matrix @ asked.vector / np.where(lengths > 0, lengths, 1)
            relevance = cosines.astype(np.float32)
        else:
            best = there[0].score or 1.0
            relevance = np.array([hit.score / best for hit in part], dtype=np.float32)
        ordered += [part[place] for place in mmr(relevance, matrix, diversity)]
    return ordered


def to_rerank(hits: Sequence[Hit], seen: Seen, request: SearchRequest) -> list[Hit]:
    """The hits of the pools that a page is taken from, but for those already shown."""
    stop = RERANKED
    while stop < len(hits):
        able = eligible(hits[:stop], seen, request.per_document)
        if len(list(islice(able, request.top_k))) == request.top_k:
            break
        stop += RERANKED
    return [hit for hit in hits[:stop] if hit.key not in seen]


def reranked(
    question: str, hits: Sequence[Hit], found: Mapping[Key, Passage], reranker: Reranker
) -> list[Hit]:
    """The hits by the re-ranker's scores, those of a pool among themselves.

    Args:
        found: passages of the hits to re-rank; the others stay where they are.
    """
    texts = {hit.key: found[hit.key].content for hit in hits if hit.key in found}
    scores = dict(zip(texts, reranker.scores(question, list(texts.values())), strict=True))
    ordered: list[Hit] = []
    for start in range(0, len(hits), RERANKED):
        part = hits[start : start + RERANKED]
        scored = [hit._replace(score=scores[hit.key]) for hit in part if hit.key in scores]
        ordered += [hit for hit in part if hit.key not in scores]
        ordered += sorted(scored, key=lambda hit: -hit.score)
    return ordered
