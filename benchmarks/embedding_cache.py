"""The embedding cache in PostgreSQL and in Redis, beside bare redis-py with bytes that are ready.

The ways take turns, and each run has keys of its own. Redis is reached by TCP over loopback,
PostgreSQL by its socket.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray
from pydantic import SecretStr
from redis import Redis
from rich.table import Table

from benchmarks.common import console, new_database, number, timed
from benchmarks.common import server as own_server
from benchmarks.redis_server import PROGRAM, redis_server
from benchmarks.vectors import VectorSource
from greenlang_vectors.embedding.cache import PostgresCache
from greenlang_vectors.embedding.redis_cache import RedisCache, redis_at

HOUR = 3600
WAYS = ("PostgreSQL", "Redis", "bare redis-py")
PUT, GET, MISS = "put, none there yet", "get, all there", "get, none there"


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    counts: tuple[int, ...] = (1_000, 10_000)
    runs: int = 7
    dimensions: int = 384


Milliseconds = dict[tuple[int, str], list[list[float]]]
"""Of each of `WAYS`, run by run, by number of vectors and operation."""


class _Bare:
    """One MGET, one pipeline: no numpy, no batches, nothing is looked at."""

    def __init__(self, client: Redis, run: str, values: Mapping[str, bytes]) -> None:
        self._client = client
        self._run = run
        self._values = values

    def get(self, keys: Sequence[str]) -> object:
        return self._client.mget([f"bare:{self._run}:{key}" for key in keys])

    def put(self, embeddings: Mapping[str, NDArray[np.float32]]) -> None:
        pipeline = self._client.pipeline(transaction=False)
        for key in embeddings:
            pipeline.set(f"bare:{self._run}:{key}", self._values[key], ex=HOUR)
        pipeline.execute()


Cache = PostgresCache | RedisCache | _Bare


def measure(server_url: str, redis_url: str, sizes: Sizes) -> Milliseconds:
    """Put, get and miss so many vectors in each way."""
    database = new_database(server_url)
    redis = redis_at(SecretStr(redis_url))
    runs = [f"{run:032x}" for run in range(1 + sizes.runs)]
    taken: Milliseconds = {}
    with Redis.from_url(redis_url) as client, database.connect() as connection:
        for count in sizes.counts:
            vectors = VectorSource(dimensions=sizes.dimensions).take(count)
            kept = {_key(row): vector for row, vector in enumerate(vectors)}
            values = {key: vector.tobytes() for key, vector in kept.items()}
            ways: list[dict[str, Cache]] = [
                {run: PostgresCache(database.connection, run, HOUR) for run in runs},
                {run: RedisCache(redis, run, sizes.dimensions, HOUR) for run in runs},
                {run: _Bare(client, run, values) for run in runs},
            ]
            for operation, work in _operations(kept).items():
                taken[count, operation] = _timed(runs, ways, work)
            for way in ways[:2]:
                found = way[runs[-1]].get([*kept])
                assert isinstance(found, dict)
                assert len(found) == count
            client.flushdb()
            connection.execute("TRUNCATE embedding_cache")
    database.close()
    return taken


def _operations(
    kept: Mapping[str, NDArray[np.float32]],
) -> dict[str, Callable[[Cache], object]]:
    there, absent = list(kept), [_key(len(kept) + row) for row in range(len(kept))]
    return {
        PUT: lambda cache: cache.put(kept),
        GET: lambda cache: cache.get(there),
        MISS: lambda cache: cache.get(absent),
    }


def _timed(
    runs: Sequence[str], ways: Sequence[Mapping[str, Cache]], work: Callable[[Cache], object]
) -> list[list[float]]:
    """Milliseconds of each way, run by run; the first run is not counted."""

    def of(way: Mapping[str, Cache]) -> Callable[[str], object]:
        return lambda run: work(way[run])

    return [taken[1:] for taken in timed(runs, *map(of, ways), warming=0)]


def _key(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def main() -> None:
    """Print a table; RUNS sets how often the ways take turns."""
    if PROGRAM is None:
        console.print("embedding cache: redis-server is not on this machine (apt install it)")
        return
    sizes = Sizes(runs=number("RUNS", Sizes.runs))
    with own_server() as server_url, redis_server() as redis:
        redis.start()
        taken = measure(server_url, redis.url, sizes)
    table = Table(
        "vectors",
        "operation",
        title=f"embedding cache: {sizes.dimensions} dimensions, median of {sizes.runs} runs, ms",
    )
    for way in WAYS:
        table.add_column(way, justify="right")
    for way in WAYS[:2]:
        table.add_column(f"{way} / bare", justify="right")
    for (count, operation), (postgres, ours, bare) in taken.items():
        table.add_row(
            f"{count:,}",
            operation,
            *(f"{median(each):,.1f}" for each in (postgres, ours, bare)),
            *(_ratio(each, bare) for each in (postgres, ours)),
        )
    console.print(table)


def _ratio(ours: Sequence[float], bare: Sequence[float]) -> str:
    """The median of the ratios within a run."""
    return f"{median(one / other for one, other in zip(ours, bare, strict=True)):.2f}"
