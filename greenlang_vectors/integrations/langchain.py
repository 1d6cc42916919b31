"""A LangChain vector store and retriever over one namespace (extra `langchain`).

With an `Embeddings` object of the application the store has a collection of its own in the
namespace; without one the namespace's own model embeds, and what the pipeline brought in is found
beside what LangChain added. Coroutines run the blocking methods in LangChain's executor.
"""

# ruff: noqa: ANN401 - signatures are LangChain's

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self
from uuid import uuid4

import numpy as np
from langchain_core.callbacks import (
    AsyncCallbackManagerForRetrieverRun,
    CallbackManagerForRetrieverRun,
)
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore, VectorStoreRetriever

from greenlang_vectors.documents.direct import DirectDocument
from greenlang_vectors.errors import UnknownCollection
from greenlang_vectors.integrations import metadata_filters
from greenlang_vectors.integrations.places import place_of, text_of
from greenlang_vectors.integrations.relevance import diverse
from greenlang_vectors.landing import SuppliedVectors
from greenlang_vectors.search.model import SearchAnswer, SearchRequest, SearchResult
from greenlang_vectors.service import BlockingEmbeddingService, EmbeddingService

SOURCE_TYPE = "langchain"
"""PRD 6.1 `source_type` of what a store adds, unless it is given another."""


MODES = ("text", "hybrid")
"""Searches that LangChain has no word of its own for."""

MAX_MODEL_NAME = 100


