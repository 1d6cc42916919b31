"""A look at the first objects of a collection: what vectors they have, and what they say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from greenlang_vectors.errors import UsageError
from greenlang_vectors.migration.mapping import Mapper
from greenlang_vectors.migration.objects import WeaviateObject
from greenlang_vectors.migration.peer import Peer
from greenlang_vectors.migration.plan import Plan
from greenlang_vectors.migration.ranges import LAST

OBJECTS = 100
"""Looked at of each tenant, until every vector was seen."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """The first objects.

    Attributes:
        dimensions: of each of the plan's vectors; None where none was seen.
        texts: what the content property holds.
    """

    objects: list[WeaviateObject]
    dimensions: list[int | None]
    texts: list[str]


def tenants_of(peer: Peer, plan: Plan) -> list[str]:
    """The tenants of the plan, sorted; `[NO_TENANT]` of a collection that is not split by tenant.

    Raises:
        UsageError: the plan names a tenant that the collection lacks.
    """
    tenants = peer.tenants(plan.collection)
    if unknown := set(plan.tenants or ()) - set(tenants):
        raise UsageError(
            f"{plan.collection} has no tenant {min(unknown)!r}.",
            f"It has: {', '.join(filter(None, tenants)) or 'none'}.",
        )
    return tenants if plan.tenants is None else sorted(plan.tenants)


def take(peer: Peer, mapper: Mapper, tenants: Sequence[str]) -> Sample:
    """Look at the first page of one tenant after another until every vector was seen."""
    plan = mapper.plan
    objects: list[WeaviateObject] = []
    dimensions: list[int | None] = [None] * len(plan.vectors)
    for tenant in tenants:
        pages = peer.pages(
            plan.collection,
            tenant,
            after=None,
            last=LAST,
            size=min(OBJECTS, plan.page),
            properties=mapper.properties,
            vectors=mapper.vectors,
        )
        objects += next(pages, [])
        for place, name in enumerate(mapper.vectors):
            lengths = [each.vectors[name].shape[-1] for each in objects if name in each.vectors]
            dimensions[place] = lengths[0] if lengths else None
        if None not in dimensions:
            break
    texts = [text for each in objects if isinstance(text := each.properties.get(plan.content), str)]
    return Sample(objects, dimensions, texts)
