"""Building an index of each kind over one leaf: time, size, recall; beside a plain CREATE INDEX.

Both builds of HNSW run over the same rows with the same settings, memory and workers, in turn.
The one without more is PostgreSQL's statement, which locks out writers meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql
from rich.table import Table

from benchmarks.common import MIB, checkpoint, console, new_database, number
from benchmarks.common import server as own_server
from benchmarks.rows import fill, new_leaf, number_of
from benchmarks.vectors import VectorSource
from greenlang_vectors.search.nearest import nearest
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import indexes
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.index_settings import IndexSettings
from greenlang_vectors.store.leaves import Leaf, drop_leaf
from greenlang_vectors.store.maintenance import maintain
from greenlang_vectors.store.segments import on_leaf

K = 10
HNSW = IndexSettings(m=16, ef_construction=200)
KINDS = {
    "HNSW, vector": HNSW,
    "HNSW, halfvec": IndexSettings(storage="halfvec", m=16, ef_construction=200),
    "HNSW, bit, ranked again": IndexSettings(storage="bit", m=16, ef_construction=200),
    "IVFFlat, vector": IndexSettings(kind="ivfflat"),
}
EF_SEARCH = (40, 80, 120, 200)


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured."""

    rows: int = 200_000
    queries: int = 300
    repetitions: int = 2
    dimensions: int = 384


@dataclass(frozen=True, slots=True)
class Searched:
    """Searches of one breadth: recall@10 and the median time."""

    recall: float
    p50_ms: float


@dataclass(frozen=True, slots=True)
class Built:
    """One kind of index: the last of its builds, and searches by ef_search (0: no such setting).

    Attributes:
        seconds: of every build of the index itself, as the index manager notes them.
        plain_seconds: of as many plain CREATE INDEX; none but for HNSW of vectors.
    """

    seconds: list[float]
    plain_seconds: list[float]
    size_bytes: int
    searched: dict[int, Searched]


def measure(server_url: str, sizes: Sizes) -> dict[str, Built]:
    """Every kind in turn, each in a leaf of its own."""
    database = new_database(server_url)
    vectors = VectorSource(1, dimensions=sizes.dimensions).take(sizes.rows)
    queries = VectorSource(2, dimensions=sizes.dimensions).take(sizes.queries)
    exact = _exact(vectors, queries)
    built = {}
    with database.connect() as connection:
        for place, (title, settings) in enumerate(KINDS.items()):
            leaf = new_leaf(connection, sizes.dimensions, namespace=f"bench{place}", index=settings)
            fill(connection, leaf, vectors)
            took: list[float] = []
            plain: list[float] = []
            for _ in range(sizes.repetitions if settings is HNSW else 1):
                if settings is HNSW:
                    checkpoint(server_url)
                    plain.append(_plain_build(connection, leaf))
                for index in on_leaf(connection, leaf):
                    indexes.drop(connection, index.name)
                checkpoint(server_url)
                took.append(_build(database, leaf))
            [found] = [index for index in on_leaf(connection, leaf) if index.last is not None]
            searched = {
                ef_search: _searched(connection, leaf, settings, ef_search, queries, exact)
                for ef_search in (EF_SEARCH if settings.kind == "hnsw" else (0,))
            }
            built[title] = Built(took, plain, found.size_bytes, searched)
            drop_leaf(connection, leaf)
    database.close()
    return built


def _build(database: Database, leaf: Leaf) -> float:
    """Seconds the index manager's last build took."""
    maintain(database, leaf, Settings(profile="staging"))
    with database.connect() as connection:
        row = connection.execute(
            "SELECT seconds FROM index_builds WHERE namespace = %s"
            " ORDER BY finished_at DESC LIMIT 1",
            [leaf.namespace],
        ).fetchone()
    assert row is not None
    return float(row[0])


