"""A Redis that dies, hangs and comes back while embeddings are cached in it."""

from __future__ import annotations

import logging
import time

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import SecretStr

from benchmarks.redis_server import RedisServer
from greenlang_vectors.embedding import redis_cache
from greenlang_vectors.embedding.redis_cache import GuardedRedis, RedisCache

pytestmark = pytest.mark.faults

DIMENSIONS = 4
PAUSE = 0.2
Vectors = dict[str, NDArray[np.float32]]
KEPT: Vectors = {f"{n:064}": np.full(DIMENSIONS, n, np.float32) for n in range(8)}


@pytest.fixture
def cache(own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> RedisCache:
    """Of a Redis that runs; two vectors are a batch."""
    monkeypatch.setattr(redis_cache, "ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(redis_cache, "PAUSE_SECONDS", PAUSE)
    monkeypatch.setattr(redis_cache, "BATCH_BYTES", 2 * 4 * DIMENSIONS)
    own_redis.start()
    made = RedisCache(GuardedRedis(SecretStr(own_redis.url)), "f", DIMENSIONS, 3600)
    made.put(KEPT)
    assert found(made) == 8
    return made


def found(cache: RedisCache) -> int:
    """How many are there; each is the one that was put."""
    vectors = cache.get(list(KEPT))
    assert all(np.array_equal(vector, KEPT[key]) for key, vector in vectors.items())
    return len(vectors)


def test_one_that_is_stopped_and_started_is_used_again(
    cache: RedisCache, own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        for warnings in (1, 2):
            own_redis.stop()
            for _ in range(3):
                assert found(cache) == 0
                cache.put(KEPT)
                time.sleep(PAUSE / 2)
            assert len(caplog.records) == warnings
            own_redis.start()
            time.sleep(PAUSE)
            assert found(cache) == 0
            cache.put(KEPT)
            assert found(cache) == 8


def test_what_was_read_before_it_died_counts(
    cache: RedisCache, own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = RedisCache._vectors

    def then_stop(self: RedisCache, *batch: object) -> Vectors:
        own_redis.stop()
        return read(self, *batch)

    monkeypatch.setattr(RedisCache, "_vectors", then_stop)
    assert found(cache) == 2


def test_one_that_hangs_is_waited_for_once(
    cache: RedisCache, own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), own_redis.hung():
        began = time.monotonic()
        assert found(cache) == 0
        waited = time.monotonic() - began
        for _ in range(50):
            found(cache)
            cache.put(KEPT)
        assert 0.25 < waited < 2
        assert time.monotonic() - began - waited < PAUSE
    assert len(caplog.records) == 1
    time.sleep(PAUSE)
    assert found(cache) == 8


def test_an_answer_that_comes_too_late_is_nobodys(
    cache: RedisCache, own_redis: RedisServer
) -> None:
    first, *rest = KEPT
    with own_redis.hung():
        assert cache.get([first]) == {}
    time.sleep(PAUSE)
    assert found(cache) == 8
    assert list(cache.get(rest)) == rest
