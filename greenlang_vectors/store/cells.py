"""Cells: what a search reads of the rows that no ANN index holds yet.

An inverted file (Sivic and Zisserman 2003; IVFFlat of pgvector and Faiss) whose lists are a
B-tree on (segment, cell) that every table has: the writer gives each row the number of the
nearest center, a search compares the rows of the cells nearest to its question. Centers lie among
vectors projected to few axes, so that a row costs some microseconds and no index insertion more.

Centers are trained anew as a collection grows (`cell_training`). Each generation begins with a
segment of its own, so a row's segment says whose number its cell is: rows that lie in none (NONE)
and segments from before the first generation are compared whole, and nothing is ever stranded.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple
from uuid import UUID

import numpy as np
import psycopg
from numpy.typing import NDArray

from greenlang_vectors.store.index_settings import Metric
from greenlang_vectors.store.leaves import Leaf

NONE = -1
"""The cell of a row that lies in none."""

REACHES = (10, 100, 1000)
"""How many nearest a generation knows the share of rows for that has to be compared."""

PIECE = 64
"""Rows and columns of the pieces that a product is computed in."""

KEPT = 200
"""So many generations are kept in memory."""


class Generation(NamedTuple):
    """Which cells hold from a segment on."""

    id: UUID
    first_segment: int


@dataclass(frozen=True, eq=False, slots=True)
class Cells:
    """One generation of a collection's cells.

    Attributes:
        axes: shape (dimensions, projected).
        centers: shape (cells, projected); of length 1 unless the metric is l2; those near
            together have numbers near together.
        shares: of the rows it was trained with, by cell; shape (cells,).
        reaches: see REACHES.
    """

    metric: Metric
    axes: NDArray[np.float32]
    centers: NDArray[np.float32]
    shares: NDArray[np.float32]
    reaches: tuple[float, ...]

    def of(self, vectors: NDArray[np.float32]) -> NDArray[np.int16]:
        """The cell of each vector; shape (n,)."""
        cells = np.empty(len(vectors), np.int16)
        for start in range(0, len(vectors), PIECE):
            piece = slice(start, start + PIECE)
            cells[piece] = np.argmax(self._nearness(vectors[piece]), axis=1)
        return cells

    def to_search(self, query: NDArray[np.float32], among: float) -> list[int]:
        """The cells that hold the k rows a search wants, and NONE, in which any row may lie.

        Args:
            query: shape (dimensions,).
            among: how many nearest the k lie among: k, and more where a filter passes few.
        """
        nearest = np.argsort(-self._nearness(query[None])[0], kind="stable")
        reached = np.cumsum(self.shares[nearest])
        return [NONE, *nearest[: 1 + int(np.searchsorted(reached, self.share(among)))].tolist()]

    def share(self, among: float) -> float:
        """Of the rows, how many a search for so many nearest compares."""
        return next((s for n, s in zip(REACHES, self.reaches, strict=True) if among <= n), 1.0)

    def project(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """The vectors as centers are compared with; shape (n, projected)."""
        return project(vectors, self.axes, self.metric)

    def _nearness(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        return nearness(self.project(vectors), self.centers, self.metric)


def project(
    vectors: NDArray[np.float32], axes: NDArray[np.float32], metric: Metric
) -> NDArray[np.float32]:
    """What the axes show of vectors; of directions only, unless the metric is l2."""
    shown = _product(np.asarray(vectors, np.float32), axes)
    if metric != "l2":
        shown /= np.maximum(np.linalg.norm(shown, axis=1, keepdims=True), 1e-30)
    return shown


def nearness(
    projected: NDArray[np.float32], centers: NDArray[np.float32], metric: Metric
) -> NDArray[np.float32]:
    """The larger the nearer, comparable within a row; shape (n, cells)."""
    near = _product(projected, centers.T)
    if metric == "l2":
        near -= np.einsum("ij,ij->i", centers, centers) / 2
    return near


def _product(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
    """The matrix product, of few rows on one thread.

    OpenBLAS takes every core for more than 2**18 multiplications, and its threads spin while they
    wait for one another: beside a server on the same cores that costs many times what it gains.
    """
    if len(left) == 1:
        return np.asarray(np.einsum("ik,kn->in", left, right))
    if len(left) > PIECE:
        return np.asarray(left @ right)
    product = np.zeros((len(left), right.shape[1]), np.float32)
    for k in range(0, right.shape[0], PIECE):
        for n in range(0, right.shape[1], PIECE):
            product[:, n : n + PIECE] += (
                left[:, k : k + PIECE] @ right[k : k + PIECE, n : n + PIECE]
            )
    return product


_kept: dict[UUID, Cells] = {}


def generations(connection: psycopg.Connection, leaf: Leaf) -> list[Generation]:
    """Those of a leaf, oldest first."""
    return [
        Generation(*row)
        for row in connection.execute(
            "SELECT id, first_segment FROM embedding_cells WHERE collection_id = %s"
            " ORDER BY first_segment",
            [leaf.collection_id],
        )
    ]


def load(connection: psycopg.Connection, leaf: Leaf, id: UUID) -> Cells | None:
    """A generation, out of memory where it was read before; None where it is forgotten."""
    if (known := _kept.get(id)) is not None:
        return known
    row = connection.execute(
        "SELECT metric, axes, centers, shares, reaches FROM embedding_cells WHERE id = %s",
        [id],
        binary=True,
    ).fetchone()
    if row is None:
        return None
    metric, axes, centers, shares, reaches = row
    projection = _numbers(axes).reshape(leaf.dimensions, -1)
    found = Cells(
        metric=metric,
        axes=projection,
        centers=_numbers(centers).reshape(-1, projection.shape[1]),
        shares=_numbers(shares),
        reaches=tuple(reaches),
    )
    if len(_kept) >= KEPT:
        _kept.clear()
    _kept[id] = found
    return found


def begin(connection: psycopg.Connection, leaf: Leaf, cells: Cells, rows: int) -> None:
    """Let the rows that are written from now on lie in these cells."""
    with connection.transaction():
        connection.execute(
            """
            WITH sealed AS (
                UPDATE embedding_collections SET open_segment = open_segment + 1
                WHERE id = %(collection)s RETURNING open_segment)
            INSERT INTO embedding_cells (namespace, collection_id, first_segment, rows, metric,
                axes, centers, shares, reaches)
            SELECT %(namespace)s, %(collection)s, open_segment, %(rows)s, %(metric)s,
                %(axes)s, %(centers)s, %(shares)s, %(reaches)s
            FROM sealed
            """,
            {
                "collection": leaf.collection_id,
                "namespace": leaf.namespace,
                "rows": rows,
                "metric": cells.metric,
                "axes": _bytes(cells.axes),
                "centers": _bytes(cells.centers),
                "shares": _bytes(cells.shares),
                "reaches": list(cells.reaches),
            },
        )


def forget(connection: psycopg.Connection, leaf: Leaf, below: int) -> None:
    """Drop the generations of which every segment is below this number; the newest stays."""
    known = generations(connection, leaf)
    gone = [each.id for each, later in pairwise(known) if later.first_segment <= below]
    connection.execute("DELETE FROM embedding_cells WHERE id = ANY(%s)", [gone])


def _numbers(stored: bytes) -> NDArray[np.float32]:
    return np.frombuffer(stored, "<f4").astype(np.float32)


def _bytes(numbers: NDArray[np.float32]) -> bytes:
    return np.ascontiguousarray(numbers, "<f4").tobytes()
