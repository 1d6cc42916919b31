"""Which rows of a batch cannot be stored, found before the server is asked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from greenlang_vectors.errors import ItemError
from greenlang_vectors.store.index_settings import IndexSettings

HALF_MAX = 65504.0
"""The largest number a halfvec holds."""


def unsound(
    rows: Sequence[object],
    vectors: NDArray[np.float32] | Sequence[NDArray[np.float32]],
    ids: NDArray[np.void],
    dimensions: int,
    index: IndexSettings,
) -> tuple[NDArray[np.float32], dict[int, ItemError]]:
    """The vectors as one array of shape (n, dimensions), and the error of each impossible row.

    Args:
        ids: the key of each row; of two rows with one key the later is the impossible one.
    """
    failures: dict[int, ItemError] = {}
    table = _as_table(vectors, dimensions, failures)
    finite = np.isfinite(table).all(axis=1)
    for i in np.flatnonzero(~finite).tolist():
        failures.setdefault(
            i,
            ItemError(
                "not_finite",
                "The vector holds NaN or infinity.",
                "Embed the text again; check the model.",
            ),
        )
    if index.metric == "cosine":
        for i in np.flatnonzero(finite & ~table.any(axis=1)).tolist():
            failures.setdefault(
                i,
                ItemError(
                    "zero_vector",
                    "The vector is zero: it has no direction, and no cosine distance to anything.",
                    "Leave the item out, or choose another metric for the collection.",
                ),
            )
    if index.storage == "halfvec":
        for i in np.flatnonzero(finite & (np.abs(table) > HALF_MAX).any(axis=1)).tolist():
            failures.setdefault(
                i,
                ItemError(
                    "out_of_range",
                    f"The vector holds a number beyond {HALF_MAX:g}, which halfvec cannot index.",
                    "Scale the vectors, or choose the index storage vector.",
                ),
            )
    _, first = np.unique(ids, return_index=True)
    repeated = np.ones(len(rows), dtype=bool)
    repeated[first] = False
    for i in np.flatnonzero(repeated).tolist():
        failures.setdefault(
            i,
            ItemError(
                "duplicate_key",
                "The batch holds another row of the same source and chunk.",
                "Give every chunk of a source an index of its own.",
            ),
        )
    return table, failures


def _as_table(
    vectors: NDArray[np.float32] | Sequence[NDArray[np.float32]],
    dimensions: int,
    failures: dict[int, ItemError],
) -> NDArray[np.float32]:
    if isinstance(vectors, np.ndarray) and vectors.ndim == 2 and vectors.shape[1] == dimensions:
        with np.errstate(over="ignore"):
            return np.ascontiguousarray(vectors, dtype=np.float32)
    table = np.ones((len(vectors), dimensions), dtype=np.float32)
    for i, vector in enumerate(vectors):
        if np.shape(vector) == (dimensions,):
            with np.errstate(over="ignore"):
                table[i] = vector
        else:
            failures[i] = ItemError(
                "wrong_dimensions",
                f"The vector has {np.size(vector)} dimensions; the collection has {dimensions}.",
                "Embed the text with the collection's own model.",
            )
    return table
