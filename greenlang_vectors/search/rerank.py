"""Re-ranking by a cross-encoder, which reads question and passage together (optional)."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from greenlang_vectors.errors import ModelUnavailable, UsageError

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

BATCH = 16

DIGITS = 5
"""Decimals of a score that are kept: below them it depends on what else was in the batch."""

REMEDY = (
    "Set GREENLANG_RERANK_MODEL to a folder that holds a cross-encoder of sentence-transformers, "
    "or to the name of one that is in this machine's model cache."
)


class Reranker:
    """A cross-encoder that loads its weights (and torch, seconds) when it is first asked.

    One batch runs at a time: it already uses every core.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._model: CrossEncoder | None = None
        self._lock = threading.Lock()

    def scores(self, question: str, passages: Sequence[str]) -> list[float]:
        """How well each passage answers, the more the better; a long one is read as far as the
        model reads.

        Raises:
            ModelUnavailable: the model is not on this machine, or is no cross-encoder.
        """
        if not passages:
            return []
        with self._lock:
            if self._model is None:
                self._model = _load(self.name)
            scores = self._model.predict(
                [(question, passage) for passage in passages],
                batch_size=BATCH,
                show_progress_bar=False,
            )
        return [round(float(score), DIGITS) for score in scores]


@lru_cache(maxsize=2)
def reranker_of(name: str | None) -> Reranker:
    """The re-ranker of this name or folder, one for the whole process.

    Raises:
        UsageError: no model is configured.
    """
    if name is None:
        raise UsageError("No re-ranking model is configured.", REMEDY)
    return Reranker(name)


def _load(name: str) -> CrossEncoder:
    try:
        from sentence_transformers import CrossEncoder  # noqa: PLC0415

        model: CrossEncoder = CrossEncoder(name, local_files_only=True)
    except Exception as error:  # what is wrong in the folder decides which
        raise ModelUnavailable(
            f"The re-ranking model {name!r} cannot be loaded ({type(error).__name__}: "
            f"{' '.join(str(error).split())[:300]}).",
            REMEDY,
        ) from error
    if model.num_labels != 1:
        raise ModelUnavailable(
            f"The re-ranking model {name!r} gives {model.num_labels} numbers a pair, not one.",
            REMEDY,
        )
    return model
