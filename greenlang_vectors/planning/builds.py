"""How long building an ANN index takes, and what becomes of a graph that memory does not hold.

The constants are processor time of one core of the machine that docs/capacity.md was measured on;
`machine` says how many times as long another one takes, which its own builds tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from statistics import median
from typing import cast

from greenlang_vectors.store.index_estimates import ROWS_PER_LIST, memory_bytes
from greenlang_vectors.store.index_settings import IndexSettings

REFERENCE_DIMENSIONS = 384

HNSW_ROW = {"vector": 2.46e-4, "halfvec": 2.05e-4, "bit": 1.55e-4}
HNSW_FIRST_ROWS = 870
"""Core seconds to add a row, for each time that the graph is e times as large as these first rows
(m 16, ef_construction 200): 600 µs a row of 10,000 vectors, 1,170 of 100,000, 1,350 of 200,000."""

HNSW_NEIGHBOURS = 0.35
"""Power of m that a build's time grows with (8 to 24, by processor time)."""

HNSW_SPILLED_ROW = 1 / 170
"""Core seconds to add a row to a graph that is on disk already, as an INSERT does: 140 to 170 a
second at 200,000 rows (docs/benchmarks.md)."""

IVFFLAT_START = 0.25
"""Seconds of what a build takes however few rows there are."""
IVFFLAT_ROW = 1.1e-5
"""Core seconds to read, sort and write a row."""
IVFFLAT_DISTANCE = 4.0e-8
"""Core seconds to compare a row with the center of one list."""
IVFFLAT_TRAINING = 3.3e-7
"""Seconds for each sampled row and list, by one core whatever there are: k-means after Elkan."""


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """What a build takes.

    Attributes:
        seconds: with all the memory it wants.
        memory_bytes: what `maintenance_work_mem` must be for that.
        given_bytes: what it would get.
        rows_in_memory: how many rows of a graph fit into that; the others go on disk, one by one.
            pgvector says so: "hnsw graph no longer fits into maintenance_work_mem after … tuples".
        seconds_given: with what it would get; None where it does not begin at all (IVFFlat).
    """

    seconds: float
    memory_bytes: int
    given_bytes: int
    rows_in_memory: int
    seconds_given: float | None

    @property
    def fits(self) -> bool:
        """Whether the memory suffices."""
        return self.memory_bytes <= self.given_bytes


@dataclass(frozen=True, slots=True)
class MeasuredBuild:
    """A build that was timed."""

    index: IndexSettings
    dimensions: int
    rows: int
    seconds: float


def build_plan(
    index: IndexSettings,
    dimensions: int,
    rows: int,
    *,
    cores: int,
    given_bytes: int,
    machine: float = 1.0,
) -> BuildPlan:
    """What building this index over so many rows takes.

    Args:
        index: resolved, see `index_settings.resolved`.
        cores: the session's own and its workers'; taken to share the work evenly, which was
            measured with two.
        given_bytes: `maintenance_work_mem`.
        machine: how many times as long as the machine of docs/capacity.md it takes.
    """
    needed = memory_bytes(index, dimensions, rows)
    whole = build_seconds(index, dimensions, rows, cores=cores) * machine
    if needed <= given_bytes:
        return BuildPlan(whole, needed, given_bytes, rows, whole)
    if index.kind == "ivfflat":
        return BuildPlan(whole, needed, given_bytes, 0, None)
    held = int(rows * given_bytes / needed)
    begun = build_seconds(index, dimensions, held, cores=cores) * machine
    spilled = (rows - held) * HNSW_SPILLED_ROW * _work(index, dimensions) / cores * machine
    return BuildPlan(whole, needed, given_bytes, held, begun + spilled)


def build_seconds(index: IndexSettings, dimensions: int, rows: int, *, cores: int) -> float:
    """Seconds of a build that has the memory it wants.

    A graph's rows are each looked for in what is there already, which takes as many steps as the
    logarithm of its size, and each step longer once the graph outgrows the processor's caches.
    Lists are trained with ROWS_PER_LIST samples each, and every row is compared with every list.
    """
    if index.kind == "hnsw":
        growth = max(1.0, log(max(rows, 1) / HNSW_FIRST_ROWS))
        return rows * HNSW_ROW[index.storage] * growth * _work(index, dimensions) / cores
    lists = cast("int", index.lists)
    width = dimensions / REFERENCE_DIMENSIONS
    samples = min(rows, max(10_000, ROWS_PER_LIST * lists))
    spread = rows * (IVFFLAT_ROW + lists * IVFFLAT_DISTANCE * width) / cores
    return IVFFLAT_START + spread + samples * lists * IVFFLAT_TRAINING * width


def machine_factor(measured: Sequence[MeasuredBuild], *, cores: int) -> float | None:
    """How many times as long this machine takes, by what its builds took; None without any.

    Builds of less than a second tell more of the statement around them.
    """
    ratios = [
        each.seconds / build_seconds(each.index, each.dimensions, each.rows, cores=cores)
        for each in measured
        if each.seconds >= 1
    ]
    return median(ratios) if ratios else None


def _work(index: IndexSettings, dimensions: int) -> float:
    """Work of adding a row to a graph, over that with the reference's parameters."""
    width = dimensions / REFERENCE_DIMENSIONS if index.storage != "bit" else 1
    candidates = cast("int", index.ef_construction) / 200
    return width * candidates * float((cast("int", index.m) / 16) ** HNSW_NEIGHBOURS)
