"""Embeddings kept in Redis until they expire, for all processes that share it (PRD 7.1).

A Redis that is down or hangs costs little: nobody waits for an answer longer than a second, and
after a failure it is left alone for a while.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import SecretStr
from redis import BlockingConnectionPool, Redis
from redis.exceptions import ReadOnlyError, RedisError, ResponseError

from greenlang_vectors.errors import UsageError, said

logger = logging.getLogger(__name__)

PREFIX = "greenlang:embedding"
"""Keys are PREFIX:FINGERPRINT:CONTENT_HASH."""

STORED = np.dtype("<f4")
"""A value is nothing but the vector's numbers."""

BATCH_BYTES = 2**20
"""Vectors read or written in one step: Redis does nothing else meanwhile."""

CONNECTIONS = 8
"""Of one process; further threads wait for one."""

ANSWER_SECONDS = 1.0
"""How long connecting, an answer, or a free connection may take."""

PAUSE_SECONDS = 30.0
"""How long a Redis that did not answer is left alone; then one caller tries it."""

Way = Literal["read", "write"]


class GuardedRedis:
    """One Redis whose failures are warnings; safe to call from several threads.

    Args:
        url: redis://, rediss:// (TLS) or unix://, with redis-py's options as its query.

    Raises:
        UsageError: the URL cannot be used.
    """

    def __init__(self, url: SecretStr) -> None:
        try:
            pool = BlockingConnectionPool.from_url(
                url.get_secret_value(),
                max_connections=CONNECTIONS,
                timeout=ANSWER_SECONDS,
                socket_connect_timeout=ANSWER_SECONDS,
                socket_timeout=ANSWER_SECONDS,
            )
            pool.connection_class(**pool.connection_kwargs)  # options that are none fail here
        except (ValueError, TypeError, RedisError) as error:
            raise UsageError(
                f"GREENLANG_REDIS_URL cannot be used ({type(error).__name__}).",
                "Write redis://HOST:6379/0, or rediss:// for TLS.",
            ) from None  # such an error may quote the URL
        self._client = Redis(connection_pool=pool)
        self._lock = threading.Lock()
        self._quiet_until = 0.0
        self._told: set[Way] = set()

    def attempt(self, way: Way, work: Callable[[Redis], None]) -> None:
        """Do the work unless Redis is left alone; warn once until this way works again."""
        if not self._may_be_asked():
            return
        try:
            work(self._client)
        except (RedisError, OSError, ValueError) as error:  # ValueError: a host that cannot be one
            self._failed(way, error)
        else:
            with self._lock:
                self._quiet_until = 0.0
                self._told.discard(way)

    def _may_be_asked(self) -> bool:
        """Once the pause is over one caller may, and the others wait for what becomes of it."""
        with self._lock:
            now = time.monotonic()
            if now < self._quiet_until:
                return False
            if self._quiet_until:
                self._quiet_until = now + PAUSE_SECONDS
            return True

    def _failed(self, way: Way, error: Exception) -> None:
        """An answer that says no (memory is full, no right) stops this way alone, and no pause."""
        answered = isinstance(error, ResponseError)
        with self._lock:
            told = way in self._told
            self._told = {"read", "write"}
            self._quiet_until = 0.0 if answered else time.monotonic() + PAUSE_SECONDS
        if isinstance(error, ReadOnlyError):  # another node is the primary now: connect anew
            self._client.connection_pool.disconnect(inuse_connections=False)
        if not told:
            logger.warning(
                "The embedding cache in Redis does not work; going on without it: %s", said(error)
            )


class RedisCache:
    """An `EmbeddingCache` in Redis, which may forget earlier than it is told to.

    Args:
        fingerprint: what the embeddings are made with.
        dimensions: of each; a value of another length, or with numbers that are none, is not
            there.
        ttl_seconds: how long an embedding is kept after it was put.
    """

    def __init__(
        self, redis: GuardedRedis, fingerprint: str, dimensions: int, ttl_seconds: int
    ) -> None:
        self.fingerprint = fingerprint
        self._redis = redis
        self._dimensions = dimensions
        self._ttl_seconds = ttl_seconds

    def get(self, keys: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """See `EmbeddingCache.get`."""
        found: dict[str, NDArray[np.float32]] = {}

        def read(redis: Redis) -> None:
            for some in self._batches(list(keys)):
                values = redis.mget([self._name(key) for key in some])
                found.update(self._vectors(some, cast("list[bytes | None]", values)))

        if keys:
            self._redis.attempt("read", read)
        return found

    def put(self, embeddings: Mapping[str, NDArray[np.float32]]) -> None:
        """See `EmbeddingCache.put`; what is there already lives longer."""

        def write(redis: Redis) -> None:
            for some in self._batches(list(embeddings)):
                pipeline = redis.pipeline(transaction=False)
                for key in some:
                    value = embeddings[key].astype(STORED).tobytes()
                    pipeline.set(self._name(key), value, ex=self._ttl_seconds)
                for answer in pipeline.execute(raise_on_error=False):
                    if isinstance(answer, RedisError):
                        raise answer

        if embeddings and self._ttl_seconds > 0:
            self._redis.attempt("write", write)

    def _name(self, key: str) -> str:
        return f"{PREFIX}:{self.fingerprint}:{key}"

    def _batches(self, keys: list[str]) -> Iterator[list[str]]:
        size = max(1, BATCH_BYTES // (STORED.itemsize * self._dimensions))
        for start in range(0, len(keys), size):
            yield keys[start : start + size]

    def _vectors(
        self, keys: Sequence[str], values: Sequence[bytes | None]
    ) -> dict[str, NDArray[np.float32]]:
        length = STORED.itemsize * self._dimensions
        whole = {
            key: value
            for key, value in zip(keys, values, strict=True)
            if isinstance(value, bytes) and len(value) == length
        }
        numbers = np.frombuffer(b"".join(whole.values()), STORED).astype(np.float32)
        vectors = numbers.reshape(len(whole), self._dimensions)
        there = list(whole)
        return {there[row]: vectors[row] for row in np.flatnonzero(np.isfinite(vectors).all(1))}


_opening = threading.Lock()


def redis_at(url: SecretStr) -> GuardedRedis:
    """The Redis at this URL, one for all caches of the process.

    Raises:
        UsageError: the URL cannot be used.
    """
    with _opening:
        return _redis_at(url)


@lru_cache
def _redis_at(url: SecretStr) -> GuardedRedis:
    return GuardedRedis(url)
