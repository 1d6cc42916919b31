"""What is found of a real Redis."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydantic import SecretStr
from redis import Redis

from benchmarks.redis_server import RedisServer
from greenlang_vectors.doctor import environment
from greenlang_vectors.settings import Settings

pytestmark = pytest.mark.integration


@pytest.fixture
def redis(running_redis: RedisServer) -> Iterator[Redis]:
    with Redis.from_url(running_redis.url) as client:
        yield client
        client.config_set("maxmemory", 0)
        client.config_set("maxmemory-policy", "noeviction")


@pytest.fixture
def counting(running_redis: RedisServer) -> Settings:
    """Requests alone are counted in it."""
    return Settings(redis_url=SecretStr(running_redis.url), embedding_cache="postgres")


def levels(settings: Settings) -> dict[str, str]:
    return {each.check: each.level for each in environment.redis(settings)}


@pytest.mark.usefixtures("redis")
def test_one_that_only_counts_must_answer(counting: Settings) -> None:
    assert levels(counting) == {"connection": "ok"}


@pytest.mark.parametrize(
    ("memory", "policy", "level"),
    [
        ("64mb", "volatile-lru", "ok"),
        ("64mb", "allkeys-lfu", "ok"),
        ("64mb", "noeviction", "warning"),
        ("0", "noeviction", "warning"),
        ("0", "allkeys-lru", "warning"),
    ],
)
def test_one_that_caches_must_forget_in_time(
    redis: Redis, counting: Settings, memory: str, policy: str, level: str
) -> None:
    redis.config_set("maxmemory", memory)
    redis.config_set("maxmemory-policy", policy)
    caching = counting.model_copy(update={"embedding_cache": "redis"})
    assert levels(caching) == {"connection": "ok", "memory": level}


def test_one_that_hangs_is_found(own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "ANSWER_SECONDS", 0.2)
    own_redis.start()
    settings = Settings(redis_url=SecretStr(own_redis.url), embedding_cache="redis")
    with own_redis.hung():
        assert levels(settings) == {"connection": "error"}
