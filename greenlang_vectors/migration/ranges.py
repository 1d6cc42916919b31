"""Splitting a tenant's objects into ranges of uuids that hold about as many each."""

from __future__ import annotations

from uuid import UUID

from greenlang_vectors.migration.peer import Peer
from greenlang_vectors.migration.plan import Plan
from greenlang_vectors.store.weaviate_ranges import Range

LAST = UUID(int=2**128 - 1)
"""The last of all uuids."""

PAGES_PER_RANGE = 4
"""A range of fewer pages is not worth asking for its end."""

_PRECISION = 64
"""How closely the last object is looked for, as a part of where they lie."""


def split(peer: Peer, plan: Plan, tenant: str) -> list[Range]:
    """Ranges that together hold every uuid, split evenly where the tenant's objects lie.

    Random uuids lie everywhere; those that begin with a time lie close together, and even shares
    of all uuids would leave most ranges empty.
    """
    count = min(plan.ranges, peer.count(plan.collection, tenant) // (PAGES_PER_RANGE * plan.page))
    if count < 2:
        return [Range(tenant, UUID(int=0), LAST)]
    lowest = _first_after(peer, plan, tenant, 0) or 0
    low, high = lowest, LAST.int
    while high - low > (low - lowest) // _PRECISION + 1:
        middle = (low + high) // 2
        found = _first_after(peer, plan, tenant, middle)
        low, high = (low, middle) if found is None else (found, high)
    starts = [lowest + (high - lowest) * part // count for part in range(1, count)]
    return [
        Range(tenant, UUID(int=first), UUID(int=following - 1))
        for first, following in zip([0, *starts], [*starts, LAST.int + 1], strict=True)
    ]


def _first_after(peer: Peer, plan: Plan, tenant: str, place: int) -> int | None:
    pages = peer.pages(
        plan.collection,
        tenant,
        after=UUID(int=place),
        last=LAST,
        size=1,
        properties=(),
        vectors=(),
    )
    page = next(pages, None)
    return None if page is None else page[0].id.int
