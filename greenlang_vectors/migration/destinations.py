"""Where each vector of a plan goes: a collection of the library's own model, or a supplied one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import psycopg

from greenlang_vectors.embedding.models import ModelSpec, resolve_model
from greenlang_vectors.embedding.opening import as_run
from greenlang_vectors.errors import ModelUnavailable, UsageError
from greenlang_vectors.migration.plan import Plan, VectorMapping
from greenlang_vectors.migration.schema import CollectionInfo
from greenlang_vectors.migration.unfit import METRICS
from greenlang_vectors.settings import get_settings
from greenlang_vectors.store import collections, namespaces
from greenlang_vectors.store.collections import Collection
from greenlang_vectors.store.encryption import data_keys
from greenlang_vectors.store.index_settings import IndexSettings
from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.weaviate_rows import Target, language_of_rows

DEFAULT_LANGUAGE = "english"
"""Of passages that come over into a namespace that holds none yet."""


def model_of(mapped: VectorMapping, dimensions: int | None = None) -> ModelSpec | None:
    """The model that made a vector, where it is the library's to open; weights are not loaded.

    Args:
        dimensions: that the vectors have; a model of others did not make them.
    """
    try:
        spec = resolve_model(mapped.model)
    except ModelUnavailable:
        return None
    return spec if dimensions in {None, spec.dimensions} else None


def language_of(connection: psycopg.Connection, namespace: str, plan: Plan) -> str:
    """The text search configuration of what comes over: the plan's, or that of what is here."""
    return plan.language or language_of_rows(connection, namespace) or DEFAULT_LANGUAGE


def present(connection: psycopg.Connection, namespace: str, plan: Plan) -> list[Target] | None:
    """Where each vector goes, in the plan's order; None where a collection is missing."""
    known = {each.model: each for each in collections.list_all(connection, namespace)}
    found = [_collection(known, mapped) for mapped in plan.vectors]
    return None if None in found else [_target(each) for each in found if each is not None]


def prepare(
    connection: psycopg.Connection,
    namespace: str,
    plan: Plan,
    info: CollectionInfo,
    dimensions: Sequence[int | None],
) -> list[Target]:
    """The same, collections that are missing being made; they are compared as Weaviate does.

    Args:
        dimensions: of each vector in Weaviate; None where it has none.

    Raises:
        UnknownNamespace: it is not registered.
        UsageError: the namespace is encrypted, nothing tells how long a vector is, or a
            collection of the model's name holds something else.
    """
    namespaces.get(connection, namespace)
    if data_keys.of_namespace(connection, namespace):
        raise UsageError(
            f"{namespace} is encrypted, and what comes from Weaviate is not.",
            "Enable encryption after the move.",
        )
    targets = []
    for mapped, length in zip(plan.vectors, dimensions, strict=True):
        known = {each.model: each for each in collections.list_all(connection, namespace)}
        found = _collection(known, mapped)
        if found is None:
            index = IndexSettings(metric=METRICS[info.metrics[mapped.name]])
            found = _make(connection, namespace, mapped, length, index)
        elif length not in {None, found.dimensions}:
            raise UsageError(
                f"The collection {found.name} holds {found.dimensions} dimensions, and Weaviate's "
                f"vectors have {length}.",
                "Plan with another name for their model.",
            )
        targets.append(_target(found))
    return targets


def _make(
    connection: psycopg.Connection,
    namespace: str,
    mapped: VectorMapping,
    dimensions: int | None,
    index: IndexSettings,
) -> Collection:
    spec = model_of(mapped, dimensions)
    if spec is None:
        if dimensions is None:
            raise UsageError(
                f"Weaviate holds no vector of {mapped.model} yet: nothing tells its length.",
                "Let Weaviate have an object with this vector first.",
            )
        return collections.ensure_supplied(
            connection, Leaf(namespace, mapped.model, dimensions), index
        )
    leaf = Leaf(namespace, spec.name, spec.dimensions)
    source = str(spec.directory) if Path(mapped.model).is_dir() else mapped.model
    if collections.serving(connection, namespace) is None:
        collections.ensure_first(connection, leaf, source, index)
        return collections.get(connection, f"{namespace}/{spec.name}")
    return collections.create(
        connection, leaf, index, model_source=source, max_tokens=spec.max_tokens
    )


def _collection(known: dict[str, Collection], mapped: VectorMapping) -> Collection | None:
    spec = model_of(mapped)
    return known.get(mapped.model) or (None if spec is None else known.get(spec.name))


def _target(collection: Collection) -> Target:
    if collection.supplied:
        return Target(collection.leaf, collections.supplied_fingerprint(collection.leaf))
    # what the model made elsewhere is as good as what it makes here
    spec = as_run(collection.model_source, get_settings())
    return Target(collection.leaf, spec.fingerprint(True))
