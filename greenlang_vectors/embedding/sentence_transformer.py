"""Sentence-transformers models run by torch, on this machine's CPU or CUDA device."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from greenlang_vectors.chunking.tokens import Tokenizer
from greenlang_vectors.embedding.batching import FoundLimits
from greenlang_vectors.embedding.failures import failure_of
from greenlang_vectors.embedding.models import REMEDY, ModelSpec
from greenlang_vectors.errors import ModelUnavailable

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


class SentenceTransformerModel:
    """An `EmbeddingModel` that loads its weights (and torch, seconds) at the first `encode`.

    One mini-batch runs at a time: it already uses every core, and the tokenizer under it is not
    safe for threads.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec
        self._lock = threading.Lock()
        self._found: FoundLimits | None = None

    @property
    def spec(self) -> ModelSpec:
        """Its name and sizes; on a GPU with the limits found until now."""
        return replace(self._spec, limits=self._found.limits) if self._found else self._spec

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, special tokens included; needs no torch."""
        return self._tokenizer.counts(texts)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See `EmbeddingModel.encode`; all texts go through the model at once."""
        with self._lock:
            model = self._model
            began = time.perf_counter()
            try:
                vectors = model.encode(
                    list(texts),
                    batch_size=len(texts),
                    show_progress_bar=False,
                    convert_to_numpy=True,
                )
            except (IndexError, MemoryError, RuntimeError) as error:
                failure = failure_of(error, self._spec, "torch")
                if self._found and isinstance(failure, MemoryError):
                    self._found.too_large(self._padded_tokens(texts))
                    self._release_memory()
                raise failure from error
            if self._found:
                self._found.done(self._padded_tokens(texts), time.perf_counter() - began)
        return np.asarray(vectors, dtype=np.float32)

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        return self._spec.tokenizer()

    @cached_property
    def _model(self) -> SentenceTransformer:
        try:
            import torch  # noqa: PLC0415

            gpu = torch.cuda.is_available()
        except Exception as error:  # a torch that is broken
            raise unavailable(self._spec, error) from error
        model = load(self._spec, "cuda" if gpu else "cpu")
        if self._spec.precision == "bfloat16":
            model.to(torch.bfloat16)
        if gpu:
            self._found = FoundLimits()
        return model

    def _padded_tokens(self, texts: Sequence[str]) -> int:
        return len(texts) * max(self.count_tokens(texts))

    def _release_memory(self) -> None:
        """What torch keeps of a batch that did not fit would be in the way of its halves."""
        import torch  # noqa: PLC0415

        torch.cuda.empty_cache()


def load(spec: ModelSpec, device: str, **how: str) -> SentenceTransformer:
    """A model's weights on a device, reading as many tokens as it has positions for.

    Args:
        how: passed on to the model of transformers within.

    Raises:
        ModelUnavailable: it cannot be loaded.
    """
    try:
        with _quiet_loading():
            from sentence_transformers import SentenceTransformer  # noqa: PLC0415

            model = SentenceTransformer(
                str(spec.directory), device=device, local_files_only=True, model_kwargs=how
            )
    except Exception as error:  # what is wrong in the folder decides which
        raise unavailable(spec, error) from error
    model.max_seq_length = spec.max_tokens
    return model


def unavailable(spec: ModelSpec, error: Exception) -> ModelUnavailable:
    """What to raise of a model that this error keeps from being loaded."""
    return ModelUnavailable(
        f"The embedding model {spec.name} in {spec.directory} cannot be "
        f"loaded ({type(error).__name__}: {error}).",
        REMEDY,
    )


@contextmanager
def _quiet_loading() -> Iterator[None]:
    """No progress bar of transformers on standard error while weights are read."""
    from transformers.utils import logging  # noqa: PLC0415

    was_enabled = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if was_enabled:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]
