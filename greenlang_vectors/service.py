"""The SDK: PRD 7.2's EmbeddingService over this package's embedder, store and search.

`EmbeddingService` is for applications with an event loop, its `sync` for all others: one does the
work, the other runs it in threads. Nothing here needs Dagster.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any, Self
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from greenlang_vectors import direct, landing
from greenlang_vectors.chunking.model import content_hash
from greenlang_vectors.documents.direct import DirectDocument
from greenlang_vectors.embedding.embedders import embedders_of
from greenlang_vectors.embedding.requests import (
    EmbeddingConfig,
    EmbeddingRequest,
    EmbeddingResult,
)
from greenlang_vectors.errors import UsageError
from greenlang_vectors.landing import SuppliedVectors
from greenlang_vectors.migration.router import MigratingSearch
from greenlang_vectors.search import passages
from greenlang_vectors.search.engine import SearchEngine
from greenlang_vectors.search.filters import Filter
from greenlang_vectors.search.log import SearchLog
from greenlang_vectors.search.model import SearchAnswer, SearchRequest
from greenlang_vectors.settings import Settings, get_settings
from greenlang_vectors.store import collections
from greenlang_vectors.store.database import Database, open_database
from greenlang_vectors.store.documents import SOURCE_TYPE

__all__ = [
    "BlockingEmbeddingService",
    "EmbeddingConfig",
    "EmbeddingRequest",
    "EmbeddingResult",
    "EmbeddingService",
]


class BlockingEmbeddingService:
    """Embeds, stores and searches texts (PRD 7.2); every call ends with its work done.

    Safe to call from several threads. Searches are noted in the search log (PRD 6.2) beside the
    calls; `close`, or the end of a `with` block, writes what is left of it.

    Args:
        database: where embeddings are stored; it stays the caller's to close.
        settings: index parameters for searching, re-ranking, the search log, where the cache is.
        config: model, batches and cache.

    Raises:
        ModelUnavailable: the model is not on this machine.
        UsageError: the model has other dimensions than the configuration says, or the cache is to
            be in a Redis that is not named.
    """

    def __init__(
        self, database: Database, settings: Settings, config: EmbeddingConfig | None = None
    ) -> None:
        self.config = config or EmbeddingConfig()
        self._database = database
        self._embedders = embedders_of(
            database,
            settings.model_copy(update={"embedding_model": self.config.model_name}),
            cache_seconds=self.config.cache_ttl if self.config.cache_enabled else None,
            normalize=self.config.normalize,
        )
        self._embedder = self._embedders.open(self.config.model_name)
        spec = self._embedder.model.spec
        if spec.dimensions != self.config.dimensions:
            raise UsageError(
                f"{spec.name} makes vectors of {spec.dimensions} dimensions, "
                f"not {self.config.dimensions}."
            )
        self._log = SearchLog(database, settings)
        engine = SearchEngine(database, self._embedders, settings, self._log)
        self._engine = MigratingSearch(engine, database, self._embedders, settings, self._log)
        self._opened: Database | None = None

    @classmethod
    def open(cls, settings: Settings | None = None, config: EmbeddingConfig | None = None) -> Self:
        """The service over the database of these settings, which it closes at its end.

        Args:
            settings: those of this process (`GREENLANG_…`) by default.

        Raises:
            DatabaseUnavailable, ModelUnavailable, UsageError: as of `open_database` and the class.
        """
        settings = settings or get_settings()
        database = open_database(settings)
        try:
            service = cls(database, settings, config)
        except BaseException:
            database.close()
            raise
        service._opened = database
        return service

    def close(self) -> None:
        """Write what is left of the search log; close the database if `open` opened it."""
        self._engine.close()
        self._log.close()
        if self._opened is not None:
            self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def embed(self, request: EmbeddingRequest) -> EmbeddingResult:
        """Generate embeddings for texts.

        Raises:
            UsageError: a text that cannot be embedded, such as one longer than the model reads.
            ModelUnavailable, EmbeddingFailed: the model cannot be loaded or gives nothing usable.
        """
        started = time.perf_counter()
        spec = self._embedder.model.spec
        return EmbeddingResult(
            embeddings=landing.embed(self._embedder, request.texts, self.config.batch_size).rows,
            model=spec.name,
            dimensions=spec.dimensions,
            processing_time_ms=round((time.perf_counter() - started) * 1000),
        )

    def find(self, request: SearchRequest, user: str | None = None) -> SearchAnswer:
        """One page of the passages that answer a request, best first, and how they were found.

        Args:
            user: who asks, for the search log; while the namespace moves from Weaviate, he is
                on one side or the other.

        Raises:
            UsageError, UnknownNamespace, ModelUnavailable, DatabaseUnavailable: as of
                `MigratingSearch.search`.
        """
        return self._engine.search(request, user)

    def vectors(self, answer: SearchAnswer) -> dict[UUID, NDArray[np.float32]]:
        """The stored vectors of an answer's passages, by `SearchResult.id`.

        One that is gone meanwhile is left out.
        """
        if answer.collection is None or not answer.results:
            return {}
        keys = {(each.document_id, each.chunk_index): each.id for each in answer.results}
        with self._database.reading() as connection:
            leaf = collections.get(connection, answer.collection).leaf
            found = passages.vectors(connection, leaf, list(keys))
        return {keys[key]: vector for key, vector in found.items()}

    def search(
        self, query: str, namespace: str = "default", top_k: int = 10, threshold: float = 0.7
    ) -> list[dict[str, Any]]:
        """The passages whose score is at least the threshold, best first (PRD 7.2).

        The namespace's serving collection answers. Each is a dict with the fields of
        `search.model.SearchResult`; `find` asks for more than this.

        Raises:
            UsageError: an empty question or `top_k` out of range.
            UnknownNamespace: the namespace is not registered.
        """
        request = SearchRequest(query, namespace, top_k, threshold=threshold)
        return [asdict(result) for result in self.find(request).results]

    def embed_and_store(self, request: EmbeddingRequest) -> int:
        """Generate embeddings and store them; return how many rows were written.

        The texts become the passages, in order, of one document of the namespace, with an
        embedding in each of its collections; the first collection of a namespace is of the
        configured model. All of it is one transaction, and the rows counted are those of the
        serving collection. Storing the same again changes nothing; storing other texts under the
        same `source_id` replaces them.

        Raises:
            UsageError: no texts, or one that a collection's model cannot embed; nothing is
                stored then.
            UnknownNamespace: the namespace is not registered.
            ModelUnavailable, EmbeddingFailed: of a collection's model; nothing is stored then.
        """
        document = DirectDocument(
            request.source_id or "derived from its text",
            request.texts,
            request.metadata or {},
            source_type=request.source_type,
        ).cleaned()
        if not request.source_id:
            document = replace(document, key=content_hash(document.content))
        return self.put(request.namespace, [document])

    def put(
        self,
        namespace: str,
        documents: Sequence[DirectDocument],
        supplied: SuppliedVectors | None = None,
    ) -> int:
        """Store many documents in one transaction; return how many rows were written.

        Args:
            supplied: vectors of the passages, of a model that only the application has.

        Raises:
            UsageError, UnknownNamespace, ModelUnavailable, EmbeddingFailed: as of `direct.put`.
        """
        with self._database.connect() as connection:
            return direct.put(
                connection,
                self._embedders,
                namespace,
                documents,
                supplied=supplied,
                batch_size=self.config.batch_size,
                cache_seconds=self.config.cache_ttl,
            )

    def get(
        self, namespace: str, source_ids: Sequence[str], source_type: str = SOURCE_TYPE
    ) -> list[DirectDocument]:
        """The documents stored under these ids by `put` or `embed_and_store`, in their order.

        The caller's own writes are seen; an id that is not there is left out.

        Raises:
            UnknownNamespace: the namespace is not registered.
        """
        with self._database.reading(fresh=True) as connection:
            return direct.get(connection, namespace, source_ids, source_type)

    def matching(
        self,
        namespace: str,
        filter: Filter | None,
        source_type: str = SOURCE_TYPE,
        collection: str | None = None,
    ) -> list[str]:
        """The ids of such documents with a passage that passes (see `direct.matching`)."""
        with self._database.reading(fresh=True) as connection:
            return direct.matching(connection, namespace, filter, source_type, collection)

    def delete_document(
        self, namespace: str, source_id: str, source_type: str = SOURCE_TYPE
    ) -> bool:
        """Remove a document that `put` or `embed_and_store` stored; tell whether it was there.

        Raises:
            UsageError: it is delivered by the namespace's source.
            UnknownNamespace: the namespace is not registered.
        """
        return self.delete(namespace, [source_id], source_type) == 1

    def delete(
        self, namespace: str, source_ids: Sequence[str] | None, source_type: str = SOURCE_TYPE
    ) -> int:
        """Remove many such documents in one transaction; return how many were there.

        Args:
            source_ids: None for all of the source type.

        Raises:
            UsageError, UnknownNamespace: as of `delete_document`.
        """
        with self._database.connection() as connection:
            return direct.delete(
                connection,
                namespace,
                source_ids,
                source_type,
                cache_seconds=self.config.cache_ttl,
            )


class EmbeddingService:
    """PRD 7.2's service: the methods of `BlockingEmbeddingService`, each in a thread of its own,
    so that an application's event loop stays free.

    Attributes:
        sync: the same service for callers that may block; both may be used at once.
    """

    def __init__(
        self, database: Database, settings: Settings, config: EmbeddingConfig | None = None
    ) -> None:
        self.sync = BlockingEmbeddingService(database, settings, config)

    @classmethod
    def open(cls, settings: Settings | None = None, config: EmbeddingConfig | None = None) -> Self:
        """See `BlockingEmbeddingService.open`; it blocks while the database starts."""
        service = cls.__new__(cls)
        service.sync = BlockingEmbeddingService.open(settings, config)
        return service

    @property
    def config(self) -> EmbeddingConfig:
        """How texts are embedded."""
        return self.sync.config

    async def embed(self, request: EmbeddingRequest) -> EmbeddingResult:
        """See `BlockingEmbeddingService.embed`."""
        return await asyncio.to_thread(self.sync.embed, request)

    async def embed_and_store(self, request: EmbeddingRequest) -> int:
        """See `BlockingEmbeddingService.embed_and_store`."""
        return await asyncio.to_thread(self.sync.embed_and_store, request)

    async def put(
        self,
        namespace: str,
        documents: Sequence[DirectDocument],
        supplied: SuppliedVectors | None = None,
    ) -> int:
        """See `BlockingEmbeddingService.put`."""
        return await asyncio.to_thread(self.sync.put, namespace, documents, supplied)

    async def get(
        self, namespace: str, source_ids: Sequence[str], source_type: str = SOURCE_TYPE
    ) -> list[DirectDocument]:
        """See `BlockingEmbeddingService.get`."""
        return await asyncio.to_thread(self.sync.get, namespace, source_ids, source_type)

    async def matching(
        self,
        namespace: str,
        filter: Filter | None,
        source_type: str = SOURCE_TYPE,
        collection: str | None = None,
    ) -> list[str]:
        """See `BlockingEmbeddingService.matching`."""
        return await asyncio.to_thread(
            self.sync.matching, namespace, filter, source_type, collection
        )

    async def delete_document(
        self, namespace: str, source_id: str, source_type: str = SOURCE_TYPE
    ) -> bool:
        """See `BlockingEmbeddingService.delete_document`."""
        return await asyncio.to_thread(self.sync.delete_document, namespace, source_id, source_type)

    async def delete(
        self, namespace: str, source_ids: Sequence[str] | None, source_type: str = SOURCE_TYPE
    ) -> int:
        """See `BlockingEmbeddingService.delete`."""
        return await asyncio.to_thread(self.sync.delete, namespace, source_ids, source_type)

    async def find(self, request: SearchRequest, user: str | None = None) -> SearchAnswer:
        """See `BlockingEmbeddingService.find`."""
        return await asyncio.to_thread(self.sync.find, request, user)

    async def vectors(self, answer: SearchAnswer) -> dict[UUID, NDArray[np.float32]]:
        """See `BlockingEmbeddingService.vectors`."""
        return await asyncio.to_thread(self.sync.vectors, answer)

    async def search(
        self, query: str, namespace: str = "default", top_k: int = 10, threshold: float = 0.7
    ) -> list[dict[str, Any]]:
        """See `BlockingEmbeddingService.search`."""
        return await asyncio.to_thread(self.sync.search, query, namespace, top_k, threshold)

    async def close(self) -> None:
        """See `BlockingEmbeddingService.close`."""
        await asyncio.to_thread(self.sync.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
