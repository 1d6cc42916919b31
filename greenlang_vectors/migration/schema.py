"""A collection of Weaviate as its schema describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

REFERENCE = "reference"
"""The type of a property that points to objects; Weaviate's own name of it is their collection."""

BEACON = "weaviate://localhost/"
"""What a reference begins with; the collection and the object's uuid follow."""


@dataclass(frozen=True, slots=True)
class PropertyInfo:
    """A property of a collection, or of an object property.

    Attributes:
        data_type: as Weaviate names it ("text", "int[]", "geoCoordinates"), or REFERENCE.
        tokenization: how a text is split for search; None for other types.
        targets: the collections a reference may point to.
        nested: of an object property, its own properties by name.
    """

    name: str
    data_type: str
    tokenization: str | None = None
    targets: tuple[str, ...] = ()
    nested: Mapping[str, PropertyInfo] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CollectionInfo:
    """A collection.

    Attributes:
        server_version: of the Weaviate that holds it.
        properties: by name, in the schema's order.
        metrics: distance by the vector's name, None for the only one ("cosine", "dot",
            "l2-squared", "manhattan", "hamming").
        multi_tenant: whether its objects are split by tenant.
    """

    name: str
    server_version: str
    properties: Mapping[str, PropertyInfo]
    metrics: Mapping[str | None, str]
    multi_tenant: bool


def collection_info(definition: Mapping[str, Any], server_version: str) -> CollectionInfo:
    """Read a collection's JSON, as `/v1/schema/{collection}` answers it."""
    named: Mapping[str, Any] = definition.get("vectorConfig") or {}
    metrics: dict[str | None, str] = {name: _metric(each) for name, each in named.items()}
    if not named:
        metrics[None] = _metric(definition)
    return CollectionInfo(
        name=definition["class"],
        server_version=server_version,
        properties=_properties(definition.get("properties") or ()),
        metrics=metrics,
        multi_tenant=bool((definition.get("multiTenancyConfig") or {}).get("enabled")),
    )


def _metric(holder: Mapping[str, Any]) -> str:
    return str((holder.get("vectorIndexConfig") or {}).get("distance") or "cosine")


def _properties(found: Any) -> dict[str, PropertyInfo]:  # noqa: ANN401 - JSON
    return {each["name"]: _property(each) for each in found}


def _property(found: Mapping[str, Any]) -> PropertyInfo:
    kinds = tuple(found["dataType"])
    points = kinds[0][:1].isupper()
    return PropertyInfo(
        name=found["name"],
        data_type=REFERENCE if points else kinds[0],
        tokenization=found.get("tokenization"),
        targets=kinds if points else (),
        nested=_properties(found.get("nestedProperties") or ()),
    )
