"""How many of the exact answers the index finds, and how fast it finds what it does."""

from __future__ import annotations

import time

import numpy as np
import psycopg
from numpy.typing import NDArray

from greenlang_vectors.search.nearest import Neighbour, Plan, nearest
from greenlang_vectors.store import leaves
from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.records import SearchQuality

TIE = 1e-6
"""Cosine distances that differ by less are the same."""


def sample_vectors(
    connection: psycopg.Connection, leaf: Leaf, count: int, seed: int
) -> NDArray[np.float32]:
    """Vectors drawn at random from the leaf, shape (min(count, rows), leaf.dimensions).

    Rows are taken in the order of a hash of their id: the same for the same rows and seed,
    wherever they lie on disk. Only ids are read in full, from the primary key.
    """
    rows = connection.execute(
        """
        SELECT embedding FROM vector_embeddings
        WHERE namespace = %(namespace)s AND embedding_model = %(model)s AND id = ANY(ARRAY(
            SELECT id FROM vector_embeddings
            WHERE namespace = %(namespace)s AND embedding_model = %(model)s
            ORDER BY uuid_hash_extended(id, %(seed)s), id LIMIT %(count)s))
        ORDER BY uuid_hash_extended(id, %(seed)s), id
        """,
        {"namespace": leaf.namespace, "model": leaf.model, "seed": seed, "count": count},
    )
    vectors = [row[0].to_numpy() for row in rows]
    return np.array(vectors, dtype=np.float32).reshape(-1, leaf.dimensions)


def measure(
    connection: psycopg.Connection,
    leaf: Leaf,
    queries: NDArray[np.float32],
    *,
    ef_search: int,
    k: int = 10,
) -> SearchQuality:
    """recall@k of the leaf's index against exact search, and the time of its searches.

    As in ann-benchmarks (Aumüller et al. 2020), an answer counts as found when it is no farther
    than the k-th exact one: among equally distant passages any will do. Where the leaf has fewer
    than k rows, recall is over those. Every query is asked once before any is timed.

    Args:
        queries: shape (n, leaf.dimensions), n >= 1.
        ef_search: breadth of the search in the graph.

    Raises:
        ValueError: there are no queries, or the leaf has no rows.
    """
    if not len(queries):
        raise ValueError("recall needs at least one query")

    index = leaves.index_settings(connection, leaf)

    def ask(query: NDArray[np.float32], plan: Plan) -> list[Neighbour]:
        return nearest(connection, leaf, query, k, index=index, ef_search=ef_search, plan=plan)

    exact = [ask(query, "exact") for query in queries]
    if not exact[0]:
        raise ValueError(f"the leaf {leaf.name} has no rows")
    found = [ask(query, "index") for query in queries]
    seconds = []
    for query in queries:
        start = time.perf_counter()
        ask(query, "index")
        seconds.append(time.perf_counter() - start)
    p50, p99 = np.percentile(np.array(seconds) * 1000, [50, 99])
    return SearchQuality(
        embedding_model=leaf.model,
        ef_search=ef_search,
        queries=len(queries),
        recall_at_10=float(np.mean([_recall(*pair) for pair in zip(found, exact, strict=True)])),
        latency_p50_ms=float(p50),
        latency_p99_ms=float(p99),
    )


def _recall(found: list[Neighbour], exact: list[Neighbour]) -> float:
    farthest = exact[-1].distance + TIE
    return sum(neighbour.distance <= farthest for neighbour in found) / len(exact)
