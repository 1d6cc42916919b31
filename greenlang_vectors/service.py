"""The SDK: PRD 7.2's EmbeddingService over this package's embedder, store and search.

Its methods are coroutines around blocking work that runs in threads, so that an application's
event loop stays free; nothing is written twice.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from greenlang_vectors.chunking.model import Chunk, content_hash
from greenlang_vectors.chunking.tokens import Tokenizer
from greenlang_vectors.documents.model import ExtractedDocument
from greenlang_vectors.embedding.opening import open_embedder
from greenlang_vectors.errors import UsageError
from greenlang_vectors.search.similarity import SearchEngine
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import chunks, documents, embeddings, namespaces
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.embeddings import Leaf, PendingChunk


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
        self._embedder = open_embedder(
            database,
            self.config.model_name,
            cache_seconds=self.config.cache_ttl if self.config.cache_enabled else None,
            normalize=self.config.normalize,
        )
        spec = self._embedder.model.spec
        if spec.dimensions != self.config.dimensions:
            raise UsageError(
                f"{spec.name} makes vectors of {spec.dimensions} dimensions, "
                f"not {self.config.dimensions}."
            )
        self._engine = SearchEngine(database, self._embedder, settings)

    async def embed(self, request: EmbeddingRequest) -> EmbeddingResult:
        """Generate embeddings for texts.

        Raises:
            UsageError: a text that cannot be embedded, such as one longer than the model reads.
            ModelUnavailable, EmbeddingFailed: the model cannot be loaded or gives nothing usable.
        """
        return await asyncio.to_thread(self._embed, request.texts)

    async def embed_and_store(self, request: EmbeddingRequest) -> int:
        """Generate embeddings and store them; return how many rows were written.

        The texts become the passages, in order, of one document of the namespace. Storing the
        same again changes nothing; storing other texts under the same `source_id` replaces them.

        Raises:
            UsageError: no texts, or one that cannot be embedded; nothing is stored then.
            UnknownNamespace: the namespace is not registered.
        """
        return await asyncio.to_thread(self._embed_and_store, request)

    async def search(
        self, query: str, namespace: str = "default", top_k: int = 10, threshold: float = 0.7
    ) -> list[dict[str, Any]]:
        """The passages whose cosine similarity is at least the threshold, best first.

        Each is a dict with the fields of `search.similarity.SearchResult`.

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
        vectors = np.empty((len(texts), spec.dimensions), dtype=np.float32)
        for start in range(0, len(texts), self.config.batch_size):
            batch = self._embedder.embed(texts[start : start + self.config.batch_size])
            for index, error in batch.failures.items():
                raise UsageError(f"Text {start + index} cannot be embedded: {error}")
            vectors[start : start + len(batch.vectors)] = batch.vectors
        return EmbeddingResult(
            embeddings=vectors,
            model=spec.name,
            dimensions=spec.dimensions,
            processing_time_ms=round((time.perf_counter() - started) * 1000),
        )

    def _embed_and_store(self, request: EmbeddingRequest) -> int:
        texts = [text.replace("\x00", "") for text in request.texts]
        if not texts or not all(text.strip() for text in texts):
            raise UsageError("There is nothing to store: no texts, or an empty one.")
        result = self._embed(texts)
        spec = self._embedder.model.spec
        fingerprint = spec.fingerprint(self._embedder.normalize)
        leaf = Leaf(request.namespace, spec.name, spec.dimensions)
        text = "\n\n".join(texts)
        key = request.source_id or content_hash(text)
        with self._database.connect() as connection:
            namespaces.get(connection, request.namespace)
            embeddings.ensure_leaf(connection, leaf)
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
            )
            cut = _as_chunks(texts, Tokenizer.from_directory(spec.directory))
            chunks.replace(
                connection,
                request.namespace,
                identity,
                cut,
                text_hash=content_hash(text),
                fingerprint="sdk",
                cache_seconds=self.config.cache_ttl,
            )
            return embeddings.write(
                connection,
                leaf,
                [
                    PendingChunk(request.source_type, identity, c.index, c.content, c.content_hash)
                    for c in cut
                ],
                result.embeddings,
                fingerprint=fingerprint,
                metadata=request.metadata,
            )


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
