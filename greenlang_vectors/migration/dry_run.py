"""What a move would bring and what would not fit, by the schema and a sample; nothing changes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from greenlang_vectors.documents.model import JSON
from greenlang_vectors.embedding.opening import open_embedder
from greenlang_vectors.errors import GreenLangError, ItemError
from greenlang_vectors.migration import destinations, server_export
from greenlang_vectors.migration.mapping import Mapper
from greenlang_vectors.migration.objects import Passage
from greenlang_vectors.migration.peer import Peer
from greenlang_vectors.migration.plan import Plan, VectorMapping
from greenlang_vectors.migration.sample import Sample, take, tenants_of
from greenlang_vectors.migration.server_export import Exports
from greenlang_vectors.migration.unfit import Problem
from greenlang_vectors.store import weaviate_migrations
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.encryption.data_keys import cipher_of

ROWS = 10
"""Mapped rows that are shown."""

COMPARED_TEXTS = 5
"""Texts that are embedded to tell whether a model made the vectors."""

ALIKE = 0.99
"""Cosine of the vectors of one text that two runs of one model exceed, whatever the hardware."""


@dataclass(frozen=True, slots=True)
class VectorSeen:
    """One vector of the plan.

    Attributes:
        name: of a named vector.
        metric: as Weaviate compares it; None where there is no such vector.
        dimensions: None where no object of the sample has it.
        supplied: it goes into a collection that is searched with ready vectors only, because the
            library cannot open its model.
        likeness: mean cosine to what the model makes of the same texts now; None where the model
            cannot be asked.
    """

    name: str | None
    model: str
    metric: str | None
    dimensions: int | None
    supplied: bool
    likeness: float | None


@dataclass(frozen=True, slots=True)
class MappedRow:
    """What one object would become."""

    object_id: UUID
    document: str
    chunk_index: int
    title: str
    content: str
    metadata: dict[str, JSON]


@dataclass(frozen=True, slots=True)
class DryRun:
    """What a move would bring.

    Attributes:
        tenants: objects by tenant; "" where the collection has none.
        sampled: objects that were looked at.
        refused: those of them that could not be carried.
        export: the backend to which the server exports what a backfill then reads; None where it
            reads page by page.
    """

    namespace: str
    collection: str
    server_version: str
    tenants: dict[str, int]
    vectors: list[VectorSeen]
    sampled: int
    refused: int
    rows: list[MappedRow]
    export: str | None
    problems: list[Problem]

    @property
    def objects(self) -> int:
        """Of all tenants."""
        return sum(self.tenants.values())

    def as_json(self) -> dict[str, JSON]:
        """The same as JSON."""
        return {
            "namespace": self.namespace,
            "collection": self.collection,
            "server_version": self.server_version,
            "objects": self.objects,
            "tenants": dict(self.tenants),
            "vectors": [asdict(each) for each in self.vectors],
            "sampled": self.sampled,
            "refused": self.refused,
            "rows": [{**asdict(each), "object_id": str(each.object_id)} for each in self.rows],
            "export": self.export,
            "problems": [asdict(each) for each in self.problems],
        }


def dry_run(
    database: Database, peer: Peer, namespace: str, *, exports: Exports | None = None
) -> DryRun:
    """Look at the collection of a namespace's plan and at its first objects.

    Args:
        exports: where the server exports to, if a backfill is to read that.

    Raises:
        UnknownNamespace: it is not registered.
        UsageError: no move is planned, or Weaviate has no such collection or tenant.
        WeaviateUnavailable, WeaviateRefused: it cannot be looked at.
    """
    with database.connection() as connection:
        plan = Plan.model_validate(weaviate_migrations.get(connection, namespace).plan)
        encrypted = cipher_of(connection, namespace) is not None
    info = peer.describe(plan.collection)
    mapper = Mapper(plan, namespace, info)
    problems = mapper.problems()
    if encrypted:
        problems.append(
            Problem(
                namespace,
                "encrypted",
                f"{namespace} is encrypted, and what comes from Weaviate is not.",
                "Enable encryption after the move.",
            )
        )
    if exports is not None and (unable := server_export.problem(peer, exports)):
        problems.append(unable)
    readable = not any(each.fatal for each in mapper.problems())
    tenants = tenants_of(peer, plan)
    sample = take(peer, mapper, tenants) if readable else None
    mapped, refused = _mapped(mapper, sample)
    vectors = [
        _seen(database, mapped, place, each, info.metrics.get(each.name), sample)
        for place, each in enumerate(plan.vectors)
    ]
    counts = {tenant: peer.count(plan.collection, tenant) for tenant in tenants}
    if not any(counts.values()):
        problems.append(
            Problem(
                plan.collection,
                "empty",
                f"{plan.collection} holds no object.",
                "Check the collection and its tenants.",
            )
        )
    return DryRun(
        namespace=namespace,
        collection=plan.collection,
        server_version=info.server_version,
        tenants=counts,
        vectors=vectors,
        sampled=0 if sample is None else len(sample.objects),
        refused=sum(len(found) for found in refused.values()),
        rows=[_row(each) for each in mapped[:ROWS]],
        export=None if exports is None else exports.backend,
        problems=[
            *problems,
            *_of_objects(refused, 0 if sample is None else len(sample.objects)),
            *(_unlike(each) for each in vectors if _is_other(each)),
        ],
    )


def _mapped(
    mapper: Mapper, sample: Sample | None
) -> tuple[list[Passage], dict[str, list[tuple[UUID, ItemError]]]]:
    """What the objects of the sample become, and why some do not, by reason."""
    if sample is None:
        return [], {}
    known = [length or 0 for length in sample.dimensions]
    checked = Mapper(mapper.plan, mapper.namespace, mapper.info, known)
    passages: list[Passage] = []
    refused: defaultdict[str, list[tuple[UUID, ItemError]]] = defaultdict(list)
    for each in sample.objects:
        try:
            passages.append(checked.passage(each))
        except ItemError as error:
            refused[error.reason].append((each.id, error))
    return passages, refused


def _of_objects(refused: dict[str, list[tuple[UUID, ItemError]]], sampled: int) -> list[Problem]:
    return [
        Problem(
            str(found[0][0]),
            reason,
            f"{len(found)} of {sampled} objects that were looked at cannot be carried, the first:"
            f" {found[0][1].message}",
            f"{found[0][1].remedy} They become dead letters.",
            fatal=False,
        )
        for reason, found in refused.items()
    ]


def _seen(
    database: Database,
    passages: Sequence[Passage],
    place: int,
    mapped: VectorMapping,
    metric: str | None,
    sample: Sample | None,
) -> VectorSeen:
    dimensions = None if sample is None else sample.dimensions[place]
    spec = destinations.model_of(mapped, dimensions)
    likeness = None
    if spec is not None:
        texts = [each.content for each in passages[:COMPARED_TEXTS]]
        vectors = [each.vectors[place] for each in passages[:COMPARED_TEXTS]]
        likeness = _likeness(database, mapped.model, texts, vectors)
    return VectorSeen(mapped.name, mapped.model, metric, dimensions, spec is None, likeness)


def _likeness(
    database: Database, model: str, texts: Sequence[str], vectors: Sequence[NDArray[np.float32]]
) -> float | None:
    if not texts:
        return None
    try:
        made = open_embedder(database, model, cache_seconds=None).embed(texts)
    except GreenLangError:  # a model that cannot be asked now tells nothing
        return None
    good = [place for place in range(len(texts)) if place not in made.failures]
    there, here = np.array(vectors)[good].astype(float), made.vectors[good].astype(float)
    lengths = np.linalg.norm(there, axis=1) * np.linalg.norm(here, axis=1)
    return float(((there * here).sum(axis=1) / np.maximum(lengths, 1e-30)).mean()) if good else None


def _is_other(seen: VectorSeen) -> bool:
    return seen.likeness is not None and seen.likeness < ALIKE


def _unlike(seen: VectorSeen) -> Problem:
    concerns = "the vector" if seen.name is None else f"the vector {seen.name!r}"
    return Problem(
        concerns,
        "other_model",
        f"{seen.model} makes other vectors of the same texts (cosine {seen.likeness:.3f}).",
        "Name the model that made them, or any name that the library does not know.",
        fatal=False,
    )


def _row(each: Passage) -> MappedRow:
    return MappedRow(
        each.object_id,
        each.source_key,
        each.chunk_index,
        each.title,
        each.content,
        each.metadata,
    )
