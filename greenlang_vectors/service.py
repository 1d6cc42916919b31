"""The SDK: PRD 7.2's EmbeddingService over this package's embedder, store and search.

Its methods are coroutines around blocking work that runs in threads, so that an application's
event loop stays free; nothing is written twice.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

import numpy as np
import psycopg
from numpy.typing import NDArray

from greenlang_vectors.chunking.model import Chunk, content_hash
from greenlang_vectors.chunking.tokens import Tokenizer
from greenlang_vectors.documents.model import ExtractedDocument
from greenlang_vectors.embedding.embedder import Embedder
from greenlang_vectors.embedding.embedders import embedders_of
from greenlang_vectors.errors import UsageError
from greenlang_vectors.search.similarity import SearchEngine
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import chunks, collections, documents, embeddings
from greenlang_vectors.store.collections import Collection
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.embeddings import PendingChunk
from greenlang_vectors.store.encryption.data_keys import cipher_of


@dataclass
class EmbeddingConfig:
    """How texts are embedded (PRD 7.2).

    Attributes:
        dimensions: must be the model's own; a mismatch is refused.
        batch_size: texts embedded in one step.
        cache_ttl: how long the cache keeps a vector, in seconds.
    """

    model_name: str = "all-MiniLM-L6-v2"
    dimensions: int = 384
    batch_size: int = 1000
    normalize: bool = True
    cache_enabled: bool = True
    cache_ttl: int = 3600


@dataclass
class EmbeddingRequest:
    """Texts to embed and, for `embed_and_store`, where they belong (PRD 7.2).

    Attributes:
        source_id: names the document the texts are passages of; derived from them if None.
    """

    texts: list[str]
    namespace: str = "default"
    source_type: str = "document"
    source_id: str | None = None
    metadata: dict[str, Any] | None = None


@dataclass
class EmbeddingResult:
    """Embeddings in the order of the texts (PRD 7.2).

    Attributes:
        embeddings: shape (n_texts, dimensions), float32.
    """

    embeddings: NDArray[np.float32]
    model: str
    dimensions: int
    processing_time_ms: int


class EmbeddingService:
    """Embeds, stores and searches texts (PRD 7.2).

    Args:
        database: where embeddings are stored, and the cache.
        settings: index parameters for searching.
        config: model, batches and cache.

    Raises:
        ModelUnavailable: the model is not on this machine.
        UsageError: the model has other dimensions than the configuration says.
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
        self._engine = SearchEngine(database, self._embedders, settings)

    async def embed(self, request: EmbeddingRequest) -> EmbeddingResult:
        """Generate embeddings for texts.

        Raises:
            UsageError: a text that cannot be embedded, such as one longer than the model reads.
            ModelUnavailable, EmbeddingFailed: the model cannot be loaded or gives nothing usable.
        """
        return await asyncio.to_thread(self._embed, request.texts)

    async def embed_and_store(self, request: EmbeddingRequest) -> int:
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
        return await asyncio.to_thread(self._embed_and_store, request)

    async def search(
        self, query: str, namespace: str = "default", top_k: int = 10, threshold: float = 0.7
    ) -> list[dict[str, Any]]:
        """The passages whose score is at least the threshold, best first.

        The namespace's serving collection answers. Each is a dict with the fields of
        `search.similarity.SearchResult`.

        Raises:
            UsageError: an empty question or `top_k` out of range.
            UnknownNamespace: the namespace is not registered.
        """
        results = await asyncio.to_thread(
            self._engine.search, query, namespace, top_k, threshold=threshold
        )
        return [asdict(result) for result in results]

    def _embed(self, texts: list[str]) -> EmbeddingResult:
        started = time.perf_counter()
        spec = self._embedder.model.spec
        return EmbeddingResult(
            embeddings=self._vectors(self._embedder, texts),
            model=spec.name,
            dimensions=spec.dimensions,
            processing_time_ms=round((time.perf_counter() - started) * 1000),
        )

    def _vectors(self, embedder: Embedder, texts: list[str]) -> NDArray[np.float32]:
        """The texts' vectors, shape (n_texts, dimensions).

        Raises:
            UsageError: a text that cannot be embedded.
        """
        spec = embedder.model.spec
        vectors = np.empty((len(texts), spec.dimensions), dtype=np.float32)
        for start in range(0, len(texts), self.config.batch_size):
            batch = embedder.embed(texts[start : start + self.config.batch_size])
            for index, error in batch.failures.items():
                raise UsageError(
                    f"Text {start + index} cannot be embedded with {spec.name}: {error}"
                )
            vectors[start : start + len(batch.vectors)] = batch.vectors
        return vectors

    def _embed_and_store(self, request: EmbeddingRequest) -> int:
        texts = [text.replace("\x00", "") for text in request.texts]
        if not texts or not all(text.strip() for text in texts):
            raise UsageError("There is nothing to store: no texts, or an empty one.")
        vectors: dict[UUID, NDArray[np.float32]] = {}
        with self._database.connect() as connection:
            while True:
                for collection in self._embedders.collections(connection, request.namespace):
                    if collection.id not in vectors:
                        embedder = self._embedders.of(collection)
                        vectors[collection.id] = self._vectors(embedder, texts)
                with collections.settled(connection, request.namespace) as wanted:
                    if wanted and all(collection.id in vectors for collection in wanted):
                        return self._store(connection, request, texts, wanted, vectors)

    def _store(
        self,
        connection: psycopg.Connection,
        request: EmbeddingRequest,
        texts: list[str],
        wanted: list[Collection],
        vectors: dict[UUID, NDArray[np.float32]],
    ) -> int:
        """Document, chunks and the embeddings of every collection, within the open transaction."""
        text = "\n\n".join(texts)
        key = request.source_id or content_hash(text)
        cipher = cipher_of(connection, request.namespace)
        identity = documents.save(
            connection,
            request.namespace,
            key,
            ExtractedDocument(text, title=key, media_type="text/plain"),
            file_hash=content_hash(text),
            size_bytes=len(text.encode()),
            extraction_version="sdk",
            source_type=request.source_type,
            origin="sdk",
            cipher=cipher,
        )
        cut = _as_chunks(texts, self._embedders.of(wanted[0]).model.spec.tokenizer())
        chunks.replace(
            connection,
            request.namespace,
            identity,
            cut,
            text_hash=content_hash(text),
            fingerprint="sdk",
            cache_seconds=self.config.cache_ttl,
            cipher=cipher,
        )
        written = {}
        for collection in wanted:
            embedder = self._embedders.of(collection)
            report = embeddings.write(
                connection,
                collection.leaf,
                [
                    PendingChunk(request.source_type, identity, c.index, c.content, c.content_hash)
                    for c in cut
                ],
                vectors[collection.id],
                fingerprint=embedder.model.spec.fingerprint(embedder.normalize),
                metadata=request.metadata,
                cipher=cipher,
            )
            for place, error in report.failures.items():
                raise UsageError(f"Text {place} cannot be stored in {collection.name}: {error}")
            written[collection.name] = report.written
        return written[wanted[0].name]


def _as_chunks(texts: list[str], tokenizer: Tokenizer) -> list[Chunk]:
    """Each text as a chunk of the document that joins them with blank lines."""
    made: list[Chunk] = []
    start = 0
    for index, (text, tokens) in enumerate(zip(texts, tokenizer.counts(texts), strict=True)):
        made.append(
            Chunk(
                index=index,
                start=start,
                end=start + len(text),
                content=text,
                token_count=tokens,
                page_start=None,
                page_end=None,
                heading_path=(),
            )
        )
        start += len(text) + 2
    return made
