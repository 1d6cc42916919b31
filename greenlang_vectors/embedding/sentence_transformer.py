"""Sentence-transformers models on this machine's CPU or CUDA device."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from greenlang_vectors.chunking.tokens import Tokenizer
from greenlang_vectors.embedding.models import REMEDY, ModelSpec
from greenlang_vectors.errors import EmbeddingFailed, ModelUnavailable

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


class SentenceTransformerModel:
    """An `EmbeddingModel` that loads its weights (and torch, seconds) at the first `encode`.

    One mini-batch runs at a time: it already uses every core, and the tokenizer under it is not
    safe for threads.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self._lock = threading.Lock()

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, special tokens included; needs no torch."""
        return self._tokenizer.counts(texts)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See `EmbeddingModel.encode`; all texts go through the model at once."""
        with self._lock:
            model = self._model
            try:
                vectors = model.encode(
                    list(texts),
                    batch_size=len(texts),
                    show_progress_bar=False,
                    convert_to_numpy=True,
                )
            except IndexError as error:
                raise ValueError(f"a token is not in the model's vocabulary: {error}") from error
            except RuntimeError as error:
                if any(words in str(error) for words in OUT_OF_MEMORY):
                    raise MemoryError(str(error)) from error
                raise EmbeddingFailed(
                    f"The model {self.spec.name} failed: {error}.",
                    "Run again; if it persists, check the machine's torch installation.",
                ) from error
        return np.asarray(vectors, dtype=np.float32)

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        return self.spec.tokenizer()

    @cached_property
    def _model(self) -> SentenceTransformer:
        try:
            with _quiet_loading():
                import torch  # noqa: PLC0415
                from sentence_transformers import SentenceTransformer  # noqa: PLC0415

                model = SentenceTransformer(
                    str(self.spec.directory),
                    device="cuda" if torch.cuda.is_available() else "cpu",
                    local_files_only=True,
                )
        except Exception as error:  # what is wrong in the folder decides which
            raise ModelUnavailable(
                f"The embedding model {self.spec.name} in {self.spec.directory} cannot be "
                f"loaded ({type(error).__name__}: {error}).",
                REMEDY,
            ) from error
        model.max_seq_length = self.spec.max_tokens
        return model


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
