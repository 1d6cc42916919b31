"""The benchmarks of the store measure what they say: run small, for their structure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import (
    embedding,
    embedding_cache,
    filtered,
    index_build,
    rows,
    search,
    sustained,
    write_path,
)
from benchmarks.common import new_database
from benchmarks.redis_server import RedisServer
from benchmarks.vectors import VectorSource
from greenlang_vectors.embedding.backends import PRECISIONS
from greenlang_vectors.embedding.models import resolve_model

pytestmark = pytest.mark.integration


def test_vectors_repeat_and_differ_by_seed() -> None:
    first, again = VectorSource(1).take(300), VectorSource(1).take(300)
    assert np.array_equal(first, again)
    assert np.allclose(np.linalg.norm(first, axis=1), 1, atol=1e-5)
    other = VectorSource(2).take(300)
    assert not np.array_equal(first, other)


def test_vectors_of_another_seed_have_neighbours() -> None:
    queries, vectors = VectorSource(2).take(100), VectorSource(1).take(5_000)
    independent = np.random.default_rng(0).normal(size=vectors.shape).astype(np.float32)
    independent /= np.linalg.norm(independent, axis=1, keepdims=True)
    assert np.median((queries @ vectors.T).max(axis=1)) > (queries @ independent.T).max()


def test_row_numbers_survive_their_keys() -> None:
    for number in (0, 19, 20, 123_457):
        row = rows.row(number)
        assert rows.number_of(row.source_id, row.chunk_index) == number
        changed = rows.row(number, revision=1)
        assert (changed.source_id, changed.chunk_index) == (row.source_id, row.chunk_index)
        assert changed.content_hash != row.content_hash
        assert row.preview is not None
        assert len(row.preview) == 500


def test_write_path_measures_every_way(server: str) -> None:
    sizes = write_path.Sizes(rows=200, batch=100, repetitions=2, dimensions=32)
    taken = write_path.measure(server, sizes, python=None)
    assert set(taken.rates) == {
        write_path.FLOOR,
        write_path.TOASTED,
        write_path.TWO,
        write_path.EMPTY,
        write_path.MORE,
        write_path.UNCHANGED,
        write_path.CHANGED,
    }
    assert all(len(each) == 2 and min(each) > 0 for each in taken.rates.values())
    assert taken.server.keys() == taken.client.keys() == taken.rates.keys()


def test_ratio_compares_within_a_repetition() -> None:
    rates = {"ours": [10.0, 40.0, 90.0], "floor": [10.0, 20.0, 30.0]}
    assert write_path.ratio(rates, "ours", "floor") == 2


def test_embedding_measures_every_backend(tiny_mpnet: Path, tmp_path: Path) -> None:
    texts = ["soil", "water forest", "due carbon soil"]
    taken = embedding.measure(resolve_model(str(tiny_mpnet)), texts, tmp_path, rounds=2)
    assert list(taken) == [(b, p) for b, precisions in PRECISIONS.items() for p in precisions]
    for each in taken.values():
        assert len(each.product) == len(each.floor) == 2
        assert min(each.product + each.floor) > 0


def test_embedding_cache_measures_every_way(server: str, running_redis: RedisServer) -> None:
    sizes = embedding_cache.Sizes(counts=(5, 20), runs=2, dimensions=32)
    taken = embedding_cache.measure(server, running_redis.url, sizes)
    assert {count for count, _ in taken} == {5, 20}
    assert len(taken) == 6
    for ways in taken.values():
        assert [len(each) for each in ways] == [2] * len(embedding_cache.WAYS)
        assert min(map(min, ways)) > 0


def test_index_build_finds_what_is_near_through_every_kind(server: str) -> None:
    sizes = index_build.Sizes(rows=400, queries=20, repetitions=1, dimensions=64)
    built = index_build.measure(server, sizes)
    assert set(built) == set(index_build.KINDS)
    for title, each in built.items():
        assert each.size_bytes > 0
        assert min(each.seconds) > 0
        assert min(searched.recall for searched in each.searched.values()) > 0.5, title
    assert len(built["HNSW, vector"].plain_seconds) == 1
    assert not built["HNSW, halfvec"].plain_seconds


def test_filtered_finds_what_passes_at_every_selectivity(server: str) -> None:
    sizes = filtered.Sizes(rows=2000, queries=10, dimensions=32)
    measured = filtered.measure(server, sizes)
    assert [each.parts for each in measured.filtered] == [2, 10, 100, 1000]
    assert [each.fewest for each in measured.filtered] == [10, 10, 10, 2]
    assert min(each.recall for each in measured.filtered) > 0.9
    assert all(len(each.milliseconds) == sizes.queries for each in measured.filtered)
    assert measured.nearest_ms > 0 < measured.bare_ms


def test_search_measures_every_way(server: str) -> None:
    sizes = search.Sizes(rows=400, queries=5)
    database = new_database(server)
    measured = search.measure(database, search.prepare(database, sizes, server), sizes)
    database.close()
    for times in (measured.sdk, measured.bare, measured.question, measured.hybrid):
        assert len(times.ms) == 5
        assert 0 < times.p50 <= times.p99


def test_sustained_sees_what_was_committed(server: str) -> None:
    sizes = sustained.Sizes(
        rows=400,
        seconds=1,
        rows_per_second=400,
        unpaced_rows=200,
        batch=50,
        idle_seconds=0.5,
        window_seconds=0.5,
        dimensions=32,
    )
    outcomes = sustained.measure(server, sizes, sustained.WAYS[-3:])
    for title, outcome in outcomes.items():
        assert outcome.inserted > 0, title
        assert outcome.found == outcome.checked > 0, title
        assert outcome.idle.recall == pytest.approx(1), title
        assert all(window.recall > 0.9 for window in outcome.windows if window.searches), title
        assert 0 < outcome.p50_ms <= outcome.p99_ms, title
    assert len(outcomes) == 3
