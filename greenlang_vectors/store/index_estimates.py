"""How large an index will be, how much memory its build wants and how long it will take.

Sizes follow pgvector's page layout: tuples that do not fit into what is left of an 8 KiB page
begin the next one (pgvector 0.8, hnsw.h and ivfflat.h).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import psycopg
from psycopg.types.json import Jsonb

from greenlang_vectors.store.index_settings import IndexSettings

PAGE = 8192
PAGE_OVERHEAD = 40
HNSW_ELEMENT_HEADER = 72
IVFFLAT_TUPLE_HEADER = 16
NEIGHBOUR_POINTER = 6
BUILD_MEMORY_FACTOR = 1.25
"""A graph in memory over the same graph on disk."""

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
    """What the index takes on disk."""
    stored = {
        "vector": 4 * dimensions + 8,
        "halfvec": 2 * dimensions + 8,
        "bit": dimensions // 8 + 8,
    }[index.storage]
    if index.kind == "hnsw":
        neighbours = 2 * cast("int", index.m) + cast("int", index.m) // 4
        tuple_bytes = stored + HNSW_ELEMENT_HEADER + NEIGHBOUR_POINTER * neighbours
        lists = 0
    else:
        tuple_bytes = stored + IVFFLAT_TUPLE_HEADER
        lists = cast("int", index.lists)
    per_page = max(1, (PAGE - PAGE_OVERHEAD) // tuple_bytes)
    return (-(-rows // per_page) + lists + 1) * PAGE


def memory_bytes(index: IndexSettings, dimensions: int, rows: int) -> int:
    """What `maintenance_work_mem` should be for the build to stay in memory.

    IVFFlat trains its lists in memory or not at all: k-means after Elkan keeps a bound for each
    sample and each list.
    """
    if index.kind == "hnsw":
        return int(size_bytes(index, dimensions, rows) * BUILD_MEMORY_FACTOR)
    lists = cast("int", index.lists)
    samples = max(10_000, ROWS_PER_LIST * lists)
    vector = 4 * dimensions + 16
    bounds = 4 * lists * (samples + lists)
    return int((vector * (samples + 2 * lists) + bounds + 8 * samples) * 1.05)


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
