"""Which Redis may be the cache, and how one that fails is left alone; work stands in for it."""

from __future__ import annotations

import logging
import threading
import time
import traceback
from typing import Any

import numpy as np
import pytest
from pydantic import SecretStr
from redis import Redis
from redis.exceptions import ConnectionError as NoAnswer
from redis.exceptions import OutOfMemoryError

from greenlang_vectors.embedding import redis_cache
from greenlang_vectors.embedding.cache import EmbeddingCache, TieredCache, open_cache
from greenlang_vectors.embedding.redis_cache import GuardedRedis, RedisCache, redis_at
from greenlang_vectors.errors import UsageError
from greenlang_vectors.settings import Settings
from greenlang_vectors.store.database import Database

from .conftest import DictCache

PASSWORD = "hunter2"  # noqa: S105
NOBODY = SecretStr(f"redis://:{PASSWORD}@127.0.0.1:9/0")


@pytest.fixture
def redis() -> GuardedRedis:
    return GuardedRedis(NOBODY)


class Work:
    """Counts how often it is asked; fails as it is told to."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.calls = 0

    def __call__(self, _: Redis) -> None:
        self.calls += 1
        if self.error is not None:
            raise self.error


@pytest.mark.parametrize(
    "url",
    [
        "http://:{}@127.0.0.1:6379/0",
        "{}",
        "redis://:x@127.0.0.1:{}/0",
        "redis://:{}@127.0.0.1:6379/0?no_such_option=1",
        "redis://:{}@127.0.0.1:6379/0?socket_timeout=long",
        "rediss://:{}@127.0.0.1:6379/0?ssl_cert_reqs=sometimes",
    ],
)
def test_a_url_that_cannot_be_used_is_refused_and_not_quoted(url: str) -> None:
    with pytest.raises(UsageError, match="GREENLANG_REDIS_URL") as refused:
        redis_at(SecretStr(url.format(PASSWORD)))
    assert PASSWORD not in "".join(traceback.format_exception(refused.value))


def test_redis_is_chosen_by_its_url() -> None:
    database = Database("postgresql://127.0.0.1:9/none")

    def opened(**given: Any) -> EmbeddingCache:  # noqa: ANN401 - any setting
        return open_cache(database, "f", 8, 60, Settings(**given))

    with pytest.raises(UsageError, match="GREENLANG_REDIS_URL is not set"):
        opened(embedding_cache="redis", redis_url=None)
    assert isinstance(opened(embedding_cache="redis", redis_url=NOBODY), TieredCache)
    assert not isinstance(opened(redis_url=NOBODY), TieredCache)


def test_all_caches_of_a_process_share_one_client() -> None:
    assert redis_at(NOBODY) is redis_at(SecretStr(NOBODY.get_secret_value()))
    assert redis_at(NOBODY) is not redis_at(SecretStr("redis://127.0.0.1:9/1"))


def test_a_redis_that_is_down_is_one_warning_and_no_error(
    redis: GuardedRedis, caplog: pytest.LogCaptureFixture
) -> None:
    cache = RedisCache(redis, "f", 2, 60)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert cache.get(["a" * 64]) == {}
            cache.put({"a" * 64: np.ones(2, np.float32)})
    assert len(caplog.records) == 1
    assert "going on without it" in caplog.text
    assert PASSWORD not in caplog.text


def test_a_host_that_cannot_be_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    url = SecretStr(f"redis://:{PASSWORD}@{'a' * 64}.example:6379/0")
    with caplog.at_level(logging.WARNING):
        assert RedisCache(GuardedRedis(url), "f", 2, 60).get(["a" * 64]) == {}
    assert len(caplog.records) == 1
    assert PASSWORD not in caplog.text


def test_after_no_answer_it_is_left_alone_for_a_while(
    redis: GuardedRedis, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(redis_cache, "PAUSE_SECONDS", 0.05)
    down, up = Work(NoAnswer("nobody")), Work()
    for _ in range(3):
        redis.attempt("read", down)
        redis.attempt("write", up)
    assert (down.calls, up.calls) == (1, 0)
    time.sleep(0.06)
    redis.attempt("read", down)
    redis.attempt("read", up)
    assert (down.calls, up.calls) == (2, 0)
    time.sleep(0.06)
    redis.attempt("write", down)
    assert down.calls == 3
    assert len(caplog.records) == 1
    time.sleep(0.06)
    for _ in range(3):
        redis.attempt("read", up)
    assert up.calls == 3


def test_one_caller_tries_it_after_the_pause_and_the_others_go_on(
    redis: GuardedRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_cache, "PAUSE_SECONDS", 0.05)
    redis.attempt("read", Work(NoAnswer("nobody")))
    time.sleep(0.06)
    monkeypatch.setattr(redis_cache, "PAUSE_SECONDS", 60)
    trying, answered, other = threading.Event(), threading.Event(), Work()

    def slow(_: Redis) -> None:
        trying.set()
        answered.wait(10)

    first = threading.Thread(target=redis.attempt, args=("read", slow))
    first.start()
    trying.wait(10)
    redis.attempt("read", other)
    assert other.calls == 0
    answered.set()
    first.join()
    redis.attempt("read", other)
    assert other.calls == 1


def test_each_way_is_warned_of_once_until_it_works_again(
    redis: GuardedRedis, caplog: pytest.LogCaptureFixture
) -> None:
    full, fine = Work(OutOfMemoryError("OOM command not allowed")), Work()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            redis.attempt("write", full)
            redis.attempt("read", fine)
        assert (full.calls, fine.calls) == (3, 3)
        assert len(caplog.records) == 1
        redis.attempt("write", fine)
        redis.attempt("write", full)
    assert len(caplog.records) == 2


def test_an_answer_that_says_no_ends_the_pause(
    redis: GuardedRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_cache, "PAUSE_SECONDS", 0.05)
    redis.attempt("read", Work(NoAnswer("nobody")))
    time.sleep(0.06)
    monkeypatch.setattr(redis_cache, "PAUSE_SECONDS", 60)
    redis.attempt("write", Work(OutOfMemoryError("OOM command not allowed")))
    fine = Work()
    redis.attempt("read", fine)
    assert fine.calls == 1


def test_the_cache_behind_is_asked_only_for_what_is_missing() -> None:
    first, behind = DictCache("f"), DictCache("f")
    asked: list[list[str]] = []
    behind.get = lambda keys: asked.append([*keys]) or DictCache.get(behind, keys)  # type: ignore
    one, two = np.ones(2, np.float32), np.zeros(2, np.float32)
    cache = TieredCache(first, behind)
    behind.put({"a": two, "b": two})
    cache.put({"a": one})
    found = cache.get(["a", "b", "c"])
    assert (found["a"] is one, found["b"] is two, len(found)) == (True, True, 2)
    assert asked == [["b", "c"]]
    assert first.kept.keys() == {"a"}
    assert behind.kept["a"] is two
