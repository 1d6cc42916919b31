"""Which instances hold an index and answer so many searches a second.

What searches walk through must be in memory: each page that is not is a request to storage, about
a millisecond, and a search of a graph reads some hundreds.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log
from typing import cast

from greenlang_vectors.planning.builds import REFERENCE_DIMENSIONS
from greenlang_vectors.planning.prices import Instance, Prices
from greenlang_vectors.planning.sizes import LeafSizes
from greenlang_vectors.settings import ProfileName
from greenlang_vectors.store.index_settings import IndexSettings
from greenlang_vectors.store.server_settings import CACHE_SHARE, ENVIRONMENTS

GIB = 2**30

TARGET_LOAD = 0.5
"""Of the processors (PRD 9.2: above 70% is scaled up, below 30% down)."""

REFERENCE_ROWS = 200_000
HNSW_SEARCH = 0.6
HNSW_CANDIDATE = 0.0255
"""Milliseconds of one core: a search, and each candidate of ef_search (docs/benchmarks.md: 1.6 ms
at 40, 2.9 at 80, 3.8 at 120, 5.7 at 200, over 200,000 rows)."""

BIT_AGAIN = 4.0
"""The same for reading 200 rows and comparing them exactly, which binary quantization needs."""

SCANNED_ROW = 7e-4
"""The same for each row of the lists that IVFFlat compares."""


@dataclass(frozen=True, slots=True)
class Machines:
    """Instances of a cluster.

    Attributes:
        writer_bytes: what the writer should keep in memory: the ANN index and the B-trees.
        reader_bytes: what a reader should keep: the ANN index.
        writer, reader: instance classes; None where no class has the memory.
        readers: how many.
        search_ms: of one core, for a search whose index is in memory.
        reader_qps: searches a second of one reader at TARGET_LOAD.
        spare_bytes: memory of the writer beside its cache, of which a build may take a part.
    """

    writer_bytes: int
    reader_bytes: int
    writer: str | None
    reader: str | None
    readers: int
    search_ms: float
    reader_qps: float
    spare_bytes: int


def machines(
    index: IndexSettings,
    dimensions: int,
    rows: int,
    sizes: LeafSizes,
    *,
    qps: float,
    profile: ProfileName,
    family: str,
    prices: Prices,
) -> Machines:
    """The smallest instances that hold the index, and as many as the searches need.

    They are of the family unless none of it is large enough. None is smaller than the profile's
    (PRD 5.4.1), and a profile's readers are the fewest. Without readers the writer searches.
    """
    environment = ENVIRONMENTS[profile]
    classes = prices.family(family) | prices.larger_than(family)
    hot = sizes.ann_index + sizes.keys
    writer = smallest(classes, hot, environment.instance)
    reader = smallest(classes, sizes.ann_index, environment.reader_instance)
    search_ms = search_milliseconds(index, dimensions, rows)
    vcpu = classes[reader].vcpu if reader else max(each.vcpu for each in classes.values())
    reader_qps = vcpu * TARGET_LOAD * 1000 / search_ms
    needed = ceil(qps / reader_qps)
    alone = environment.readers == 0 and needed <= 1
    spare = classes[writer].gib * GIB * (1 - CACHE_SHARE) if writer else 0
    return Machines(
        writer_bytes=hot,
        reader_bytes=sizes.ann_index,
        writer=writer,
        reader=reader,
        readers=0 if alone else max(environment.readers, needed),
        search_ms=search_ms,
        reader_qps=reader_qps,
        spare_bytes=int(spare),
    )


def smallest(classes: dict[str, Instance], cached_bytes: int, at_least: str) -> str | None:
    """The first class that keeps so much in memory and is no smaller than another's size."""
    size = at_least.rsplit(".", 1)[-1]
    floor = next((each.gib for name, each in classes.items() if name.endswith(f".{size}")), 0)
    for name, each in classes.items():
        if each.gib >= floor and each.gib * GIB * CACHE_SHARE >= cached_bytes:
            return name
    return None


def search_milliseconds(index: IndexSettings, dimensions: int, rows: int) -> float:
    """Processor time of a search for the nearest ten whose index is in memory.

    A graph is walked in steps that grow with the logarithm of its rows. Half of a step's time goes
    with the dimensions, half does not: reckoned, as only 384 were measured.
    """
    if index.kind == "ivfflat":
        lists, probes = cast("int", index.lists), cast("int", index.probes)
        return 0.6 + SCANNED_ROW * rows * probes / lists * dimensions / REFERENCE_DIMENSIONS
    steps = log(max(rows, 3)) / log(REFERENCE_ROWS)
    width = (1 + dimensions / REFERENCE_DIMENSIONS) / 2 if index.storage != "bit" else 1
    walked = HNSW_SEARCH + HNSW_CANDIDATE * cast("int", index.ef_search) * steps * width
    return walked + (BIT_AGAIN if index.storage == "bit" else 0)
