"""One mini-batch through a model: retries, halving, and proof that its vectors are usable."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from greenlang_vectors.embedding.models import EmbeddingModel, TransientModelError
from greenlang_vectors.errors import EmbeddingFailed, ItemError
from greenlang_vectors.retries import retry_context
from greenlang_vectors.tracing import span

ATTEMPTS = 5
RETRY_SECONDS = 300.0
"""After this nothing is tried again; it leaves room for the waits that a server asks for."""

FIRST_WAIT, LONGEST_WAIT = 0.5, 10.0
"""Seconds between attempts, doubled each time, unless the server says how long."""
TRANSIENT = (ConnectionError, TimeoutError, TransientModelError)


@dataclass(frozen=True, slots=True)
class Encoded:
    """What a model made of a mini-batch.

    Attributes:
        vectors: shape (n, dimensions); a row of NaN for each text that failed.
        failures: the error of each text that failed, by its index.
        seconds: time spent inside the model.
    """

    vectors: NDArray[np.float32]
    failures: dict[int, ItemError]
    seconds: float


def encode_batch(model: EmbeddingModel, texts: Sequence[str], normalize: bool) -> Encoded:
    """Encode one mini-batch; a text the model cannot embed fails alone.

    What may pass is tried again, after the wait the model's server asks for or with exponential
    backoff. A mini-batch that does not fit into
    memory, or that the model refuses, is halved until it fits or one text is left.

    Raises:
        ModelUnavailable: the model cannot be loaded.
        EmbeddingFailed: no usable answer after the retries, vectors of a wrong length, or not
            even one text fits into memory.
    """
    started = time.perf_counter()
    try:
        with span("embed", model=model.spec.name, texts=len(texts)):
            vectors = _call(model, texts)
    except (ValueError, MemoryError) as error:
        seconds = time.perf_counter() - started
        if len(texts) > 1:
            return _encode_halves(model, texts, normalize, seconds)
        if isinstance(error, MemoryError):
            raise EmbeddingFailed(
                f"Not even one text fits into memory with the model {model.spec.name} ({error}).",
                "Give the process more memory or choose a smaller model.",
            ) from error
        refusal = ItemError(
            "refused", f"The model {model.spec.name} refuses this text ({error}).", "Correct it."
        )
        return Encoded(_no_vectors(model, 1), {0: refusal}, seconds)
    seconds = time.perf_counter() - started
    return _checked(model, vectors, normalize, seconds)


def _call(model: EmbeddingModel, texts: Sequence[str]) -> NDArray[np.float32]:
    try:
        for attempt in retry_context(
            on=_backoff,
            attempts=ATTEMPTS,
            timeout=RETRY_SECONDS,
            wait_initial=FIRST_WAIT,
            wait_max=LONGEST_WAIT,
        ):
            with attempt:
                vectors = model.encode(texts)
    except TRANSIENT as error:
        raise EmbeddingFailed(
            f"The model {model.spec.name} gave no vectors in {ATTEMPTS} attempts ({error!r}).",
            "Run again later: what was embedded until now is kept.",
        ) from error
    if vectors.ndim != 2 or vectors.shape[1] != model.spec.dimensions:
        raise EmbeddingFailed(
            f"The model {model.spec.name} gives vectors of shape {vectors.shape[1:]}, "
            f"not of {model.spec.dimensions} dimensions.",
            "Check that GREENLANG_EMBEDDING_MODEL names the model that is meant.",
        )
    if len(vectors) != len(texts):
        raise ValueError(f"{len(vectors)} vectors for {len(texts)} texts")
    return vectors


def _backoff(error: Exception) -> bool | float:
    """Whether another try is worth it, and after how many seconds where that is known."""
    if isinstance(error, TransientModelError) and error.retry_after is not None:
        return error.retry_after
    return isinstance(error, TRANSIENT)


def _encode_halves(
    model: EmbeddingModel, texts: Sequence[str], normalize: bool, seconds: float
) -> Encoded:
    half = len(texts) // 2
    left = encode_batch(model, texts[:half], normalize)
    right = encode_batch(model, texts[half:], normalize)
    return Encoded(
        np.concatenate([left.vectors, right.vectors]),
        left.failures | {half + index: error for index, error in right.failures.items()},
        seconds + left.seconds + right.seconds,
    )


def _checked(
    model: EmbeddingModel, vectors: NDArray[np.float32], normalize: bool, seconds: float
) -> Encoded:
    """Finite, not zero, and of length one where that is asked for."""
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
    usable = np.isfinite(norms) & (norms > 0)
    result = _no_vectors(model, len(vectors))
    result[usable] = vectors[usable] / norms[usable, None] if normalize else vectors[usable]
    failures = {
        int(index): ItemError(
            "unusable_vector",
            f"The model {model.spec.name} gives a vector of norm {norms[index]} for this text.",
            "Check the text, and the model's weights if many texts fail so.",
        )
        for index in np.flatnonzero(~usable)
    }
    return Encoded(result, failures, seconds)


def _no_vectors(model: EmbeddingModel, count: int) -> NDArray[np.float32]:
    return np.full((count, model.spec.dimensions), np.nan, dtype=np.float32)
