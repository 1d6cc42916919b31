"""How alike both sides answer: stored vectors are searched for through each side's own search."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import psycopg
import stamina

from greenlang_vectors.documents.model import JSON
from greenlang_vectors.embedding.encoding import ATTEMPTS
from greenlang_vectors.migration.errors import WeaviateUnavailable
from greenlang_vectors.migration.objects import NO_TENANT
from greenlang_vectors.migration.sides import Sides
from greenlang_vectors.quality.workload import SEED, sample_vectors
from greenlang_vectors.search.filters import Comparison, Filter
from greenlang_vectors.search.nearest import nearest
from greenlang_vectors.store import collections


@dataclass(frozen=True, slots=True)
class Overlap:
    """What two sides' answers have in common.

    Attributes:
        mean: share of each side's first `k` answers that are the other's, too, over all queries.
        worst: of one query.
    """

    queries: int
    k: int
    mean: float
    worst: float

    def as_json(self) -> dict[str, JSON]:
        """As commands and assets report it."""
        return {
            "queries": self.queries,
            "k": self.k,
            "mean": round(self.mean, 4),
            "worst": round(self.worst, 4),
        }


def measure(
    connection: psycopg.Connection, sides: Sides, *, queries: int, k: int
) -> Overlap | None:
    """Ask both sides for the neighbours of stored vectors; None where nothing is stored.

    The first of the plan's vectors is searched, in a tenant at a time where there are several.

    Args:
        queries: stored vectors to ask with, at most.
        k: answers that are compared.
    """
    leaf, plan = sides.targets[0].leaf, sides.plan
    collection = collections.get(connection, f"{leaf.namespace}/{leaf.model}")
    shares = []
    vectors = sample_vectors(connection, leaf, queries, SEED)
    for place, vector in enumerate(vectors):
        tenant = sides.tenants[place % len(sides.tenants)]
        found = nearest(
            connection,
            leaf,
            vector,
            k,
            index=collection.searched,
            filter=of_tenant(tenant),
        ).candidates
        here = sides.contents.ids(
            connection, [(each.document_id, each.chunk_index) for each in found]
        )
        for attempt in stamina.retry_context(on=_passing, attempts=ATTEMPTS):
            with attempt:
                answers = sides.peer.find(
                    plan.collection,
                    tenant,
                    k,
                    near=vector,
                    near_name=plan.vectors[0].name,
                    properties=(),
                )
        shares.append(_share(here, {each.id for each in answers}))
    if not shares:
        return None
    return Overlap(len(shares), k, sum(shares) / len(shares), min(shares))


def of_tenant(tenant: str) -> Filter | None:
    """The passages of one tenant; None for all of a collection without tenants."""
    if tenant == NO_TENANT:
        return None
    escaped = tenant.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return Comparison("document", "like", f"{escaped}/%")


def _passing(error: Exception) -> bool:
    return isinstance(error, WeaviateUnavailable) and error.passing


def _share(here: set[UUID], there: set[UUID]) -> float:
    larger = max(len(here), len(there))
    return len(here & there) / larger if larger else 1.0