class GreenLangVectorStore(VectorStore):
    """Documents of LangChain in one namespace: each is a document with one passage.

    A found passage that this store did not add (of a regulation, say) carries, beside its
    metadata, `source`, `title`, `page` and `heading_path`; its id is its document's key and its
    place there, "key#3".

    Every search takes, beside `k`: `filter` (see `metadata_filters.read`); `mode`, "vector" or,
    for the words of the question, "text" and "hybrid" (PRD 8.1.3); and `weights`, `threshold`,
    `exact`, `per_document`, `rerank`, `fresh`, `parents`, `max_tokens` of
    `search.model.SearchRequest`. With `parents` a document's text is the parent's, and its
    metadata `passages` says where in it the passages stand that were found.

    Args:
        service: the SDK over the database.
        namespace: a registered one.
        embedding: embeds texts and questions; None for the namespace's own model. Its vectors go
            into the collection "<namespace>/<model>", made when the first text is added.
        model: what the store calls the model of `embedding`; by default made of its class and of
            its attribute `model` or `model_name`.
        source_type: which of the namespace's documents are this store's: `delete` and
            `get_by_ids` touch no others.
        fresh: search the writer, so that what has just been added is found at once also where
            reading replicas lag.
        batch_size: texts embedded and stored in one transaction.
    """

    def __init__(
        self,
        service: EmbeddingService | BlockingEmbeddingService,
        namespace: str = "default",
        embedding: Embeddings | None = None,
        *,
        model: str | None = None,
        source_type: str = SOURCE_TYPE,
        fresh: bool = False,
        batch_size: int = 1000,
    ) -> None:
        self._service = service.sync if isinstance(service, EmbeddingService) else service
        self.namespace = namespace
        self._embedding = embedding
        self._model = None if embedding is None else model or name_of(embedding)
        self.source_type = source_type
        self._fresh = fresh
        self._batch_size = batch_size

    @property
    def embeddings(self) -> Embeddings | None:
        """What texts are embedded with; None for the namespace's own model."""
        return self._embedding

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings | None = None,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> Self:
        """A store that holds these texts.

        Args:
            kwargs: `service`, which is needed, and others of the class.

        Raises:
            UsageError, UnknownNamespace: as of `add_texts`.
        """
        store = cls(embedding=embedding, **kwargs)
        store.add_texts(texts, metadatas, ids=ids)
        return store

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        **_kwargs: Any,
    ) -> list[str]:
        """Add texts, or replace those of the same ids; return the ids.

        Each batch is one transaction; where a batch is refused the ones before it are stored.

        Args:
            ids: a missing one is made up.

        Raises:
            ValueError: not as many metadatas or ids as texts.
            UsageError: a text that is empty or cannot be embedded, or metadata that is not JSON.
            UnknownNamespace: the namespace is not registered.
        """
        contents = list(texts)
        keys = [key or str(uuid4()) for key in ids or [None] * len(contents)]
        documents = [
            DirectDocument(key, [content], metadata, source_type=self.source_type)
            for key, content, metadata in zip(
                keys, contents, metadatas or [{}] * len(contents), strict=True
            )
        ]
        for start in range(0, len(documents), self._batch_size):
            self._put(documents[start : start + self._batch_size])
        return keys

    def delete(self, ids: list[str] | None = None, **_kwargs: Any) -> bool:
        """Remove documents that this store added; an id that is not there is none to remove.

        Args:
            ids: None for all of them.
        """
        self._service.delete(self.namespace, ids, self.source_type)
        return True

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """Those of the documents with these ids that this store added and that are there."""
        return [
            Document(id=each.key, page_content=each.texts[0], metadata=dict(each.metadata))
            for each in self._service.get(self.namespace, ids, self.source_type)
        ]

    def similarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        """The k best documents; `mode="hybrid"` ranks by vectors and words.

        Raises:
            UsageError: something that cannot be asked.
            UnknownNamespace: the namespace is not registered.
        """
        return [document for document, _ in self.similarity_search_with_score(query, k, **kwargs)]

    def similarity_search_with_score(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """The same with their scores, the more the better: cosine similarity by vectors, else as
        of `search.model.SearchResult.score`."""
        return self._scored(self._find(SearchRequest(query, self.namespace, k), kwargs))

    def similarity_search_by_vector(
        self, embedding: list[float], k: int = 4, **kwargs: Any
    ) -> list[Document]:
        """The k documents nearest to a vector."""
        return [
            document
            for document, _ in self.similarity_search_with_score_by_vector(embedding, k, **kwargs)
        ]

    def similarity_search_with_score_by_vector(
        self, embedding: list[float], k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """The same with their scores."""
        request = SearchRequest(None, self.namespace, k, vector=np.array(embedding, np.float32))
        return self._scored(self._find(request, kwargs))

    def max_marginal_relevance_search(
        self,
        query: str,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        **kwargs: Any,
    ) -> list[Document]:
        """k documents out of the `fetch_k` best that differ from one another.

        Relevance is the score (Carbonell and Goldstein 1998).

        Args:
            lambda_mult: 1 for the most similar, towards 0 for the most different.
        """
        request = SearchRequest(query, self.namespace, max(k, fetch_k))
        return self._diverse(self._find(request, kwargs), k, lambda_mult)

    def max_marginal_relevance_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        **kwargs: Any,
    ) -> list[Document]:
        """The same for a vector."""
        vector = np.array(embedding, np.float32)
        request = SearchRequest(None, self.namespace, max(k, fetch_k), vector=vector)
        return self._diverse(self._find(request, kwargs), k, lambda_mult)

    def as_retriever(self, **kwargs: Any) -> GreenLangRetriever:
        """A retriever over this store (see `GreenLangRetriever`)."""
        tags = [*(kwargs.pop("tags", None) or []), *self._get_retriever_tags()]
        return GreenLangRetriever(vectorstore=self, tags=tags, **kwargs)

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        return lambda score: min(max(score, 0.0), 1.0)

    def _put(self, documents: list[DirectDocument]) -> None:
        supplied = None
        if self._embedding is not None and self._model is not None:
            texts = [document.texts[0] for document in documents]
            vectors = np.array(self._embedding.embed_documents(texts), dtype=np.float32)
            supplied = SuppliedVectors(self._model, vectors)
        self._service.put(self.namespace, documents, supplied)

    def _find(self, request: SearchRequest, options: dict[str, Any]) -> SearchAnswer | None:
        """What a search found; None where the store's collection is not made yet."""
        filter_ = metadata_filters.read(options.get("filter"))
        request = replace(request, **{"fresh": self._fresh, **options, "filter": filter_})
        if self._embedding is None:
            return self._service.find(request)
        if request.vector is None and request.query is not None and request.mode != "text":
            vector = np.array(self._embedding.embed_query(request.query), np.float32)
            request = replace(request, vector=vector)
        try:
            return self._service.find(
                replace(request, collection=f"{self.namespace}/{self._model}")
            )
        except UnknownCollection:
            self._service.get(self.namespace, [])
            return None

    def _scored(self, answer: SearchAnswer | None) -> list[tuple[Document, float]]:
        return [(self._document(each), each.score) for each in answer.results] if answer else []

    def _diverse(self, answer: SearchAnswer | None, k: int, lambda_mult: float) -> list[Document]:
        if answer is None:
            return []
        return [self._document(each) for each in diverse(self._service, answer, k, lambda_mult)]

    def _document(self, found: SearchResult) -> Document:
        if found.source_type == self.source_type:
            return Document(
                id=found.document, page_content=found.content, metadata=dict(found.metadata)
            )
        return Document(
            id=f"{found.document}#{found.chunk_index}",
            page_content=text_of(found),
            metadata=place_of(found) | found.metadata,
        )


class GreenLangRetriever(VectorStoreRetriever):
    """A retriever over a `GreenLangVectorStore`.

    Its `search_type` is one of LangChain's, or "text" or "hybrid" (PRD 8.1.3); `search_kwargs`
    are those of the store's searches.
    """

    allowed_search_types: ClassVar[tuple[str, ...]] = (
        *VectorStoreRetriever.allowed_search_types,
        *MODES,
    )

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        if self.search_type not in MODES:
            return super()._get_relevant_documents(query, run_manager=run_manager, **kwargs)
        return self.vectorstore.similarity_search(query, **self._options(kwargs))

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        if self.search_type not in MODES:
            return await super()._aget_relevant_documents(query, run_manager=run_manager, **kwargs)
        return await self.vectorstore.asimilarity_search(query, **self._options(kwargs))

    def _options(self, options: dict[str, Any]) -> dict[str, Any]:
        return {**self.search_kwargs, **options, "mode": self.search_type}


def name_of(embedding: Embeddings) -> str:
    """What the store calls the model of an `Embeddings` object that was given no name."""
    model = getattr(embedding, "model", None) or getattr(embedding, "model_name", None)
    known = model if isinstance(model, str) else type(embedding).__name__
    return f"langchain-{known.rstrip('/').rpartition('/')[2]}"[:MAX_MODEL_NAME]
