"""Nearest neighbours in one leaf: the one place that orders by distance (PRD 8.1.1, 8.1.2).

A search visits every range of segments of the leaf (`store.segments`), each by its index, its
cells or an exact scan, and merges what they find by exact distance.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg.pq import TransactionStatus

from greenlang_vectors.errors import UsageError
from greenlang_vectors.search import layouts, selectivity, ways
from greenlang_vectors.search.conditions import condition
from greenlang_vectors.search.filters import Filter, metadata_keys
from greenlang_vectors.search.layouts import Layout, Mark
from greenlang_vectors.search.model import Candidate, Found
from greenlang_vectors.search.statements import cells_parameter, search_statement
from greenlang_vectors.search.ways import Plan, Way
from greenlang_vectors.store.index_settings import IndexSettings
from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.segments import Segment

__all__ = ["DEFAULT_EF_SEARCH", "Plan", "nearest"]

DEFAULT_EF_SEARCH = 100
"""Where neither the caller nor the collection says (PRD 5.2.1, staging)."""


def nearest(
    connection: psycopg.Connection,
    leaf: Leaf,
    query: NDArray[np.float32],
    k: int,
    *,
    index: IndexSettings,
    ef_search: int | None = None,
    plan: Plan = "auto",
    filter: Filter | None = None,
) -> Found:
    """The k nearest embeddings that pass the filter; fewer only where fewer pass.

    Equal searches of unchanged rows and indexes get equal answers, ties by document and chunk.
    Values are cosine distances in [0, 2], Euclidean distances or negative inner products.

    Settings hold for this transaction (the caller's, if it has begun one): `hnsw.ef_search` is
    never below what is fetched, an index that yields fewer than k rows is scanned on, and where
    that ends short, too, rows are compared one by one.

    Args:
        query: shape (leaf.dimensions,).
        k: 1 or more; not bounded by `ef_search`.
        index: of the leaf's collection: metric, storage and how wide to search.
        ef_search: breadth of the search in a graph; None for the collection's own.
        plan: "index" is for measuring one way against the other.

    Raises:
        UsageError: the filter compares metadata whose values the namespace encrypts.
    """
    search = _Search(connection, leaf, query, k, index, filter)
    width = ef_search or index.ef_search or DEFAULT_EF_SEARCH
    with _transaction(connection):
        layout = layouts.kept(connection, leaf)
        way = None if layout is None else search.way(layout, plan, width)
        mark = search.prepare(way)
        if layout is None or way is None or mark != layout.mark:
            layout = layouts.read(connection, leaf, mark)
            way = search.way(layout, plan, width)
            search.prepare(way)
        if filter is not None:
            _check_readable(filter, layout, leaf)
        candidates, said = search.run(way, layout), way.said
        if len(candidates) < k and not way.exact:
            said += f"; it found {len(candidates)} of {k}, so rows were compared one by one"
            way = ways.exact(layout, k, filter, None)
            search.prepare(way)
            candidates = search.run(way, layout)
        return Found(candidates, said)


class _Search:
    """One search of one leaf, within one transaction."""

    def __init__(
        self,
        connection: psycopg.Connection,
        leaf: Leaf,
        query: NDArray[np.float32],
        k: int,
        index: IndexSettings,
        filter: Filter | None,
    ) -> None:
        self._connection = connection
        self._leaf = leaf
        self._index = index
        self._k = k
        self._filter = filter
        self._parameters: dict[str, object] = {"query": query, "k": k, "namespace": leaf.namespace}
        if filter is not None:
            self._passing, bound = condition(filter, "e")
            self._parameters |= bound

    def way(self, layout: Layout, plan: Plan, ef_search: int) -> Way:
        """How the leaf is searched, with a look at its rows where a filter is to be judged."""
        held = None
        if self._filter is not None and plan != "exact":
            held = selectivity.estimate(self._connection, self._leaf, self._filter)
        return ways.choose(
            plan,
            layout,
            self._index,
            self._k,
            ef_search=ef_search,
            filter=self._filter,
            held=held,
        )

    def prepare(self, way: Way | None) -> Mark:
        """Set what the way needs for this transaction; see whether the layout holds."""
        planner = "on" if way is None or way.exact else "off"
        way = way or Way((), "", 1)
        row = self._connection.execute(
            _PREPARE,
            {
                "leaf": self._leaf.table.as_string(self._connection),
                "namespace": self._leaf.namespace,
                "collection": self._leaf.collection_id,
                "ef_search": str(way.ef_search),
                "patience": str(way.patience),
                "probes": str(way.probes),
                "planner": planner,
                "plans": "auto" if self._filter or planner == "on" else "force_generic_plan",
            },
        ).fetchone()
        if row is None:
            return Mark()
        return Mark(row[0], tuple(row[1]), tuple(row[2]), tuple(row[3]), row[4])

    def run(self, way: Way, layout: Layout) -> list[Candidate]:
        """What the way finds, best first."""
        query = np.asarray(self._parameters["query"])
        cells = {
            cells_parameter(part): layout.cells[part.cells].to_search(query, way.among)
            for part in way.parts
            if part.cells is not None
        }
        if self._filter is None:
            statement = _unfiltered(self._leaf, self._index, way.parts)
        else:
            statement = search_statement(
                self._leaf, self._index, way.parts, self._passing
            ).as_bytes(self._connection)
        rows = self._connection.execute(
            statement,
            self._parameters | cells | {"candidates": way.candidates},
            prepare=None if self._filter is None else False,  # a plan that fits these values
        )
        return [Candidate(*row) for row in rows]


@lru_cache(maxsize=1000)
def _unfiltered(leaf: Leaf, index: IndexSettings, parts: tuple[Segment, ...]) -> bytes:
    return search_statement(leaf, index, parts).as_bytes(None)


def _transaction(connection: psycopg.Connection) -> AbstractContextManager[object]:
    """The transaction the caller has begun, or one for this search."""
    if connection.info.transaction_status == TransactionStatus.INTRANS:
        return nullcontext()
    return connection.transaction()


def _check_readable(filter: Filter, layout: Layout, leaf: Leaf) -> None:
    """Refuse a filter that would compare with sealed values, which match nothing."""
    sealed = metadata_keys(filter) & set(layout.mark.sealed)
    if sealed:
        raise UsageError(
            f"The namespace {leaf.namespace} encrypts the metadata {', '.join(sorted(sealed))}: "
            "nothing can be compared with it."
        )


_PREPARE = """
    SELECT c.reltuples,
           ARRAY(SELECT indexrelid::bigint FROM pg_index
                 WHERE indrelid = c.oid AND indisvalid ORDER BY indexrelid),
           ARRAY(SELECT unnest(metadata_keys) FROM encrypted_namespaces
                 WHERE namespace = %(namespace)s),
           ARRAY(SELECT id::text FROM embedding_cells
                 WHERE collection_id = %(collection)s ORDER BY first_segment),
           coalesce((SELECT open_segment FROM embedding_collections
                     WHERE id = %(collection)s), 0),
           set_config('hnsw.ef_search', %(ef_search)s, true),
           set_config('hnsw.max_scan_tuples', %(patience)s, true),
           set_config('hnsw.scan_mem_multiplier', '4', true),
           set_config('hnsw.iterative_scan', 'relaxed_order', true),
           set_config('ivfflat.probes', %(probes)s, true),
           set_config('ivfflat.iterative_scan', 'relaxed_order', true),
           set_config('enable_seqscan', %(planner)s, true),
           set_config('enable_bitmapscan', %(planner)s, true),
           set_config('enable_sort', %(planner)s, true),
           set_config('jit', 'off', true),
           set_config('plan_cache_mode', %(plans)s, true)
    FROM pg_class c WHERE c.oid = to_regclass(%(leaf)s)
"""
