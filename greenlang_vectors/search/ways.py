"""Ways of finding the nearest rows of a leaf, and which one is estimated to be the cheapest.

A graph is walked at a price for each row visited; of a filter that few rows pass it visits many.
Comparing rows one by one costs far less for each, but all that pass have to be compared.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from typing import Final, Literal

from greenlang_vectors.search.conditions import findable
from greenlang_vectors.search.filters import Filter
from greenlang_vectors.search.layouts import Layout
from greenlang_vectors.search.selectivity import Selectivity
from greenlang_vectors.store.index_settings import IndexSettings, probes_of
from greenlang_vectors.store.segments import Segment

MAX_EF_SEARCH = 1000
"""pgvector's upper bound of `hnsw.ef_search`."""

RERANKED: Final = {"vector": 1, "halfvec": 2, "bit": 20}
"""Candidates fetched for each answer asked, by what the index stores: distances of what is
quantized are not exact, so more than k are ranked again at full precision."""

VISIT_US: Final = 20.0
"""Microseconds a search of a graph spends on each row it visits: measured, as the next two, on
200,000 rows of 384 dimensions. What matters is how they compare."""

FETCH_US: Final = 3.0
"""To read and compare a row that an index on metadata found."""

SCAN_US: Final = 1.0
"""To read a row among its neighbours and compare it, or see that it does not pass."""

WIDENED: Final = 2
"""Under a filter a graph is searched so wide that this many times k rows pass: then the first
round of an iterative scan, the most exact one, nearly always suffices."""

PATIENCE: Final = 20_000
"""Rows an iterative scan visits before it gives up (pgvector's default)."""

Plan = Literal["auto", "index", "exact"]
"""Who finds the neighbours: what is estimated to be faster, the indexes where there are any, or a
comparison with every embedding."""


_WHOLE: Final = (Segment(0, None, None),)


@dataclass(frozen=True, slots=True)
class Way:
    """One way of finding the nearest.

    Attributes:
        parts: the ranges to visit, each by its index, its cells or, where it has neither, exactly.
        said: the way in words.
        candidates: how many rows each index has to give.
        ef_search, patience: of HNSW: the breadth, and after how many rows it gives up.
        probes: of IVFFlat.
        among: of so many nearest the cells to search are to hold their share.
    """

    parts: tuple[Segment, ...]
    said: str
    candidates: int
    ef_search: int = 1
    patience: int = PATIENCE
    probes: int = 1
    among: float = 0

    @property
    def exact(self) -> bool:
        """Whether every row that passes is compared."""
        return all(part.exact for part in self.parts)


def choose(
    plan: Plan,
    layout: Layout,
    index: IndexSettings,
    k: int,
    *,
    ef_search: int,
    filter: Filter | None,
    held: Selectivity | None,
) -> Way:
    """The way a plan wants, or that is estimated to be the cheapest.

    Args:
        index: metric, storage and probes of the collection.
        held: how many rows pass the filter; None for every one, or where the plan is exact.
    """
    if plan == "exact" or all(part.exact for part in layout.parts):
        return exact(layout, k, filter, held)
    held = held or Selectivity(layout.rows, layout.rows, layout.rows)
    visits = k * held.rows / max(held.passing, 0.5)
    unindexed = max(0.0, held.rows - layout.indexed)
    exact_us = min(FETCH_US * held.reached + SCAN_US * unindexed, SCAN_US * held.rows)
    way = _by_index(layout, index, k, ef_search, filter, visits, exact_us)
    if plan == "auto" and exact_us <= _index_us(way, layout, visits, unindexed):
        return exact(layout, k, filter, held)
    return way if filter is None else replace(way, said=f"{way.said}; {_passing(held)}")


def exact(layout: Layout, k: int, filter: Filter | None, held: Selectivity | None) -> Way:
    """Compare every row that passes."""
    if filter is None:
        said = "exact, every row compared"
    elif held is None:
        said = "exact, every row that passes the filter compared"
    else:
        said = f"exact; {_passing(held)}, each compared"
    narrow = filter is not None and findable(filter) is not None
    return Way(layout.filtered if narrow else _WHOLE, said, candidates=k)


def _by_index(
    layout: Layout,
    index: IndexSettings,
    k: int,
    ef_search: int,
    filter: Filter | None,
    visits: float,
    exact_us: float,
) -> Way:
    """Search the indexes, a graph no longer than twice the time an exact search would take."""
    served = [part.index for part in layout.parts if part.index is not None]
    storages = {found.storage for found in served}
    candidates = min(max((RERANKED[s] for s in storages), default=1) * k, max(k, MAX_EF_SEARCH))
    width, patience = ef_search, max(PATIENCE, 2 * k)
    if filter is not None:
        width = max(width, ceil(min(WIDENED * visits, MAX_EF_SEARCH)))
        patience = ceil(max(2 * visits, exact_us / VISIT_US))
    width = min(max(width, candidates), MAX_EF_SEARCH)
    probes = index.probes or probes_of(max((found.lists or 1 for found in served), default=1))
    words = {
        "hnsw": f"hnsw, ef_search {width}",
        "ivfflat": f"ivfflat, {probes} probes",
    }
    said = [words[kind] for kind in sorted({found.kind for found in served})]
    said += ["cells"] if any(part.cells for part in layout.parts) else []
    return Way(
        layout.parts,
        " and ".join(said),
        candidates=candidates,
        ef_search=width,
        patience=min(patience, 2**31 - 1),
        probes=probes,
        among=visits,
    )


def _index_us(way: Way, layout: Layout, visits: float, unindexed: float) -> float:
    """Microseconds by index, in each of which a search visits so many rows to find k."""
    shares = [layout.cells[part.cells].share(visits) for part in way.parts if part.cells]
    total = SCAN_US * unindexed * max(shares, default=0.0)
    for part in way.parts:
        if part.index is None:
            continue
        if part.index.kind == "hnsw":
            total += VISIT_US * min(max(way.ef_search, visits), max(part.index.rows, 1))
        else:
            probed = part.index.rows * way.probes / (part.index.lists or 1)
            total += SCAN_US * min(max(probed, visits), part.index.rows)
    return total


def _passing(held: Selectivity) -> str:
    return f"about {held.passing:,.0f} of {held.rows:,.0f} rows pass the filter"
