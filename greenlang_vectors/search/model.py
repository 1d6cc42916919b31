"""What a search asks and what it answers: one definition for SDK, HTTP API and command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from greenlang_vectors.documents.model import JSON
from greenlang_vectors.search.filters import Filter

Mode = Literal["vector", "text", "hybrid"]


@dataclass(frozen=True, slots=True, eq=False)
class SearchRequest:
    """One search of one namespace.

    Attributes:
        query: the question; None where `vector` takes its place (mode "vector" only).
        top_k: the most passages of a page, 1 to 1000.
        mode: by likeness of vectors (PRD 8.1.1), by words, or both fused by rank (PRD 8.1.3).
        vector: a ready query vector, shape (dimensions of the collection,).
        filter: which passages may be found (PRD 8.1.2).
        threshold: leave out passages whose vector score is below it; mode "vector" only.
        collection: the one of the namespace to ask; None for the one that serves.
        after: `SearchAnswer.next` of the page before; the rest of the request as it was.
        exact: compare with every embedding: equal requests get equal answers, whatever the index.
        per_document: the most passages of one document; None for no bound.
        diversity: 0 for the most similar, towards 1 for passages that differ from one another
            (maximal marginal relevance, Carbonell and Goldstein 1998); None for neither.
        rerank: order the best by the configured cross-encoder.
        weights: of the vector and the text ranks in a hybrid search.
        fresh: read from the writer, so that the caller's own committed writes are seen.
        all_versions: find passages of older versions of an act, too, not of the newest alone.
        parents: show each passage with the one it was cut out of, or with its neighbours
            (`Parent`); passages of one parent are one result, and `top_k` and `per_document` count
            parents.
        max_tokens: the page ends before the first passage (with `parents`: the first parent) with
            which it would have more tokens, as counted when documents were cut.
    """

    query: str | None
    namespace: str
    top_k: int = 10
    mode: Mode = "vector"
    vector: NDArray[np.float32] | None = None
    filter: Filter | None = None
    threshold: float | None = None
    collection: str | None = None
    after: str | None = None
    exact: bool = False
    per_document: int | None = None
    diversity: float | None = None
    rerank: bool = False
    weights: tuple[float, float] = (1.0, 1.0)
    fresh: bool = False
    all_versions: bool = False
    parents: bool = False
    max_tokens: int | None = None


class Candidate(NamedTuple):
    """A passage one arm of a search found, the best first.

    Attributes:
        value: distance to the query in a vector search (less is better), rank score in a text
            search (more is better).
    """

    document_id: UUID
    chunk_index: int
    value: float


@dataclass(frozen=True, slots=True)
class Found:
    """What one arm of a search found.

    Attributes:
        candidates: the best first, ties by document and chunk.
        plan: how they were found, in words for people ("hnsw, ef_search 100; 312 of 200000 rows
            pass the filter, compared one by one").
    """

    candidates: list[Candidate]
    plan: str


@dataclass(frozen=True, slots=True)
class Child:
    """A passage that was found in a parent; attributes as of `SearchResult`.

    Attributes:
        start, end: character span in the document's text.
    """

    chunk_index: int
    id: UUID
    score: float
    page: int | None
    start: int
    end: int
    heading_path: list[str]
    content: str


@dataclass(frozen=True, slots=True)
class Parent:
    """What a found passage stands in, to be read in its place; it is not asked whether it passes
    the filter.

    The chunk that the passage was cut out of (strategy "hierarchical"); else the passage with the
    one before and the one after it in its document, those left out that a better result holds.

    Attributes:
        chunk_indexes: the chunks it is made of, in order.
        content: their text, without what they overlap.
        page, page_end: 1-based pages it begins and ends on; None where the medium has no pages.
        heading_path: headings above its beginning, outermost first.
        start, end: character span in the document's text.
        tokens: of its chunks, as counted when the document was cut.
        children: the passages that were found in it, the best first.
    """

    chunk_indexes: list[int]
    content: str
    page: int | None
    page_end: int | None
    heading_path: list[str]
    start: int
    end: int
    tokens: int
    children: list[Child]


@dataclass(frozen=True, slots=True)
class SearchResult:
    """A passage that answers, and where it stands.

    Attributes:
        rank: 1 for the best of the page's first result, counted on over pages.
        score: the more the better. Vector: likeness by the collection's metric (cosine similarity
            in [-1, 1], inner product, or 1 / (1 + L2 distance)). Text: rank of the words.
            Hybrid: the fused score. After a rerank: the cross-encoder's.
        id: of the embedding.
        document_id: the document's id.
        source_type: PRD 6.1.
        document: the document's key in its source, such as a path.
        title: the document's title.
        page: 1-based page the passage begins on; None where the medium has no pages.
        heading_path: headings above the passage, outermost first.
        chunk_index: the passage's place in its document.
        content: the passage.
        metadata: of the embedding.
        vector_rank, text_rank: its place in each arm of the search; None where it is not among
            that arm's candidates.
        vector_score: likeness by vectors, where the vector arm found it.
        parent: what it stands in, where the request asks for `parents`; this is the best of its
            children then.
    """

    rank: int
    score: float
    id: UUID
    document_id: UUID
    source_type: str
    document: str
    title: str
    page: int | None
    heading_path: list[str]
    chunk_index: int
    content: str
    metadata: dict[str, JSON]
    vector_rank: int | None = None
    text_rank: int | None = None
    vector_score: float | None = None
    parent: Parent | None = None


@dataclass(frozen=True, slots=True)
class SearchAnswer:
    """The passages of one page, and how they were found.

    Attributes:
        asked: `top_k` of the request.
        collection: who answered; None where the namespace holds nothing yet.
        plan: how, in words for people.
        next: the request's `after` for the next page; None where there is none.
        embed_ms, search_ms: time to embed the question, and for everything after, milliseconds.
    """

    results: list[SearchResult]
    asked: int
    mode: Mode
    collection: str | None
    plan: str
    next: str | None
    embed_ms: float
    search_ms: float

    @property
    def returned(self) -> int:
        """How many passages came back."""
        return len(self.results)
