"""What of a collection does not fit its plan: found in its schema, before an object is read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from greenlang_vectors.migration.plan import Plan
from greenlang_vectors.migration.schema import REFERENCE, CollectionInfo, PropertyInfo
from greenlang_vectors.store.index_settings import Metric

UNCARRIED = frozenset({"blob", REFERENCE})
"""Types that are carried only where the plan's metadata names them."""

METRICS: dict[str, Metric] = {"cosine": "cosine", "dot": "inner_product", "l2-squared": "l2"}
"""What pgvector calls Weaviate's distances; those it has no index for are missing.

Source: Weaviate's documentation, "Distance metrics"; pgvector's README, "Distances".
"""

_NAMES = frozenset({"text", "string", "uuid", "int"})
_WORDS = frozenset({"text", "string"})


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that keeps a plan from being carried out.

    Attributes:
        concerns: a property, or a vector.
        fatal: nothing begins before it is mended; otherwise it is only worth knowing.
    """

    concerns: str
    reason: str
    message: str
    remedy: str
    fatal: bool = True


def problems(plan: Plan, info: CollectionInfo) -> list[Problem]:
    """What of the collection does not fit the plan."""
    return [*_roles(plan, info), *_carried(plan, info), *_vectors(plan, info)]


def _roles(plan: Plan, info: CollectionInfo) -> Iterator[Problem]:
    for role, name, kinds in (
        ("content", plan.content, _WORDS),
        ("source_id", plan.source_id, _NAMES),
        ("chunk_index", plan.chunk_index, frozenset({"int", "number"})),
        ("title", plan.title, _WORDS),
    ):
        if name is None:
            continue
        known = info.properties.get(name)
        if known is None:
            yield _unknown(name, info)
        elif known.data_type not in kinds:
            yield Problem(
                name,
                "wrong_type",
                f"{name} is {known.data_type}, and {role} takes {' or '.join(sorted(kinds))}.",
                "Plan with another property.",
            )
        elif role == "source_id" and known.data_type in _WORDS and known.tokenization != "field":
            yield Problem(
                name,
                "split_into_words",
                f"{name} is split into words (tokenization {known.tokenization}): finding the "
                "objects of a source reads those of all that hold its words.",
                "It works, slower; a property with tokenization field is quick.",
                fatal=False,
            )


def _carried(plan: Plan, info: CollectionInfo) -> Iterator[Problem]:
    named = plan.metadata or {}
    for name in (*named, *plan.left_out):
        if name not in info.properties:
            yield _unknown(name, info)
    keys = list(named.values())
    for name, key in named.items():
        if keys.count(key) > 1:
            yield Problem(
                name, "same_key", f"Two properties become {key!r}.", "Give each a key of its own."
            )
    elsewhere = {plan.content, plan.source_id, plan.chunk_index, plan.title, *plan.left_out}
    for name, known in info.properties.items():
        if name not in elsewhere:
            yield from _carried_as_metadata(plan, known)


def _carried_as_metadata(plan: Plan, known: PropertyInfo) -> Iterator[Problem]:
    named = known.name in (plan.metadata or {})
    if not named and known.data_type in UNCARRIED:
        yield _not_carried(known)
    elif not named and plan.metadata is not None:
        yield Problem(
            known.name,
            "not_named",
            f"{known.name} is neither named in the plan's metadata nor left out.",
            "Name it in metadata or in left_out.",
        )
    else:
        yield from _nested_blobs(known.name, known)


def _vectors(plan: Plan, info: CollectionInfo) -> Iterator[Problem]:
    for mapped in plan.vectors:
        concerns = "the vector" if mapped.name is None else f"the vector {mapped.name!r}"
        metric = info.metrics.get(mapped.name)
        if metric is None:
            known = ", ".join(repr(name) for name in info.metrics if name) or "one without a name"
            yield Problem(
                concerns,
                "unknown_vector",
                f"{info.name} has no such vector; it has {known}.",
                "Name one of them in vectors.",
            )
        elif metric not in METRICS:
            yield Problem(
                concerns,
                "metric",
                f"It is compared by {metric}, which pgvector has no index for.",
                f"Plan with a vector that is compared by {' or '.join(sorted(METRICS))}.",
            )


def _not_carried(known: PropertyInfo) -> Problem:
    what = "a blob" if known.data_type == "blob" else f"a reference to {', '.join(known.targets)}"
    return Problem(
        known.name,
        "not_carried",
        f"{known.name} is {what}.",
        "Name it in left_out, or in metadata to have it carried as JSON.",
    )


def _nested_blobs(path: str, known: PropertyInfo) -> Iterator[Problem]:
    """Weaviate leaves blobs inside objects out of every answer that does not name them."""
    for name, inner in known.nested.items():
        if inner.data_type == "blob":
            yield Problem(
                f"{path}.{name}",
                "not_carried",
                f"{path}.{name} is a blob inside an object.",
                f"Name {path} in left_out.",
            )
        else:
            yield from _nested_blobs(f"{path}.{name}", inner)


def _unknown(name: str, info: CollectionInfo) -> Problem:
    return Problem(
        name,
        "unknown_property",
        f"{info.name} has no property {name!r}.",
        f"It has {', '.join(sorted(info.properties)) or 'none'}.",
    )
