"""Cells hold what lies near together, and a search of as many as calibrated finds its share."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.vectors import VectorSource
from greenlang_vectors.store import cell_training, cells
from greenlang_vectors.store.cells import NONE, Cells
from greenlang_vectors.store.index_settings import Metric

ROWS = 8_000
RECALL = 0.95


@pytest.fixture(scope="module")
def vectors() -> NDArray[np.float32]:
    return VectorSource(1, dimensions=48).take(ROWS)


@pytest.fixture(scope="module")
def trained(vectors: NDArray[np.float32]) -> Cells:
    return cell_training.train(vectors, "cosine", rows=ROWS, recall=RECALL)


def found(
    trained: Cells, vectors: NDArray[np.float32], metric: Metric, nearest: int
) -> tuple[float, float]:
    """The share of the nearest that lie in the cells to search, and of the rows that do."""
    cell = trained.of(vectors)
    queries = VectorSource(2, dimensions=vectors.shape[1]).take(100)
    truth = queries @ vectors.T
    if metric == "l2":
        truth -= (vectors**2).sum(axis=1) / 2
    hits, read = [], []
    for query, near in zip(queries, truth, strict=True):
        searched = np.isin(cell, trained.to_search(query, nearest))
        hits.append(searched[np.argsort(-near)[:nearest]].mean())
        read.append(searched.mean())
    return float(np.mean(hits)), float(np.mean(read))


@pytest.mark.parametrize("metric", get_args(Metric))
@pytest.mark.parametrize("nearest", [10, 100])
def test_the_promised_share_is_found_in_a_part_of_the_rows(
    vectors: NDArray[np.float32], metric: Metric, nearest: int
) -> None:
    lengths = np.random.default_rng(1).uniform(0.8, 1.2, size=(ROWS, 1)).astype(np.float32)
    scaled = vectors if metric == "cosine" else vectors * lengths
    trained = cell_training.train(scaled, metric, rows=ROWS, recall=RECALL)
    recall, read = found(trained, scaled, metric, nearest)
    assert recall >= RECALL - 0.02
    assert read < (0.35 if nearest == 10 else 0.6)


def test_more_is_read_for_more_and_all_beyond_what_was_measured(trained: Cells) -> None:
    shares = [trained.share(among) for among in (1, 10, 11, 100, 101, 1000)]
    assert shares == sorted(shares)
    assert shares[0] == shares[1] < shares[2]
    everything = trained.to_search(np.ones(48, np.float32), 1001)
    assert sorted(everything) == [NONE, *range(len(trained.centers))]


def test_a_row_lies_among_the_cells_that_its_own_vector_asks_for(
    trained: Cells, vectors: NDArray[np.float32]
) -> None:
    cell = trained.of(vectors[:500])
    for vector, own in zip(vectors[:500], cell, strict=True):
        searched = trained.to_search(vector, 1)
        assert searched[0] == NONE
        assert own in searched[1:3]


def test_training_is_repeatable(trained: Cells, vectors: NDArray[np.float32]) -> None:
    again = cell_training.train(vectors, "cosine", rows=ROWS, recall=RECALL)
    assert np.array_equal(again.centers, trained.centers)
    assert again.reaches == trained.reaches


@pytest.mark.parametrize("metric", get_args(Metric))
def test_equal_vectors_and_few_of_them_are_no_obstacle(metric: Metric) -> None:
    equal = np.ones((30, 3), np.float32)
    trained = cell_training.train(equal, metric, rows=3_000, recall=1.0)
    assert trained.of(equal).tolist() == [trained.of(equal[:1])[0]] * 30
    assert trained.share(10) == pytest.approx(1)
    assert cells.NONE in trained.to_search(equal[0], 10)
