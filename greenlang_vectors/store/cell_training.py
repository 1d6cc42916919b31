"""Training cells: k-means over a sample of a leaf's rows, and how much of it a search must read.

Axes are the principal ones of the sample; k-means is Lloyd's, of directions only unless the
metric is l2 (spherical k-means, Dhillon and Modha 2001). How many cells a search reads follows
from rows that were held out: as many as hold the share of their nearest that is promised, by the
lower bound of what they tell.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql

from greenlang_vectors.store.cells import REACHES, Cells, nearness, project
from greenlang_vectors.store.index_settings import Metric
from greenlang_vectors.store.leaves import Leaf

MAX_CELLS = 2048
CELLS_PER_ROOT = 4
"""Cells over the square root of the rows: more rows are on their way."""

SAMPLE_ROWS = 40_000
AXES = 64
AXES_ROWS = 10_000
"""Rows of the sample that the axes are taken from."""

ROUNDS = 8
"""Of k-means; beyond, the share that a search reads falls by less than a fiftieth."""

HELD_OUT = 500
"""Rows of the sample, but no more than a tenth, that are searched for and not trained with."""

CONFIDENCE = 1.645
"""Standard errors below the mean: a one-sided 95% bound."""

STEPS = 64
"""Shares that are tried, from the mean upwards."""

BLOCK = 1024


def sample(connection: psycopg.Connection, leaf: Leaf, rows: int) -> NDArray[np.float32]:
    """Vectors of a leaf of about so many rows, SAMPLE_ROWS at most; shape (n, dimensions)."""
    share = min(100.0, 110.0 * SAMPLE_ROWS / max(rows, 1))
    found = connection.execute(
        sql.SQL(
            "SELECT vector_send(embedding) FROM {} TABLESAMPLE SYSTEM ({}) REPEATABLE (1) LIMIT {}"
        ).format(leaf.table, sql.Literal(share), sql.Literal(SAMPLE_ROWS)),
        binary=True,
    )
    packed = b"".join(vector[4:] for (vector,) in found)
    return np.frombuffer(packed, ">f4").astype(np.float32).reshape(-1, leaf.dimensions)


def train(
    vectors: NDArray[np.float32], metric: Metric, *, rows: int, recall: float, seed: int = 0
) -> Cells:
    """Cells for a leaf of which these vectors are a sample.

    Args:
        vectors: shape (n, dimensions), n at least 20.
        rows: of the leaf: of its 10 nearest, a sample holds fewer.
        recall: the share of the nearest that a search is to find.
    """
    random = np.random.default_rng(seed)
    vectors = vectors[random.permutation(len(vectors))]
    asked = min(HELD_OUT, len(vectors) // 10)
    questions, known = vectors[:asked], vectors[asked:]
    axes = _principal(known[:AXES_ROWS])
    projected = project(known, axes, metric)
    count = max(1, min(MAX_CELLS, round(CELLS_PER_ROOT * sqrt(rows)), len(known) // 10))
    centers, cell = _k_means(projected, count, metric, random)
    shares = (np.bincount(cell, minlength=count) / len(known)).astype(np.float32)
    near = nearness(project(questions, axes, metric), centers, metric)
    order = np.argsort(-near, axis=1, kind="stable")
    reached = np.empty_like(near)
    np.put_along_axis(reached, order, np.cumsum(shares[order], axis=1), axis=1)
    truth = _nearness(questions, known, metric)
    reaches = [
        _share(truth, reached[:, cell], max(1, round(nearest * len(known) / rows)), recall)
        for nearest in REACHES
    ]
    return Cells(metric, axes, centers, shares, tuple(reaches))


def _share(
    truth: NDArray[np.float32], reached: NDArray[np.float32], nearest: int, recall: float
) -> float:
    """The share of rows that must be read to find so much of so many nearest."""
    nearest = min(nearest, truth.shape[1])
    found = np.argpartition(-truth, nearest - 1, axis=1)[:, :nearest]
    needed = np.take_along_axis(reached, found, axis=1)
    for share in np.quantile(needed, np.linspace(recall, 1.0, STEPS)):
        recalls = (needed <= share).mean(axis=1)
        if recalls.mean() - CONFIDENCE * recalls.std() / sqrt(len(recalls)) >= recall:
            break
    return min(1.0, float(share))


def _nearness(
    questions: NDArray[np.float32], vectors: NDArray[np.float32], metric: Metric
) -> NDArray[np.float32]:
    if metric == "cosine":
        vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-30)
    return nearness(questions, vectors, metric)


def _principal(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The axes along which vectors lie farthest from zero; shape (dimensions, at most AXES)."""
    scaled = vectors / max(float(np.abs(vectors).max()), 1e-30)
    _, axes = np.linalg.eigh(scaled.T @ scaled)
    return np.ascontiguousarray(axes[:, ::-1][:, :AXES], dtype=np.float32)


def _k_means(
    projected: NDArray[np.float32], count: int, metric: Metric, random: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Centers, and the cell of each vector."""
    centers = projected[random.permutation(len(projected))[:count]].copy()
    cell = _assigned(projected, centers, metric)
    for _ in range(ROUNDS):
        order = np.argsort(cell, kind="stable")
        held, starts = np.unique(cell[order], return_index=True)
        sums = np.add.reduceat(projected[order], starts, axis=0)
        if metric == "l2":
            sums /= np.bincount(cell, minlength=count)[held, None]
        else:
            sums /= np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-30)
        centers[held] = sums
        cell = _assigned(projected, centers, metric)
    centers = centers[_neighbouring(centers, np.arange(count))]
    return centers, _assigned(projected, centers, metric)


def _neighbouring(centers: NDArray[np.float32], places: NDArray[np.intp]) -> NDArray[np.intp]:
    """These places so that centers near together follow one another, as in a k-d tree."""
    if len(places) < 3:
        return places
    held = centers[places]
    places = places[np.argsort(held[:, np.argmax(held.var(axis=0))], kind="stable")]
    middle = len(places) // 2
    return np.concatenate(
        [_neighbouring(centers, places[:middle]), _neighbouring(centers, places[middle:])]
    )


def _assigned(
    projected: NDArray[np.float32], centers: NDArray[np.float32], metric: Metric
) -> NDArray[np.intp]:
    return np.concatenate(
        [
            np.argmax(nearness(projected[start : start + BLOCK], centers, metric), axis=1)
            for start in range(0, len(projected), BLOCK)
        ]
    )
