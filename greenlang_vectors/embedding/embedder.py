"""Texts to vectors: what is cached is looked up, the rest goes through the model (PRD 7.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from greenlang_vectors.chunking.model import content_hash
from greenlang_vectors.embedding.batching import length_sorted_batches
from greenlang_vectors.embedding.cache import EmbeddingCache
from greenlang_vectors.embedding.encoding import encode_batch
from greenlang_vectors.embedding.models import EmbeddingModel, ModelSpec
from greenlang_vectors.errors import ItemError


@dataclass(frozen=True, slots=True)
class EmbeddingCounts:
    """What embedding took; counts of several calls add up.

    Attributes:
        texts: texts asked for, duplicates included.
        cache_hits: distinct texts found in the cache.
        model_texts: distinct texts the model was given.
        model_seconds: time inside the model, its loading included.
    """

    texts: int = 0
    cache_hits: int = 0
    model_texts: int = 0
    model_seconds: float = 0.0

    def __add__(self, other: EmbeddingCounts) -> EmbeddingCounts:
        return EmbeddingCounts(
            self.texts + other.texts,
            self.cache_hits + other.cache_hits,
            self.model_texts + other.model_texts,
            self.model_seconds + other.model_seconds,
        )


@dataclass(frozen=True, slots=True)
class EmbeddedBatch:
    """The embeddings of a list of texts.

    Attributes:
        vectors: shape (n_texts, dimensions), in the order of the texts; a row of NaN for each
            text that failed.
        failures: the error of each text that failed, by its index; `reason` is one of
            "too_long", "invalid_unicode", "refused", "unusable_vector".
        counts: what it took.
        made: indexes of the texts whose vectors the model made now, of equal texts the first.
    """

    vectors: NDArray[np.float32]
    failures: dict[int, ItemError]
    counts: EmbeddingCounts
    made: list[int]


class Embedder:
    """A model behind a cache; safe to call from several threads.

    Args:
        model: makes the vectors.
        cache: keeps them, opened for `model.spec.fingerprint(normalize)`; None for none.
        normalize: scale every vector to length one.
    """

    def __init__(
        self, model: EmbeddingModel, cache: EmbeddingCache | None = None, normalize: bool = True
    ) -> None:
        if cache is not None and cache.fingerprint != model.spec.fingerprint(normalize):
            raise ValueError("the cache holds embeddings of another model or other settings")
        self.model = model
        self.cache = cache
        self.normalize = normalize

    def embed(self, texts: Sequence[str]) -> EmbeddedBatch:
        """Embed the texts, each distinct one once; the model is not touched if all are cached.

        A text that cannot be embedded fails alone: one longer than the model reads is never cut.
        What the model made is cached even if a later mini-batch fails.

        Raises:
            ModelUnavailable: the model cannot be loaded.
            EmbeddingFailed: the model gave no usable vectors, after retries.
        """
        keys = [_key(text) for text in texts]
        distinct = {key: text for key, text in zip(keys, texts, strict=True) if key != NO_KEY}
        vectors = self.cache.get(list(distinct)) if self.cache is not None else {}
        counts = EmbeddingCounts(texts=len(texts), cache_hits=len(vectors))
        missing = {key: text for key, text in distinct.items() if key not in vectors}
        failures = {NO_KEY: INVALID_UNICODE}
        made: list[int] = []
        if missing:
            computed = self._compute(missing)
            vectors = vectors | computed.vectors
            first = {key: row for row, key in reversed([*enumerate(keys)])}
            made = [first[key] for key in computed.vectors]
            failures |= computed.failures
            counts += computed.counts
        rows = np.full((len(texts), self.model.spec.dimensions), np.nan, dtype=np.float32)
        for row, key in enumerate(keys):
            if key in vectors:
                rows[row] = vectors[key]
        return EmbeddedBatch(
            vectors=rows,
            failures={row: failures[key] for row, key in enumerate(keys) if key in failures},
            counts=counts,
            made=made,
        )

    def _compute(self, texts: dict[str, str]) -> _Computed:
        """Embed distinct texts by key, in the model's mini-batches, and cache the vectors.

        Whether a text is too long for a remote model is that model's to say: here its tokens are
        only bounded.
        """
        spec = self.model.spec
        lengths = dict(zip(texts, self.model.count_tokens(list(texts.values())), strict=True))
        failures: dict[str, ItemError] = {
            key: _too_long(length, spec)
            for key, length in lengths.items()
            if length > spec.max_tokens and spec.directory is not None
        }
        keys = [key for key in texts if key not in failures]
        vectors: dict[str, NDArray[np.float32]] = {}
        seconds = 0.0
        try:
            for indexes in length_sorted_batches([lengths[key] for key in keys], spec.limits):
                batch = [keys[index] for index in indexes]
                encoded = encode_batch(self.model, [texts[key] for key in batch], self.normalize)
                failures |= {batch[index]: error for index, error in encoded.failures.items()}
                vectors |= {
                    key: vector
                    for key, vector in zip(batch, encoded.vectors, strict=True)
                    if key not in failures
                }
                seconds += encoded.seconds
        finally:
            if self.cache is not None:
                self.cache.put(vectors)
        counts = EmbeddingCounts(model_texts=len(keys), model_seconds=seconds)
        return _Computed(vectors, failures, counts)


@dataclass(frozen=True, slots=True)
class _Computed:
    vectors: dict[str, NDArray[np.float32]]
    failures: dict[str, ItemError]
    counts: EmbeddingCounts


NO_KEY = ""
INVALID_UNICODE = ItemError(
    "invalid_unicode",
    "The text holds half of a surrogate pair, which no encoding can carry.",
    "Read it again with the right encoding.",
)


def _key(text: str) -> str:
    """The text's content hash; `NO_KEY` if it is no valid Unicode."""
    try:
        return content_hash(text)
    except UnicodeEncodeError:
        return NO_KEY


def _too_long(tokens: int, spec: ModelSpec) -> ItemError:
    return ItemError(
        "too_long",
        f"The text has {tokens} tokens; the model {spec.name} reads {spec.max_tokens}.",
        "Cut it into shorter chunks.",
    )
