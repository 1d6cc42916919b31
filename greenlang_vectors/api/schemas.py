"""What requests and answers look like, as OpenAPI describes them.

What may be asked of a search, and what it means, is `search.model`'s to say.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from greenlang_vectors.search import filters
from greenlang_vectors.search.model import Mode, SearchRequest
from greenlang_vectors.store.jobs import Status
from greenlang_vectors.store.uploads import State

MAX_TOP_K = 1000
MAX_TEXTS = 256

FiniteFloat = Annotated[float, Field(allow_inf_nan=False)]
Component = Annotated[float, Field(ge=-3.4e38, le=3.4e38, allow_inf_nan=False)]
"""Of a vector: what float32 can hold."""


def _whole(value: object) -> object:
    """JSON has no integers of its own: 10.0 is 10, but true is none."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


Whole = Annotated[int, BeforeValidator(_whole), Field(strict=True)]
Flag = Annotated[bool, Field(strict=True)]

FilterJSON = Annotated[
    Any,
    WithJsonSchema(
        {
            "type": "object",
            "description": 'A comparison {"field": "metadata.year", "op": "gte", "value": 2023}, or'
            ' {"and": […]}, {"or": […]}, {"not": {…}}. Fields: source_type, source_id, document,'
            " created_at, updated_at, metadata.<path>. Operators: eq, ne, gt, gte, lt, lte, in,"
            " nin, like, exists, contains.",
            "examples": [{"field": "metadata.year", "op": "gte", "value": 2023}],
        }
    ),
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SearchBase(_Strict):
    """What every search may say."""

    namespace: str = Field(max_length=200, description="Where to search.", examples=["csrd"])
    query: str | None = Field(
        default=None, strict=True, max_length=20_000, description="The question."
    )
    top_k: Whole = Field(default=10, ge=1, le=MAX_TOP_K, description="The most passages of a page.")
    filter: FilterJSON = Field(default=None, description="Which passages may be found.")
    collection: str | None = Field(
        default=None,
        max_length=300,
        description="The collection to ask, NAMESPACE/MODEL; the one that serves if left out.",
    )
    after: str | None = Field(
        default=None, max_length=100_000, description="`next` of the page before."
    )
    exact: Flag = Field(default=False, description="Compare with every embedding.")
    per_document: Whole | None = Field(
        default=None, ge=1, le=MAX_TOP_K, description="The most passages of one document."
    )
    diversity: FiniteFloat | None = Field(
        default=None, ge=0, le=1, description="Towards 1 for passages that differ (MMR)."
    )
    rerank: Flag = Field(default=False, description="Order the best by the cross-encoder.")
    fresh: Flag = Field(default=False, description="See what was just written.")
    all_versions: Flag = Field(
        default=False, description="Older versions of an act, too, not the newest alone."
    )
    parents: Flag = Field(
        default=False, description="Each passage with what it stands in; top_k counts those."
    )
    max_tokens: Whole | None = Field(
        default=None, ge=1, description="The most tokens of a page; no passage is cut."
    )

    def request(self, mode: Mode, **more: Any) -> SearchRequest:  # noqa: ANN401 - its fields
        """The search that is asked for.

        Raises:
            UsageError: a filter that means nothing.
        """
        return SearchRequest(
            query=self.query,
            namespace=self.namespace,
            top_k=self.top_k,
            mode=mode,
            filter=None if self.filter is None else filters.parse(self.filter),
            collection=self.collection,
            after=self.after,
            exact=self.exact,
            per_document=self.per_document,
            diversity=self.diversity,
            rerank=self.rerank,
            fresh=self.fresh,
            all_versions=self.all_versions,
            parents=self.parents,
            max_tokens=self.max_tokens,
            **more,
        )


Weights = Annotated[
    tuple[FiniteFloat, FiniteFloat],
    Field(description="Of the ranks by vectors and by words in a hybrid search."),
]


class Search(SearchBase):
    """A search in any mode."""

    mode: Mode = Field(default="vector", description="By vectors, by words, or both fused.")
    vector: list[Component] | None = Field(
        default=None,
        min_length=1,
        max_length=16_000,
        description="A ready query vector in the question's place; mode vector only.",
    )
    threshold: FiniteFloat | None = Field(
        default=None, description="Leave out passages of a lower score; mode vector only."
    )
    weights: Weights = (1.0, 1.0)

    def as_request(self) -> SearchRequest:
        """The search that is asked for (see `SearchBase.request`)."""
        return self.request(
            self.mode,
            vector=None if self.vector is None else np.array(self.vector, dtype=np.float32),
            threshold=self.threshold,
            weights=self.weights,
        )


class HybridSearch(SearchBase):
    """A search by vectors and by words, fused by rank."""

    weights: Weights = (1.0, 1.0)

    def as_request(self) -> SearchRequest:
        """The search that is asked for (see `SearchBase.request`)."""
        return self.request("hybrid", weights=self.weights)


class Child(BaseModel):
    """A passage that was found in a parent (`search.model.Child`)."""

    chunk_index: int
    id: UUID
    score: float
    page: int | None
    start: int = Field(description="Its first character in the document's text, from 0.")
    end: int
    heading_path: list[str]
    content: str


class Parent(BaseModel):
    """What found passages stand in (`search.model.Parent`)."""

    chunk_indexes: list[int]
    content: str
    page: int | None
    page_end: int | None
    heading_path: list[str]
    start: int
    end: int
    tokens: int
    children: list[Child] = Field(description="What was found in it, the best first.")


class Passage(BaseModel):
    """A passage that answers, and where it stands (`search.model.SearchResult`)."""

    rank: int
    score: float = Field(description="The more the better.")
    id: UUID
    document_id: UUID
    source_type: str
    document: str = Field(description="The document's key in its source, such as a path.")
    title: str
    page: int | None = Field(description="1-based page the passage begins on.")
    heading_path: list[str]
    chunk_index: int
    content: str
    metadata: dict[str, Any]
    vector_rank: int | None
    text_rank: int | None
    vector_score: float | None
    parent: Parent | None = Field(description="What it stands in; null unless asked for.")


class SearchAnswered(BaseModel):
    """The passages of one page, and how they were found (`search.model.SearchAnswer`)."""

    results: list[Passage]
    asked: int
    returned: int
    mode: Mode
    collection: str | None
    plan: str = Field(description="How they were found, in words for people.")
    next: str | None = Field(description="`after` for the next page.")
    embed_ms: float
    search_ms: float


class Embed(_Strict):
    """Texts to embed."""

    texts: list[Annotated[str, Field(strict=True, min_length=1, max_length=100_000)]] = Field(
        min_length=1, max_length=MAX_TEXTS
    )
    namespace: str | None = Field(
        default=None,
        max_length=200,
        description="Whose serving collection's model to use; the service's own if left out.",
    )


class Embedded(BaseModel):
    """Embeddings in the order of the texts."""

    model: str
    dimensions: int
    embeddings: list[list[float]]
    embed_ms: float


class NamespaceOut(BaseModel):
    """A namespace the caller may use."""

    namespace: str
    collection: str | None = Field(description="The one that serves; none before the first fill.")
    documents: int
    uploads: bool = Field(description="Whether documents can be uploaded to it.")


class Namespaces(BaseModel):
    """The namespaces the caller may use, by name."""

    namespaces: list[NamespaceOut]


class CollectionOut(BaseModel):
    """A collection of a namespace the caller may use."""

    name: str
    namespace: str
    description: str | None
    model: str
    dimensions: int
    serving: bool
    index: dict[str, Any] = Field(description="How it is compared and indexed.")
    recall_at_10: float | None = Field(description="Newest measurement.")


class Collections(BaseModel):
    """Collections, those that serve first in each namespace."""

    collections: list[CollectionOut]


class Job(BaseModel):
    """An upload and how far it is (`store.uploads.Upload`)."""

    id: UUID
    namespace: str
    document: str
    size_bytes: int
    created_at: datetime
    state: State
    chunks: int = Field(description="Passages it was cut into.")
    embeddings: int = Field(description="Passages with a vector in the serving collection.")
    refused: int = Field(description="Passages the model refused.")
    reason: str | None = Field(description="Why it failed, in one word.")
    message: str | None = Field(description="Why it failed, and what helps.")


class EmbeddingJob(BaseModel):
    """A run of embedding work, or a write of an application (`store.jobs.Job`)."""

    id: UUID
    namespace: str
    collection: str | None = Field(description="Whose rows are counted; null where none was there.")
    source_type: str = Field(
        description="How the work came: document (the pipeline), import, kafka, sdk, weaviate,"
        " follow, repair, archive."
    )
    source: str | None = Field(description="The file or topic; null unless the key is an admin's.")
    status: Status
    source_count: int = Field(description="Passages that were to be stored.")
    processed_count: int = Field(description="Those of them that are.")
    failed_count: int = Field(description="Those of them that are dead letters.")
    cache_hits: int
    error_message: str | None = Field(description="Null unless the key is an admin's.")
    started_at: datetime
    completed_at: datetime | None


class EmbeddingJobs(BaseModel):
    """A page of jobs, the newest first."""

    jobs: list[EmbeddingJob]
    next: UUID | None = Field(description="`after` for the next page; null for the last.")


class Accepted(BaseModel):
    """A document that was stored and will be read."""

    job: UUID
    namespace: str
    document: str
    size_bytes: int


class Health(BaseModel):
    """The process answers."""

    status: str


class Ready(BaseModel):
    """Whether searches can be answered."""

    ready: bool
    checks: dict[str, bool]
