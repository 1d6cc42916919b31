"""How large an index will be, how much memory its build wants and how long it will take.

Sizes follow pgvector's page layout: tuples that do not fit into what is left of an 8 KiB page
begin the next one (pgvector 0.8: hnsw.h, hnswbuild.c, ivfflat.h).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, comb
from typing import cast

import psycopg
from psycopg.types.json import Jsonb

from greenlang_vectors.store.index_settings import IndexSettings

PAGE = 8192
PAGE_SPACE = PAGE - 24 - 8
"""Of an index page, beside its header and what pgvector keeps at its end."""
ITEM_POINTER = 4
"""Each tuple has one at the page's beginning."""

HNSW_ELEMENT_HEADER = 72
HNSW_NEIGHBOUR_HEADER = 4
NEIGHBOUR_POINTER = 6
IVFFLAT_TUPLE_HEADER = 8
IVFFLAT_LIST_HEADER = 16

GRAPH_ELEMENT = 128 + 8
"""HnswElementData and the pointer to its neighbours, of a graph in memory (hnsw.h)."""
GRAPH_NEIGHBOURS_HEADER = 8
GRAPH_NEIGHBOUR = 16

BUILD_MEMORY_FACTOR = 2.25
"""At most so much does a graph in memory take over the same on disk: of bits, which are small
beside the pointers of 16 bytes that a graph in memory has in place of 6."""

BUILD_MEMORY_MARGIN = 2 * 2**20
"""pgvector writes a graph out before the last of its memory is used (hnswbuild.c)."""

ROWS_PER_LIST = 50
"""Rows an IVFFlat list is trained with at least (pgvector samples as many)."""

DEFAULT_RATES = {"hnsw": 1_250.0, "ivfflat": 25_000.0}
"""Rows a second on two cores at 384 dimensions (m 16, ef_construction 200), until a build of
this database says better (docs/benchmarks.md)."""


@dataclass(frozen=True, slots=True)
class IndexEstimate:
    """What a build will take.

    Attributes:
        size_bytes: on disk.
        memory_bytes: for the build to stay in memory; with less it goes on, slower.
        seconds: how long.
        measured: whether the time comes from builds of this database, or from the default.
        warning: what is wrong with building it; empty if nothing is.
    """

    rows: int
    size_bytes: int
    memory_bytes: int
    seconds: float
    measured: bool
    warning: str


def estimate(
    connection: psycopg.Connection, index: IndexSettings, dimensions: int, rows: int
) -> IndexEstimate:
    """What building this index over so many rows will take.

    Args:
        index: resolved, see `index_settings.resolved`.
    """
    rate = _measured_rate(connection, index)
    return IndexEstimate(
        rows=rows,
        size_bytes=size_bytes(index, dimensions, rows),
        memory_bytes=memory_bytes(index, dimensions, rows),
        seconds=rows / (rate or _default_rate(index, dimensions)),
        measured=rate is not None,
        warning=training_warning(index, rows),
    )


