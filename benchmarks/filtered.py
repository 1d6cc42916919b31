"""Searching under filters that half to a thousandth of the rows pass, and without one.

Every row says in its metadata into which part of 2, 10, 100 and 1000 it falls, at random: parts
have nothing to do with vectors, nor with where rows lie. Without a filter the same statement with
the same setting runs through bare psycopg, in turn with `nearest`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import numpy as np
import psycopg
from numpy.typing import NDArray
from rich.table import Table

from benchmarks.common import console, new_database, number, timed
from benchmarks.common import server as own_server
from benchmarks.rows import FINGERPRINT, new_leaf, number_of, row
from benchmarks.vectors import VectorSource
from greenlang_vectors.search import selectivity
from greenlang_vectors.search.filters import Filter, parse
from greenlang_vectors.search.model import Found
from greenlang_vectors.search.nearest import nearest
from greenlang_vectors.search.statements import search_statement
from greenlang_vectors.settings import Settings
from greenlang_vectors.store.index_settings import IndexSettings
from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.maintenance import maintain
from greenlang_vectors.store.segments import cover, on_leaf
from greenlang_vectors.store.writing import write

K = 10
INDEX = IndexSettings(m=16, ef_construction=200, ef_search=100)
"""PRD 5.2.1, staging."""
PARTS = (2, 10, 100, 1000)
BATCH = 10_000

Vectors = NDArray[np.float32]
Search = Callable[[Vectors], object]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured."""

    rows: int = 200_000
    queries: int = 300
    dimensions: int = 384


@dataclass(frozen=True, slots=True)
class Filtered:
    """Searches under a filter that one of so many rows passes.

    Attributes:
        fewest: rows of the search that returned fewest.
        milliseconds: of every search with a filter that was asked before.
        new_p50_ms: where each search looks first how many rows pass.
    """

    parts: int
    fewest: int
    recall: float
    milliseconds: list[float]
    new_p50_ms: float
    plan: str


@dataclass(frozen=True, slots=True)
class Measured:
    """All of them, and the median times without a filter."""

    filtered: list[Filtered]
    nearest_ms: float
    bare_ms: float


def measure(server_url: str, sizes: Sizes) -> Measured:
    """Fill one leaf, index it, and search it in every way."""
    database = new_database(server_url)
    vectors = VectorSource(1, dimensions=sizes.dimensions).take(sizes.rows)
    queries = VectorSource(2, dimensions=sizes.dimensions).take(sizes.queries)
    places = np.random.default_rng(3).permutation(sizes.rows)
    with database.connect() as connection:
        leaf = new_leaf(connection, sizes.dimensions, index=INDEX)
        for first in range(0, sizes.rows, BATCH):
            rows = [
                row(n)._replace(metadata=_metadata(int(places[n])))
                for n in range(first, min(first + BATCH, sizes.rows))
            ]
            part = vectors[first : first + len(rows)]
            write(connection, leaf, rows, part, fingerprint=FINGERPRINT)
        connection.execute("VACUUM ANALYZE vector_embeddings")
        maintain(database, leaf, Settings(profile="staging"))
        filtered = [
            _filtered(
                connection, leaf, parts, np.flatnonzero(places % parts == 0), vectors, queries
            )
            for parts in PARTS
        ]
        ours, bare = timed(
            list(queries),
            lambda query: nearest(connection, leaf, query, K, index=INDEX),
            _bare(connection, leaf),
            warming=len(queries),
        )
    database.close()
    return Measured(filtered, median(ours), median(bare))


def _metadata(place: int) -> dict[str, int | str]:
    return {"regulation": "CSRD", "language": "en"} | {f"of {p}": place % p for p in PARTS}


def _filtered(
    connection: psycopg.Connection,
    leaf: Leaf,
    parts: int,
    passing: NDArray[np.int64],
    vectors: Vectors,
    queries: Vectors,
) -> Filtered:
    filter: Filter = parse({"field": f'metadata."of {parts}"', "op": "eq", "value": 0})

    def ask(query: Vectors) -> Found:
        return nearest(connection, leaf, query, K, index=INDEX, filter=filter)

    new, hits, fewest = [], 0, K
    similarities = queries @ vectors[passing].T
    for query, similar in zip(queries, similarities, strict=True):
        selectivity.forget()
        began = time.perf_counter()
        found = ask(query)
        new.append((time.perf_counter() - began) * 1000)
        right = set(passing[np.argsort(-similar)[:K]].tolist())
        hits += len(right & {number_of(c.document_id, c.chunk_index) for c in found.candidates})
        fewest = min(fewest, len(found.candidates))
    [took] = timed(list(queries), ask, warming=len(queries))
    return Filtered(
        parts=parts,
        fewest=fewest,
        recall=hits / len(queries) / min(K, len(passing)),
        milliseconds=took,
        new_p50_ms=median(new),
        plan=found.plan,
    )


def _bare(connection: psycopg.Connection, leaf: Leaf) -> Search:
    """The statement of an unfiltered search, with the setting it needs and nothing else."""
    layout = cover(on_leaf(connection, leaf))
    statement = search_statement(leaf, INDEX, layout).as_bytes(connection)

    def search(query: Vectors) -> object:
        with connection.transaction():
            connection.execute(
                "SELECT set_config('hnsw.ef_search', %s, true)", [str(INDEX.ef_search)]
            )
            parameters = {"query": query, "k": K, "candidates": K}
            return connection.execute(statement, parameters).fetchall()

    return search


def main() -> None:
    """Print what filters cost and find; ROWS sets how many rows."""
    sizes = Sizes(rows=number("ROWS", Sizes().rows))
    with own_server() as server_url:
        measured = measure(server_url, sizes)
    table = Table(
        "rows that pass",
        title=f"top {K} of {sizes.rows:,} x {sizes.dimensions} under a filter on metadata",
    )
    for column in ("fewest rows", "recall@10", "p50 ms", "p99 ms", "p50 ms, new filter"):
        table.add_column(column, justify="right")
    table.add_column("plan")
    for each in measured.filtered:
        table.add_row(
            f"{1 / each.parts:.1%}",
            str(each.fewest),
            f"{each.recall:.3f}",
            f"{median(each.milliseconds):.1f}",
            f"{np.percentile(each.milliseconds, 99):.1f}",
            f"{each.new_p50_ms:.1f}",
            each.plan,
        )
    console.print(table)
    console.print(
        "targets: 10 rows, recall@10 0.95, p50 10 ms\n"
        f"without a filter: nearest {measured.nearest_ms:.2f} ms, the same SQL by bare psycopg"
        f" {measured.bare_ms:.2f} ms: {measured.nearest_ms / measured.bare_ms:.2f} times"
    )
