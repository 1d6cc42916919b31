"""Vectors that come ready-made: whether they can be a model's, and are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from greenlang_vectors.embedding.embedder import Embedder
from greenlang_vectors.errors import ItemError, UsageError
from greenlang_vectors.landing import embed
from greenlang_vectors.store.soundness import NOT_FINITE, ZERO_VECTOR

COMPARED = 8
"""Passages that are embedded here to see that a model of this machine made the vectors."""

LEAST_ALIKE = 0.99
"""The cosine between the two: other libraries and batches differ by less."""


def unsound(vector: NDArray[np.float32], dimensions: int) -> ItemError | None:
    """Why no collection of so many dimensions can hold the vector."""
    if len(vector) != dimensions:
        return ItemError(
            "wrong_dimensions",
            f"The vector has {len(vector)} dimensions instead of {dimensions}.",
            "Embed the text with the model that is named.",
        )
    with np.errstate(over="ignore", invalid="ignore"):
        norm = float(np.linalg.norm(vector))
    if not np.isfinite(norm):
        return ItemError(*NOT_FINITE)
    return None if norm else ItemError(*ZERO_VECTOR)


def compare(embedder: Embedder, texts: Sequence[str], rows: NDArray[np.float32]) -> None:
    """See by a few of them that the vectors are what the model makes of these texts.

    Raises:
        UsageError: they are not.
    """
    made = embed(embedder, texts[:COMPARED], COMPARED).rows
    given = rows[:COMPARED]
    if made.shape == given.shape:
        norms = np.linalg.norm(made, axis=1) * np.linalg.norm(given, axis=1)
        if float((np.einsum("ij,ij->i", made, given) / norms).min()) >= LEAST_ALIKE:
            return
    raise UsageError(
        f"The vectors are not what {embedder.model.spec.name} makes of their passages here.",
        "Name the model that made them, or leave them out.",
    )