def size_bytes(index: IndexSettings, dimensions: int, rows: int) -> int:
    """What the index takes on disk, without duplicates, which share an element of a graph."""
    stored = _stored_bytes(index, dimensions)
    if index.kind == "hnsw":
        return ceil(1 + max(1, rows / _elements_a_page(stored, cast("int", index.m)))) * PAGE
    lists = cast("int", index.lists)
    per_page = PAGE_SPACE // (_aligned(IVFFLAT_TUPLE_HEADER + stored) + ITEM_POINTER)
    center = _aligned(IVFFLAT_LIST_HEADER + _stored_bytes(index, dimensions)) + ITEM_POINTER
    centers = ceil(lists / max(1, PAGE_SPACE // center))
    return ceil(1 + centers + rows / max(1, per_page) + lists / 2) * PAGE


def memory_bytes(index: IndexSettings, dimensions: int, rows: int) -> int:
    """What `maintenance_work_mem` should be for the build to stay in memory.

    IVFFlat trains its lists in memory or not at all: k-means after Elkan keeps a bound for each
    sample and each list.
    """
    if index.kind == "hnsw":
        m = cast("int", index.m)
        above = (GRAPH_NEIGHBOURS_HEADER + GRAPH_NEIGHBOUR * m + 8) / (m - 1)
        lowest = GRAPH_NEIGHBOURS_HEADER + GRAPH_NEIGHBOUR * 2 * m
        element = GRAPH_ELEMENT + lowest + above + _aligned(_stored_bytes(index, dimensions))
        return int(rows * element * 1.01) + BUILD_MEMORY_MARGIN
    lists = cast("int", index.lists)
    samples = max(10_000, ROWS_PER_LIST * lists)
    vector = 4 * dimensions + 16
    bounds = 4 * lists * (samples + lists)
    return int((vector * (samples + 2 * lists) + bounds + 8 * samples) * 1.05)


def _stored_bytes(index: IndexSettings, dimensions: int) -> int:
    """One vector as the index holds it."""
    return {
        "vector": 4 * dimensions + 8,
        "halfvec": 2 * dimensions + 8,
        "bit": -(-dimensions // 8) + 8,
    }[index.storage]


def _elements_a_page(stored: int, m: int) -> float:
    """How many elements of a graph a page holds on average, each with its neighbours.

    One in m has neighbours in a layer above, and with them another m pointers (the few in more
    layers are counted as these). An element and its neighbours share a page where both fit into
    one; where they do not, each takes a page.
    """
    element = _aligned(HNSW_ELEMENT_HEADER + stored)
    lowest = _aligned(HNSW_NEIGHBOUR_HEADER + NEIGHBOUR_POINTER * 2 * m)
    above = _aligned(HNSW_NEIGHBOUR_HEADER + NEIGHBOUR_POINTER * 3 * m) - lowest
    pair = element + lowest + 2 * ITEM_POINTER
    if pair > PAGE_SPACE:
        return 0.5
    return sum(
        _at_most((PAGE_SPACE - count * pair) // above, count, 1 / m)
        for count in range(1, PAGE_SPACE // pair + 1)
    )


def _at_most(successes: int, trials: int, probability: float) -> float:
    """The binomial distribution's share of no more than so many."""
    return sum(
        comb(trials, k) * probability**k * (1 - probability) ** (trials - k)
        for k in range(min(successes, trials) + 1)
    )


def _aligned(size: int) -> int:
    """The next multiple of 8 bytes."""
    return -(-size // 8) * 8


def fitting(index: IndexSettings, dimensions: int, limit_bytes: int) -> IndexSettings:
    """The same with as many lists as can be trained within so much memory."""
    lists = index.lists or 1
    while index.kind == "ivfflat" and lists > 1:
        if memory_bytes(replace(index, lists=lists), dimensions, 0) <= limit_bytes:
            break
        lists = lists * 9 // 10
    return replace(index, lists=lists) if index.kind == "ivfflat" else index


def training_warning(index: IndexSettings, rows: int) -> str:
    """Why the lists of an IVFFlat index would be badly trained; empty if they would not be."""
    if index.kind != "ivfflat" or rows >= ROWS_PER_LIST * cast("int", index.lists):
        return ""
    return (
        f"{index.lists} lists want at least {ROWS_PER_LIST * cast('int', index.lists)} rows to "
        f"be trained with, not {rows}: recall will be low. Choose fewer lists."
    )


def _default_rate(index: IndexSettings, dimensions: int) -> float:
    rate = DEFAULT_RATES[index.kind] * 384 / dimensions
    if index.kind == "hnsw":
        rate *= (200 / cast("int", index.ef_construction)) * (16 / cast("int", index.m)) ** 0.5
    return rate


def _measured_rate(connection: psycopg.Connection, index: IndexSettings) -> float | None:
    """Rows a second of the newest builds with these settings that took long enough to tell."""
    row = connection.execute(
        """
        SELECT sum(rows) / sum(seconds) FROM (
            SELECT rows, seconds FROM index_builds
            WHERE settings @> %s AND seconds >= 1 ORDER BY finished_at DESC LIMIT 3) newest
        """,
        [
            Jsonb(
                {
                    key: value
                    for key, value in index.as_json().items()
                    if key in {"kind", "storage", "m", "ef_construction"}
                }
            )
        ],
    ).fetchone()
    return None if row is None or row[0] is None else float(row[0])
