"""Nearest neighbours in one leaf: the one place that orders by distance (PRD 8.1.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql

from greenlang_vectors.store.embeddings import Leaf

MAX_EF_SEARCH = 1000
"""pgvector's upper bound of `hnsw.ef_search`."""

Plan = Literal["auto", "index", "exact"]
"""Who finds the neighbours: what the planner prefers (in a small leaf a scan of all is faster),
the HNSW index where there is one, or a comparison with every embedding."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An embedding and its cosine distance to the query, in [0, 2]."""

    document_id: UUID
    chunk_index: int
    distance: float


def nearest(
    connection: psycopg.Connection,
    leaf: Leaf,
    query: NDArray[np.float32],
    k: int,
    *,
    ef_search: int,
    plan: Plan = "auto",
) -> list[Neighbour]:
    """The k nearest embeddings by cosine distance, ties broken by document and chunk.

    `hnsw.ef_search` is set for this transaction alone, and is never below k; where the graph
    yields fewer than k rows, the scan goes on.

    Args:
        query: shape (leaf.dimensions,).
        ef_search: breadth of the search in the graph.
        plan: other than "auto" is for measuring one way against the other.
    """
    statement = sql.SQL(
        """
        SELECT source_id, chunk_index, distance FROM (
            SELECT source_id, chunk_index,
                   embedding::vector({dimensions}) <=> %(query)s::vector({dimensions}) AS distance
            FROM vector_embeddings
            WHERE namespace = %(namespace)s AND embedding_model = %(model)s
            ORDER BY (embedding::vector({dimensions}) <=> %(query)s::vector({dimensions})) {exactly}
            LIMIT %(k)s
        ) nearest
        ORDER BY distance, source_id, chunk_index
        """
    ).format(
        dimensions=sql.Literal(leaf.dimensions),
        exactly=sql.SQL("+ 0" if plan == "exact" else ""),  # no index orders by a sum
    )
    with connection.transaction():
        connection.execute(
            """
            SELECT set_config('hnsw.ef_search', %s, true),
                   set_config('hnsw.iterative_scan', 'strict_order', true),
                   set_config('enable_seqscan', %s, true),
                   set_config('enable_bitmapscan', %s, true),
                   set_config('enable_sort', %s, true)
            """,
            [
                str(min(max(ef_search, k), MAX_EF_SEARCH)),
                *(["off" if plan == "index" else "on"] * 3),
            ],
        )
        rows = connection.execute(
            statement,
            {"query": query, "namespace": leaf.namespace, "model": leaf.model, "k": k},
            prepare=False if plan == "index" else None,  # a prepared statement keeps its plan
        )
        return [Neighbour(*row) for row in rows]