def _plain_build(connection: psycopg.Connection, leaf: Leaf) -> float:
    settings = Settings()
    connection.execute(
        "SELECT set_config('maintenance_work_mem', %s, false),"
        " set_config('max_parallel_maintenance_workers', %s, false)",
        [f"{settings.index_build_memory_mb}MB", str(settings.index_build_workers)],
    )
    statement = sql.SQL(
        "CREATE INDEX plain ON {} USING hnsw ((embedding::vector({})) vector_cosine_ops)"
        " WITH (m = {}, ef_construction = {})"
    ).format(
        leaf.table,
        sql.Literal(leaf.dimensions),
        sql.Literal(HNSW.m),
        sql.Literal(HNSW.ef_construction),
    )
    began = time.perf_counter()
    connection.execute(statement)
    took = time.perf_counter() - began
    connection.execute("DROP INDEX plain")
    return took


def _exact(vectors: NDArray[np.float32], queries: NDArray[np.float32]) -> list[set[int]]:
    """Numbers of the nearest rows of each query."""
    similarities = queries @ vectors.T
    return [set(row.tolist()) for row in np.argpartition(-similarities, K, axis=1)[:, :K]]


def _searched(
    connection: psycopg.Connection,
    leaf: Leaf,
    settings: IndexSettings,
    ef_search: int,
    queries: NDArray[np.float32],
    exact: list[set[int]],
) -> Searched:
    took, hits = [], 0
    for query, right in zip(queries, exact, strict=True):
        began = time.perf_counter()
        found = nearest(
            connection, leaf, query, K, index=settings, ef_search=ef_search or None
        ).candidates
        took.append(time.perf_counter() - began)
        hits += len(right & {number_of(each.document_id, each.chunk_index) for each in found})
    return Searched(recall=hits / K / len(exact), p50_ms=median(took) * 1000)


def main() -> None:
    """Print what each kind costs and finds; ROWS sets how many rows."""
    sizes = Sizes(rows=number("ROWS", Sizes().rows))
    with own_server() as server_url:
        built = measure(server_url, sizes)
    _print_builds(sizes, built)
    _print_searches(built)
    vector, half = built["HNSW, vector"], built["HNSW, halfvec"]
    ratios = [a / b for a, b in zip(vector.seconds, vector.plain_seconds, strict=True)]
    loss = max(
        vector.searched[ef_search].recall - half.searched[ef_search].recall
        for ef_search in EF_SEARCH
    )
    console.print(
        f"index manager over plain CREATE INDEX: {median(ratios):.2f} of the time (target 1.05)\n"
        f"halfvec: {1 - half.size_bytes / vector.size_bytes:.0%} smaller (target 40%), recall@10"
        f" lower by at most {loss:.4f} (target 0.005)"
    )


def _print_builds(sizes: Sizes, built: dict[str, Built]) -> None:
    table = Table("index", title=f"building over {sizes.rows:,} x {sizes.dimensions}")
    for column in ("seconds", "rows a second", "MiB", "of the vector's"):
        table.add_column(column, justify="right")
    whole = built["HNSW, vector"].size_bytes
    for name, seconds, size in _builds(built):
        table.add_row(
            name,
            f"{median(seconds):.1f}",
            f"{sizes.rows / median(seconds):,.0f}",
            f"{size / MIB:,.0f}",
            f"{size / whole:.2f}",
        )
    console.print(table)


def _builds(built: dict[str, Built]) -> Iterator[tuple[str, list[float], int]]:
    for title, each in built.items():
        yield title, each.seconds, each.size_bytes
        if each.plain_seconds:
            yield "the same by plain CREATE INDEX", each.plain_seconds, each.size_bytes


def _print_searches(built: dict[str, Built]) -> None:
    table = Table("index", title="searching it: recall@10, median ms")
    for ef_search in EF_SEARCH:
        table.add_column(f"ef_search {ef_search}", justify="right")
    for title, each in built.items():
        cells = [f"{s.recall:.3f}  {s.p50_ms:5.1f}" for s in each.searched.values()]
        table.add_row(title, *cells)
    console.print(table)
