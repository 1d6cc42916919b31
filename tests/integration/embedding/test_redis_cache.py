"""The embedding cache in a real Redis."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from pydantic import SecretStr
from redis import Redis

from benchmarks.redis_server import RedisServer
from greenlang_vectors.embedding import redis_cache
from greenlang_vectors.embedding.cache import PostgresCache, open_cache
from greenlang_vectors.embedding.opening import open_embedder
from greenlang_vectors.embedding.redis_cache import CONNECTIONS, GuardedRedis, RedisCache
from greenlang_vectors.service import BlockingEmbeddingService, EmbeddingConfig, EmbeddingRequest
from greenlang_vectors.settings import Settings
from greenlang_vectors.store.database import Database

from ...replication import until
from ...tls_server import Authority
from ...unit.embedding.openai_server import KEY, MODEL, OpenAIServer, serving
from .vectors import Vectors, equal, some

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("redis")]

HOUR = 3600


@pytest.fixture
def redis(running_redis: RedisServer) -> Iterator[Redis]:
    """A client of its own, of a Redis that is empty."""
    with Redis.from_url(running_redis.url) as client:
        client.flushall()
        client.config_resetstat()
        yield client


@pytest.fixture
def url(running_redis: RedisServer) -> SecretStr:
    return SecretStr(running_redis.url)


def cache_of(url: SecretStr, fingerprint: str = "f", ttl: int = HOUR) -> RedisCache:
    return RedisCache(GuardedRedis(url), fingerprint, 384, ttl)


def name(key: str, fingerprint: str = "f") -> str:
    return f"greenlang:embedding:{fingerprint}:{key}"


def calls(redis: Redis, command: str) -> int:
    return redis.info("commandstats")[f"cmdstat_{command}"]["calls"]


def test_vectors_come_back_bit_for_bit_in_batches(
    redis: Redis, url: SecretStr, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_cache, "BATCH_BYTES", 64 * 384 * 4)
    kept = some(500)
    cache_of(url).put(kept)
    found = cache_of(url).get([*kept, "0" * 64])
    assert equal(found, kept)
    assert {vector.dtype for vector in found.values()} == {np.dtype(np.float32)}
    assert calls(redis, "mget") == 8
    assert calls(redis, "set") == 500


def test_only_what_is_asked_for_comes_back(url: SecretStr) -> None:
    kept = some(3)
    cache = cache_of(url)
    cache.put(kept)
    first = next(iter(kept))
    assert list(cache.get([first])) == [first]
    assert cache.get([]) == {}


def test_other_fingerprints_are_other_caches(url: SecretStr) -> None:
    kept, other = some(3), some(3, seed=1)
    cache_of(url, "f").put(kept)
    cache_of(url, "g").put(other)
    assert equal(cache_of(url, "f").get(list(kept)), kept)
    assert equal(cache_of(url, "g").get(list(kept)), other)


def test_a_value_is_the_vectors_bytes_and_expires(redis: Redis, url: SecretStr) -> None:
    [(key, vector)] = some(1).items()
    cache_of(url).put({key: vector})
    assert redis.keys() == [name(key).encode()]
    assert redis.get(name(key)) == vector.astype("<f4").tobytes()
    assert HOUR - 10 < redis.ttl(name(key)) <= HOUR
    redis.pexpire(name(key), 1)
    until(lambda: not redis.exists(name(key)))
    assert cache_of(url).get([key]) == {}


def test_putting_again_replaces_and_lives_longer(redis: Redis, url: SecretStr) -> None:
    cache_of(url, ttl=60).put(some(4))
    newer = some(4, seed=1)
    cache_of(url).put(newer)
    assert equal(cache_of(url).get(list(newer)), newer)
    assert min(redis.ttl(key) for key in redis.scan_iter()) > 60


def test_what_is_kept_for_no_time_is_not_put(
    redis: Redis, url: SecretStr, caplog: pytest.LogCaptureFixture
) -> None:
    cache_of(url, ttl=0).put(some(2))
    assert redis.dbsize() == 0
    assert caplog.records == []


@pytest.mark.parametrize(
    "value",
    [b"", b"garbage", bytes(4 * 383), bytes(4 * 385), np.full(384, np.nan, "<f4").tobytes()],
    ids=["empty", "garbage", "short", "long", "not numbers"],
)
def test_a_value_that_is_no_such_vector_is_not_there(
    redis: Redis, url: SecretStr, value: bytes
) -> None:
    kept = some(3)
    cache = cache_of(url)
    cache.put(kept)
    spoilt, *whole = kept
    redis.set(name(spoilt), value)
    assert list(cache.get(list(kept))) == whole
    cache.put({spoilt: kept[spoilt]})
    assert equal(cache.get(list(kept)), kept)


def test_a_key_of_another_type_is_not_there_and_replaced(redis: Redis, url: SecretStr) -> None:
    kept = some(1)
    redis.rpush(name(next(iter(kept))), "one", "two")
    assert cache_of(url).get(list(kept)) == {}
    cache_of(url).put(kept)
    assert equal(cache_of(url).get(list(kept)), kept)


def test_threads_share_few_connections(
    redis: Redis, url: SecretStr, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_cache, "ANSWER_SECONDS", 20)
    kept = some(50)
    cache_of(url).put(kept)
    made = GuardedRedis(url)

    def ask(_: int) -> Vectors:
        return RedisCache(made, "f", 384, HOUR).get(list(kept))

    before = int(redis.info("stats")["total_connections_received"])
    with ThreadPoolExecutor(24) as pool:
        assert all(equal(found, kept) for found in pool.map(ask, range(200)))
    assert int(redis.info("stats")["total_connections_received"]) - before <= CONNECTIONS


def test_a_full_redis_still_gives_what_it_has(
    redis: Redis, url: SecretStr, caplog: pytest.LogCaptureFixture
) -> None:
    kept, more = some(2), some(4)
    cache = cache_of(url)
    cache.put(kept)
    redis.config_set("maxmemory", 1)
    try:
        with caplog.at_level(logging.WARNING):
            for _ in range(3):
                cache.put(more)
                assert equal(cache.get(list(more)), kept)
    finally:
        redis.config_set("maxmemory", 0)
    assert len(caplog.records) == 1
    assert "maxmemory" in caplog.text
    cache.put(more)
    assert equal(cache.get(list(more)), more)


def test_after_a_failover_it_connects_anew(
    redis: Redis, url: SecretStr, caplog: pytest.LogCaptureFixture
) -> None:
    cache = cache_of(url)
    cache.put(some(1))
    before = {client["id"] for client in redis.client_list()}
    redis.replicaof("127.0.0.1", 9)
    try:
        with caplog.at_level(logging.WARNING):
            cache.put(some(2))
    finally:
        redis.replicaof("NO", "ONE")
    assert "read only replica" in caplog.text
    cache.put(some(2))
    assert len(before & {client["id"] for client in redis.client_list()}) == 1
    assert equal(cache.get(list(some(2))), some(2))


def test_a_password_lets_in_and_is_not_told(
    own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    own_redis.start("requirepass let-me-in", "user writer on >open ~greenlang:* +@all -get -mget")

    def at(login: str) -> SecretStr:
        return SecretStr(own_redis.url.replace("//", f"//{login}@"))

    kept = some(2)
    cache_of(at(":let-me-in")).put(kept)
    assert equal(cache_of(at("default:let-me-in")).get(list(kept)), kept)
    with caplog.at_level(logging.WARNING):
        assert cache_of(at(":wrong-word")).get(list(kept)) == {}
        assert cache_of(SecretStr(own_redis.url)).get(list(kept)) == {}
        assert cache_of(at("writer:open")).get(list(kept)) == {}
    assert len(caplog.records) == 3
    assert [word for word in ("let-me-in", "wrong-word", ":open@") if word in caplog.text] == []


def test_tls_is_spoken_and_the_certificate_looked_at(
    own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    ours, other = Authority("ours"), Authority("other")
    key, certificate = ours.certify("127.0.0.1")
    files = {"key": key, "certificate": certificate, "ours": ours.pem, "other": other.pem}
    for file, content in files.items():
        (own_redis.folder / file).write_bytes(content)
    own_redis.start(
        f"port 0\ntls-port {own_redis.port}\ntls-auth-clients no",
        "tls-key-file key\ntls-cert-file certificate\ntls-ca-cert-file ours",
    )

    def at(authority: str) -> SecretStr:
        secure = own_redis.url.replace("redis:", "rediss:")
        return SecretStr(f"{secure}?ssl_ca_certs={own_redis.folder / authority}")

    kept = some(2)
    cache_of(at("ours")).put(kept)
    assert equal(cache_of(at("ours")).get(list(kept)), kept)
    with caplog.at_level(logging.WARNING):
        assert cache_of(at("other")).get(list(kept)) == {}
    assert "certificate verify failed" in caplog.text


# As the product opens it


@pytest.fixture
def settings(url: SecretStr) -> Iterator[Settings]:
    with serving(OpenAIServer()) as server:
        yield Settings(
            embedding_cache="redis",
            redis_url=url,
            openai_api_key=KEY,
            openai_base_url=server.url,
        )


def test_an_embedder_finds_what_it_kept_until_redis_is_emptied(
    redis: Redis, database: Database, settings: Settings
) -> None:
    def hits(*texts: str) -> tuple[int, int]:
        opened = open_embedder(database, MODEL, cache_seconds=HOUR, settings=settings)
        counts = opened.embed(texts).counts
        return counts.cache_hits, counts.model_texts

    assert hits("one", "three") == (0, 2)
    assert hits("three", "one", "seventeen") == (2, 1)
    redis.flushall()
    assert hits("one", "three") == (0, 2)
    assert hits("one", "three") == (2, 0)


def test_vectors_that_left_the_store_are_found_behind_it(
    database: Database, settings: Settings
) -> None:
    left, made = some(2), some(4, seed=1)
    table = PostgresCache(database.connection, "f", HOUR)
    table.put(left)
    cache = open_cache(database, "f", 384, HOUR, settings)
    assert equal(cache.get(list(made)), left)
    cache.put(made)
    assert equal(cache.get(list(made)), made)
    assert equal(table.get(list(made)), left)


def test_the_service_caches_as_it_is_configured(
    redis: Redis, database: Database, settings: Settings
) -> None:
    def embed(**given: Any) -> None:  # noqa: ANN401 - any field
        config = EmbeddingConfig(MODEL, 1536, **given)
        with BlockingEmbeddingService(database, settings, config) as service:
            service.embed(EmbeddingRequest(["one", "three"]))

    embed(cache_enabled=False)
    assert redis.dbsize() == 0
    embed(cache_ttl=60)
    assert [0 < redis.ttl(key) <= 60 for key in redis.scan_iter()] == [True, True]
