"""Nearest neighbours in one leaf: the one place that orders by distance (PRD 8.1.1).

A search visits every range of segments of the leaf (`store.segments`), each by its index or by
an exact scan, and merges what they find by exact distance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal
from uuid import UUID

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql

from greenlang_vectors.store.index_settings import IndexSettings, probes_of
from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.operators import exact_distance, index_distance
from greenlang_vectors.store.segments import Segment, cover, on_leaf

MAX_EF_SEARCH = 1000
"""pgvector's upper bound of `hnsw.ef_search`."""

DEFAULT_EF_SEARCH = 100
"""Where neither the caller nor the collection says (PRD 5.2.1, staging)."""

RERANKED = {"vector": 1, "halfvec": 2, "bit": 20}
"""Candidates fetched for each answer asked, by what the index stores: distances of what is
quantized are not exact, so more than k are ranked again at full precision."""

Plan = Literal["auto", "index", "exact"]
"""Who finds the neighbours: what the planner prefers (in a small leaf a scan of all is faster),
the indexes where there are any, or a comparison with every embedding."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An embedding and its distance to the query: cosine distance in [0, 2], Euclidean
    distance, or negative inner product."""

    document_id: UUID
    chunk_index: int
    distance: float


def nearest(
    connection: psycopg.Connection,
    leaf: Leaf,
    query: NDArray[np.float32],
    k: int,
    *,
    index: IndexSettings,
    ef_search: int | None = None,
    plan: Plan = "auto",
) -> list[Neighbour]:
    """The k nearest embeddings, ties broken by document and chunk.

    Settings hold for this transaction alone; `hnsw.ef_search` is never below what is fetched,
    and where an index yields fewer than k rows its scan goes on.

    Args:
        query: shape (leaf.dimensions,).
        index: of the leaf's collection: metric, storage and how wide to search.
        ef_search: breadth of the search in a graph; None for the collection's own.
        plan: other than "auto" is for measuring one way against the other.
    """
    layout = cover(on_leaf(connection, leaf)) if plan != "exact" else [Segment(0, None, None)]
    statement = search_statement(leaf, index, layout)
    candidates = min(RERANKED[index.storage] * k, max(k, MAX_EF_SEARCH))
    width = ef_search or index.ef_search or DEFAULT_EF_SEARCH
    with connection.transaction():
        connection.execute(
            """
            SELECT set_config('hnsw.ef_search', %s, true),
                   set_config('hnsw.iterative_scan', 'strict_order', true),
                   set_config('ivfflat.probes', %s, true),
                   set_config('ivfflat.iterative_scan', 'relaxed_order', true),
                   set_config('enable_seqscan', %s, true),
                   set_config('enable_bitmapscan', %s, true),
                   set_config('enable_sort', %s, true)
            """,
            [
                str(min(max(width, candidates), MAX_EF_SEARCH)),
                str(_probes(index, layout)),
                *(["off" if plan == "index" else "on"] * 3),
            ],
        )
        rows = connection.execute(
            statement,
            {"query": query, "k": k, "candidates": candidates},
            prepare=False if plan == "index" else None,  # a prepared statement keeps its plan
        )
        return [Neighbour(*row) for row in rows]


def search_statement(leaf: Leaf, index: IndexSettings, layout: Sequence[Segment]) -> sql.Composed:
    """The search over these ranges; its parameters are query, k and candidates."""
    return sql.SQL(
        """
        SELECT source_id, chunk_index, distance FROM ({branches}) nearest
        ORDER BY distance, source_id, chunk_index LIMIT %(k)s
        """
    ).format(
        branches=sql.SQL(" UNION ALL ").join(_branch(leaf, index, part) for part in layout),
    )


def _branch(leaf: Leaf, index: IndexSettings, part: Segment) -> sql.Composed:
    """The nearest of one range: by its index, or, as no index orders by a sum, by a scan."""
    distance = exact_distance(index, leaf.dimensions)
    if part.index is None:
        order, count = sql.SQL("({}) + 0").format(distance), sql.SQL("%(k)s")
    else:
        order = index_distance(replace(index, storage=part.index.storage), leaf.dimensions)
        count = sql.SQL("%(candidates)s")
    return sql.SQL(
        "(SELECT source_id, chunk_index, {distance} AS distance FROM {table} "
        "WHERE {condition} ORDER BY {order} LIMIT {count})"
    ).format(
        distance=distance,
        table=leaf.table,
        condition=part.condition(),
        order=order,
        count=count,
    )


def _probes(index: IndexSettings, layout: Sequence[Segment]) -> int:
    """Lists to search: the collection's own number, or what suits the largest index."""
    lists = max((part.index.lists or 1 for part in layout if part.index is not None), default=1)
    return index.probes or probes_of(lists)
