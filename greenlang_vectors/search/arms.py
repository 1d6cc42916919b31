"""The arms of a search, by vectors and by words, each to any depth; and both as one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

import psycopg

from greenlang_vectors.search import fulltext, nearest
from greenlang_vectors.search.cursor import Seen
from greenlang_vectors.search.hits import Hit, eligible, fused_hits, text_hits, vector_hits
from greenlang_vectors.search.model import SearchRequest
from greenlang_vectors.search.questions import Asked

HYBRID_DEPTH = 100
"""The fewest candidates of each arm that a hybrid search fuses."""

DEEPER = 4
"""How many times as deep the next attempt goes where hits fall to the bound on a document's."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """Hits, best first.

    Attributes:
        plan: how they were found, in words.
        complete: a deeper search would find no more.
    """

    hits: list[Hit]
    plan: str
    complete: bool


def by_vector(
    asked: Asked, connection: psycopg.Connection, depth: int, *, ef_search: int
) -> Ranking:
    """The nearest passages, those above the request's threshold.

    Args:
        ef_search: breadth of a search in a graph where neither tuning nor a person set one.
    """
    request, index = asked.request, asked.collection.searched
    found = nearest.nearest(
        connection,
        asked.collection.leaf,
        asked.vector,
        depth,
        index=index,
        ef_search=index.ef_search or ef_search,
        plan="exact" if request.exact else "auto",
        filter=asked.filter,
    )
    hits = vector_hits(found.candidates, index.metric)
    kept = hits
    if request.threshold is not None:
        kept = [hit for hit in hits if hit.score >= request.threshold]
    return Ranking(kept, found.plan, len(hits) < depth or len(kept) < len(hits))


def by_words(asked: Asked, connection: psycopg.Connection, depth: int) -> Ranking:
    """The passages that hold the words of the question."""
    found = fulltext.matching(
        connection,
        asked.collection.leaf,
        asked.request.query or "",
        depth,
        filter=asked.filter,
    )
    return Ranking(text_hits(found.candidates), found.plan, len(found.candidates) < depth)


def fused(near: Ranking, words: Ranking, weights: tuple[float, float]) -> Ranking:
    """Both rankings as one."""
    return Ranking(
        fused_hits(near.hits, words.hits, weights),
        f"vector: {near.plan}; text: {words.plan}",
        near.complete and words.complete,
    )


def first_depth(request: SearchRequest, seen: Seen, pool: int) -> int:
    """How many candidates a page needs at least, in whole pools; one more tells of a next page."""
    needed = len(seen) + request.top_k + 1
    if request.mode == "hybrid":
        needed = max(HYBRID_DEPTH, needed)
    return -(-needed // pool) * pool


def deepened(
    rank: Callable[[int], Ranking], depth: int, request: SearchRequest, seen: Seen
) -> Ranking:
    """The ranking at the first depth that fills the page, or that is complete."""
    while True:
        ranking = rank(depth)
        able = islice(eligible(ranking.hits, seen, request.per_document), request.top_k + 1)
        if ranking.complete or len(list(able)) > request.top_k:
            return ranking
        depth *= DEEPER
