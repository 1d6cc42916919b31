"""The embedding cache in PostgreSQL."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import psycopg
import pytest
from numpy.typing import NDArray

from greenlang_vectors.embedding.cache import PostgresCache
from greenlang_vectors.embedding.embedder import Embedder
from greenlang_vectors.embedding.models import ModelSpec
from greenlang_vectors.store.database import Database

from .vectors import equal, some

pytestmark = pytest.mark.integration

Connect = Callable[[], AbstractContextManager[psycopg.Connection]]
HOUR = 3600


@pytest.fixture
def connect(database: Database) -> Connect:
    """Lends connections to a database whose cache is empty."""
    with database.connection() as connection:
        connection.execute("TRUNCATE embedding_cache")
    return database.connection


def age(connect: Connect, seconds: int) -> None:
    with connect() as connection:
        connection.execute(
            "UPDATE embedding_cache SET expires_at = expires_at - make_interval(secs => %s)",
            [seconds],
        )


def test_vectors_come_back_bit_for_bit(connect: Connect) -> None:
    kept = some(500)
    PostgresCache(connect, "f", HOUR).put(kept)
    found = PostgresCache(connect, "f", HOUR).get([*kept, "0" * 64])
    assert equal(found, kept)
    assert {vector.dtype for vector in found.values()} == {np.dtype(np.float32)}


def test_only_what_is_asked_for_comes_back(connect: Connect) -> None:
    kept = some(3)
    cache = PostgresCache(connect, "f", HOUR)
    cache.put(kept)
    first = next(iter(kept))
    assert list(cache.get([first])) == [first]
    assert cache.get([]) == {}


def test_other_fingerprints_are_other_caches(connect: Connect) -> None:
    kept, other = some(3), some(3, seed=1)
    PostgresCache(connect, "f", HOUR).put(kept)
    PostgresCache(connect, "g", HOUR).put(other)
    assert equal(PostgresCache(connect, "f", HOUR).get(list(kept)), kept)
    assert equal(PostgresCache(connect, "g", HOUR).get(list(kept)), other)


def test_what_has_expired_is_gone_and_pruned(connect: Connect) -> None:
    kept = some(4)
    cache = PostgresCache(connect, "f", HOUR)
    cache.put(kept)
    age(connect, HOUR - 60)
    assert len(cache.get(list(kept))) == 4
    assert cache.prune() == 0
    age(connect, 60)
    assert cache.get(list(kept)) == {}
    assert cache.prune() == 4
    assert cache.prune() == 0


def test_putting_again_replaces_and_lives_longer(connect: Connect) -> None:
    cache = PostgresCache(connect, "f", HOUR)
    cache.put(some(4))
    age(connect, HOUR)
    newer = some(4, seed=1)
    cache.put(newer)
    assert equal(cache.get(list(newer)), newer)


def test_writers_of_the_same_keys_in_opposite_orders_do_not_deadlock(connect: Connect) -> None:
    kept = some(400)
    backwards = dict(reversed(kept.items()))

    with ThreadPoolExecutor(2) as pool:
        for _ in range(5):
            list(pool.map(PostgresCache(connect, "f", HOUR).put, [kept, backwards]))
    with connect() as connection:
        row = connection.execute(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        ).fetchone()
    assert row == (0,)


class LengthModel:
    """A model whose vector is the length of the text."""

    spec = ModelSpec("length", Path(), 1, 512, "0")

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [1 for _ in texts]

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.array([[len(text)] for text in texts], dtype=np.float32)


def embedder(connect: Connect) -> Embedder:
    model = LengthModel()
    fingerprint = model.spec.fingerprint(normalize=False)
    return Embedder(model, PostgresCache(connect, fingerprint, HOUR), normalize=False)


def test_the_embedder_finds_what_it_kept(connect: Connect) -> None:
    assert embedder(connect).embed(["one", "three"]).counts.model_texts == 2
    again = embedder(connect).embed(["three", "one", "seventeen"])
    assert (again.counts.cache_hits, again.counts.model_texts) == (2, 1)
    assert again.vectors.tolist() == [[5], [3], [9]]


def test_a_failing_cache_is_one_warning_and_no_error(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    with connect() as connection:
        connection.execute("ALTER TABLE embedding_cache RENAME TO hidden")
    working = embedder(connect)
    with caplog.at_level(logging.WARNING):
        for text in ("one", "three"):
            assert working.embed([text]).vectors.tolist() == [[len(text)]]
        assert len(caplog.records) == 1
        with connect() as connection:
            connection.execute("ALTER TABLE hidden RENAME TO embedding_cache")
        working.embed(["one"])
        assert working.embed(["one"]).counts.cache_hits == 1
        with connect() as connection:
            connection.execute("ALTER TABLE embedding_cache RENAME TO hidden")
        working.embed(["one"])
        with connect() as connection:
            connection.execute("ALTER TABLE hidden RENAME TO embedding_cache")
    assert len(caplog.records) == 2


def test_a_lost_connection_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    def nobody_answers() -> psycopg.Connection:
        return psycopg.connect("postgresql://user@127.0.0.1:9/none", connect_timeout=2)

    with caplog.at_level(logging.WARNING):
        assert embedder(nobody_answers).embed(["four"]).vectors.tolist() == [[4]]
    assert "going on without it" in caplog.text
