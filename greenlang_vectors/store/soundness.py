"""Which rows of a batch cannot be stored, found before the server is asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from greenlang_vectors.errors import ItemError
from greenlang_vectors.store.identity import embedding_ids
from greenlang_vectors.store.index_settings import IndexSettings
from greenlang_vectors.store.leaves import Leaf

if TYPE_CHECKING:
    from greenlang_vectors.store.writing import EmbeddingRow

HALF_MAX = 65504.0
"""The largest number a halfvec holds."""

_Words = tuple[str, str, str]
NOT_FINITE: _Words = (
    "not_finite",
    "The vector holds NaN or infinity.",
    "Embed the text again; check the model.",
)
ZERO_VECTOR: _Words = (
    "zero_vector",
    "The vector is zero: it has no direction, and no cosine distance to anything.",
    "Leave the item out, or choose another metric for the collection.",
)
OUT_OF_RANGE: _Words = (
    "out_of_range",
    f"The vector holds a number beyond {HALF_MAX:g}, which halfvec cannot index.",
    "Scale the vectors, or choose the index storage vector.",
)
DUPLICATE_KEY: _Words = (
    "duplicate_key",
    "The batch holds another row of the same source and chunk.",
    "Give every chunk of a source an index of its own.",
)


class CheckedRows:
    """The rows of a batch, each given its key and checked when it is first asked for.

    So the server works on the first rows while the last are still unchecked.

    Attributes:
        vectors: shape (len(rows), leaf.dimensions); what could not be one is left as ones.
        failures: the error of each impossible row that was asked for, by its place.
    """

    def __init__(
        self,
        leaf: Leaf,
        rows: Sequence[EmbeddingRow],
        vectors: NDArray[np.float32] | Sequence[NDArray[np.float32]],
        index: IndexSettings,
    ) -> None:
        self.failures: dict[int, ItemError] = {}
        self.vectors = _as_table(vectors, leaf.dimensions, self.failures)
        self._leaf = leaf
        self._rows = rows
        self._index = index
        self._ids = np.empty(len(rows), dtype="V16")
        self._has_id = bytearray(len(rows))
        self._checked = bytearray(len(rows))
        self._first_place: dict[bytes, int] = {}

    def ids(self, places: list[int]) -> NDArray[np.void]:
        """The keys of the rows at these places, 16 bytes each."""
        missing = [i for i in places if not self._has_id[i]]
        if missing:
            chunks = [(self._rows[i].source_id, self._rows[i].chunk_index) for i in missing]
            self._ids[missing] = embedding_ids(self._leaf.namespace, chunks, self._leaf.model)
            for i in missing:
                self._has_id[i] = True
        return self._ids[places]

    def sound(self, places: list[int]) -> list[int]:
        """Those of the places whose rows can be stored; of two rows with one key only the first."""
        unchecked = [i for i in places if not self._checked[i]]
        if unchecked:
            self._check_vectors(unchecked)
            self._check_keys(unchecked)
            for i in unchecked:
                self._checked[i] = True
        return [i for i in places if i not in self.failures]

    def _check_vectors(self, places: list[int]) -> None:
        table = self.vectors[places]
        with np.errstate(over="ignore", invalid="ignore"):
            squares = np.einsum("ij,ij->i", table, table)
        if squares.min() > 0 and squares.max() < HALF_MAX**2:
            return
        finite = np.asarray(np.isfinite(table).all(axis=1))
        self._refuse(places, ~finite, NOT_FINITE)
        if self._index.metric == "cosine":
            zero = np.asarray(~table.any(axis=1))
            self._refuse(places, finite & zero, ZERO_VECTOR)
        if self._index.storage == "halfvec":
            beyond = np.asarray((np.abs(table) > HALF_MAX).any(axis=1))
            self._refuse(places, finite & beyond, OUT_OF_RANGE)

    def _check_keys(self, places: list[int]) -> None:
        keys = self.ids(places).tolist()
        if len(set(keys)) == len(keys) and self._first_place.keys().isdisjoint(keys):
            self._first_place.update(zip(keys, places, strict=True))
            return
        for i, key in zip(places, keys, strict=True):
            if self._first_place.setdefault(key, i) != i:
                self.failures.setdefault(i, ItemError(*DUPLICATE_KEY))

    def _refuse(self, places: list[int], wrong: NDArray[np.bool_], error: _Words) -> None:
        for place in np.flatnonzero(wrong).tolist():
            self.failures.setdefault(places[place], ItemError(*error))


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
