"""Embeddings kept by the hash of their text, so that the same text is embedded once (PRD 7.1).

A cache is opened for one fingerprint (model, revision and settings, `ModelSpec.fingerprint`).
It only saves time: one that fails is a warning in the log, never an error.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import numpy as np
import psycopg
from numpy.typing import NDArray

from greenlang_vectors.errors import DatabaseUnavailable, UsageError
from greenlang_vectors.settings import Settings
from greenlang_vectors.store.database import Database

logger = logging.getLogger(__name__)


class EmbeddingCache(Protocol):
    """A store of embeddings by content hash; none of its methods raises."""

    @property
    def fingerprint(self) -> str:
        """What all its embeddings were made with."""
        ...

    def get(self, keys: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """The embeddings that are there, by content hash; each has shape (dimensions,)."""
        ...

    def put(self, embeddings: Mapping[str, NDArray[np.float32]]) -> None:
        """Keep the embeddings, by content hash."""
        ...


def open_cache(
    database: Database, fingerprint: str, dimensions: int, ttl_seconds: int, settings: Settings
) -> EmbeddingCache:
    """The cache that the settings choose, opened for this fingerprint.

    Where it is Redis, the database's stands behind: vectors of passages that leave the store go
    there, in the transaction in which they leave.

    Raises:
        UsageError: it is to be Redis, and GREENLANG_REDIS_URL names none that can be used.
    """
    table = PostgresCache(database.connection, fingerprint, ttl_seconds)
    if settings.embedding_cache == "postgres":
        return table
    if settings.redis_url is None:
        raise UsageError(
            "GREENLANG_EMBEDDING_CACHE is redis, but GREENLANG_REDIS_URL is not set.",
            "Set it to redis://HOST:6379/0, or let the cache be postgres.",
        )
    from greenlang_vectors.embedding.redis_cache import (  # noqa: PLC0415 - where it is set only
        RedisCache,
        redis_at,
    )

    redis = redis_at(settings.redis_url)
    return TieredCache(RedisCache(redis, fingerprint, dimensions, ttl_seconds), table)


class TieredCache:
    """A quick cache before another, which is asked only for what the first one lacks.

    What is put goes to the first one.
    """

    def __init__(self, first: EmbeddingCache, behind: EmbeddingCache) -> None:
        self.fingerprint = first.fingerprint
        self._first = first
        self._behind = behind

    def get(self, keys: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """See `EmbeddingCache.get`."""
        found = self._first.get(keys)
        return found | self._behind.get([key for key in keys if key not in found])

    def put(self, embeddings: Mapping[str, NDArray[np.float32]]) -> None:
        """See `EmbeddingCache.put`."""
        self._first.put(embeddings)


class PostgresCache:
    """The cache in the table `embedding_cache`.

    Args:
        connect: gives a connection with pgvector's types registered, such as
            `Database.connection`.
        fingerprint: what the embeddings are made with.
        ttl_seconds: how long an embedding is kept after it was put.
    """

    def __init__(
        self,
        connect: Callable[[], AbstractContextManager[psycopg.Connection]],
        fingerprint: str,
        ttl_seconds: int,
    ) -> None:
        self.fingerprint = fingerprint
        self._connect = connect
        self._ttl_seconds = ttl_seconds
        self._failing = False

    def get(self, keys: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """See `EmbeddingCache.get`; what has expired is not there."""
        if not keys:
            return {}
        found: dict[str, NDArray[np.float32]] = {}

        def select(connection: psycopg.Connection) -> None:
            cursor = connection.cursor(binary=True).execute(
                """
                SELECT content_hash, vector_send(embedding) FROM embedding_cache
                WHERE fingerprint = %s AND content_hash = ANY(%s::bpchar[]) AND expires_at > now()
                """,
                [self.fingerprint, list(keys)],
            )
            for key, sent in cursor:
                # pgvector sends two 16-bit integers (dimensions, 0), then big-endian float32.
                found[key] = np.frombuffer(sent, dtype=">f4", offset=4).astype(np.float32)

        self._attempt(select)
        return found

    def put(self, embeddings: Mapping[str, NDArray[np.float32]]) -> None:
        """See `EmbeddingCache.put`; what is there already lives longer.

        Rows are written in the order of their keys, so that two writers cannot deadlock.
        """
        if not embeddings:
            return

        def upsert(connection: psycopg.Connection) -> None:
            connection.execute(
                """
                INSERT INTO embedding_cache (fingerprint, content_hash, embedding, expires_at)
                SELECT %s, new.key, new.embedding, now() + make_interval(secs => %s)
                FROM unnest(%s::bpchar[], %b::vector[]) AS new (key, embedding)
                ORDER BY new.key
                ON CONFLICT (fingerprint, content_hash) DO UPDATE
                SET embedding = EXCLUDED.embedding, expires_at = EXCLUDED.expires_at
                """,
                [
                    self.fingerprint,
                    self._ttl_seconds,
                    list(embeddings),
                    list(embeddings.values()),
                ],
            )

        self._attempt(upsert)

    def prune(self) -> int:
        """Delete what has expired, of every model; return the number of rows."""
        deleted = 0

        def delete(connection: psycopg.Connection) -> None:
            nonlocal deleted
            deleted = connection.execute(
                "DELETE FROM embedding_cache WHERE expires_at <= now()"
            ).rowcount

        self._attempt(delete)
        return deleted

    def _attempt(self, work: Callable[[psycopg.Connection], None]) -> None:
        """Do the work if the database lets us; warn once until it works again."""
        try:
            with self._connect() as connection:
                work(connection)
        except (psycopg.Error, DatabaseUnavailable) as error:
            if not self._failing:
                logger.warning("The embedding cache does not work; going on without it: %s", error)
            self._failing = True
        else:
            self._failing = False
