"""What the arms of a search found, as one ranking of hits: scored, fused, cut into pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol, TypeVar
from uuid import UUID

from greenlang_vectors.search.cursor import Seen
from greenlang_vectors.search.fusion import fuse
from greenlang_vectors.search.model import Candidate
from greenlang_vectors.store.index_settings import Metric

Key = tuple[UUID, int]
"""A passage: its document and its place in it."""


class Keyed(Protocol):
    """What a page may hold."""

    @property
    def key(self) -> Key:
        """What it is known by."""
        ...


K = TypeVar("K", bound=Keyed)


class Hit(NamedTuple):
    """A passage that was found, and where; attributes as of `model.SearchResult`."""

    key: Key
    score: float
    vector_rank: int | None = None
    text_rank: int | None = None
    vector_score: float | None = None


def score(metric: Metric, distance: float) -> float:
    """A distance as people read it, the more the better."""
    if metric == "cosine":
        return 1 - distance
    return 1 / (1 + distance) if metric == "l2" else -distance


def vector_hits(candidates: Sequence[Candidate], metric: Metric) -> list[Hit]:
    """The hits of a vector search, best first."""
    return [
        Hit((c.document_id, c.chunk_index), likeness, vector_rank=rank, vector_score=likeness)
        for rank, c in enumerate(candidates, 1)
        for likeness in [score(metric, c.value)]
    ]


def text_hits(candidates: Sequence[Candidate]) -> list[Hit]:
    """The hits of a search for words, best first."""
    return [
        Hit((c.document_id, c.chunk_index), c.value, text_rank=rank)
        for rank, c in enumerate(candidates, 1)
    ]


def fused_hits(
    vector: Sequence[Hit], text: Sequence[Hit], weights: tuple[float, float]
) -> list[Hit]:
    """Both rankings as one, by Reciprocal Rank Fusion."""
    by_vector = {hit.key: hit for hit in vector}
    by_text = {hit.key: hit for hit in text}
    return [
        Hit(
            key,
            fused,
            vector_rank=by_vector[key].vector_rank if key in by_vector else None,
            text_rank=by_text[key].text_rank if key in by_text else None,
            vector_score=by_vector[key].vector_score if key in by_vector else None,
        )
        for key, fused in fuse([list(by_vector), list(by_text)], weights)
    ]


def eligible(hits: Sequence[K], seen: Seen, per_document: int | None) -> Iterator[K]:
    """The hits, or groups of them, that pages to come may hold, in order.

    Args:
        seen: what the pages before held; it counts for its documents.
        per_document: the most hits of one document over all pages.
    """
    shown = [hit.key in seen for hit in hits]
    if per_document is None:
        yield from (hit for hit, was in zip(hits, shown, strict=True) if not was)
        return
    counts = Counter(hit.key[0] for hit, was in zip(hits, shown, strict=True) if was)
    for hit, was in zip(hits, shown, strict=True):
        if not was and counts[hit.key[0]] < per_document:
            counts[hit.key[0]] += 1
            yield hit
