"""Collections as the server describes them: what it fills in, and the type of each property."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

Json = Any
"""A value as JSON carries it."""

Definition = dict[str, Json]
"""A collection, or a property, in the JSON of `/v1/schema`."""

UNNAMED: Final = ""
"""The name under which the legacy, unnamed vector of an object is kept."""

_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)

_HNSW: Final[Definition] = {
    "skip": False,
    "cleanupIntervalSeconds": 300,
    "maxConnections": 32,
    "efConstruction": 128,
    "ef": -1,
    "dynamicEfMin": 100,
    "dynamicEfMax": 500,
    "dynamicEfFactor": 8,
    "vectorCacheMaxObjects": 1_000_000_000_000,
    "flatSearchCutoff": 40_000,
    "distance": "cosine",
    "filterStrategy": "sweeping",
    "multivector": {"enabled": False, "aggregation": "maxSim"},
    "pq": {"enabled": False},
    "bq": {"enabled": False},
    "sq": {"enabled": False},
    "rq": {"enabled": False},
}
_DEFAULTS: Final[Definition] = {
    "invertedIndexConfig": {
        "bm25": {"b": 0.75, "k1": 1.2},
        "cleanupIntervalSeconds": 60,
        "stopwords": {"preset": "en", "additions": None, "removals": None},
    },
    "multiTenancyConfig": {
        "enabled": False,
        "autoTenantCreation": False,
        "autoTenantActivation": False,
    },
    "replicationConfig": {
        "factor": 1,
        "asyncEnabled": False,
        "deletionStrategy": "TimeBasedResolution",
    },
    "shardingConfig": {
        "virtualPerPhysical": 128,
        "desiredCount": 1,
        "actualCount": 1,
        "desiredVirtualCount": 128,
        "actualVirtualCount": 128,
        "key": "_id",
        "strategy": "hash",
        "function": "murmur3",
    },
}


def capital(name: str) -> str:
    """Name a collection as the server does: it begins with a capital."""
    return name[:1].upper() + name[1:]


def small(name: str) -> str:
    """Name a property as the server does: it begins with a small letter."""
    return name[:1].lower() + name[1:]


def completed(given: Definition) -> Definition:
    """The definition that the server keeps for one that was sent."""
    definition = _merged(_DEFAULTS, given)
    definition["class"] = capital(str(given["class"]))
    definition["properties"] = [_property(each) for each in given.get("properties") or ()]
    if vectors := given.get("vectorConfig"):
        definition["vectorConfig"] = {
            name: _merged(
                {"vectorizer": {"none": {}}, "vectorIndexType": "hnsw", "vectorIndexConfig": _HNSW},
                config,
            )
            for name, config in vectors.items()
        }
        for legacy in ("vectorizer", "vectorIndexType", "vectorIndexConfig"):
            definition.pop(legacy, None)
    else:
        definition.pop("vectorConfig", None)
        definition.setdefault("vectorizer", "none")
        definition.setdefault("vectorIndexType", "hnsw")
        definition["vectorIndexConfig"] = _merged(_HNSW, given.get("vectorIndexConfig") or {})
    return definition


def data_type(definition: Definition) -> str:
    """The type of a property; `ref` where it points to other collections."""
    name = str(definition["dataType"][0])
    return "ref" if name[:1].isupper() else name


def property_of(definition: Definition, name: str) -> Definition | None:
    """The property of this name in a collection, or in an object property."""
    nested = definition.get("nestedProperties") or definition.get("properties") or ()
    return next((each for each in nested if each["name"] == name), None)


def plain_properties(definition: Definition) -> Iterator[Definition]:
    """The properties a server returns when none is named: neither blobs nor references."""
    for each in definition.get("nestedProperties") or definition.get("properties") or ():
        if data_type(each) not in {"blob", "ref"}:
            yield each


def distance_metric(definition: Definition, vector: str) -> str:
    """How the vectors of this name are compared."""
    holder = definition if vector == UNNAMED else definition["vectorConfig"][vector]
    return str(holder["vectorIndexConfig"].get("distance", "cosine"))


def is_multi_tenant(definition: Definition) -> bool:
    """Whether the collection is split by tenant."""
    return bool(definition["multiTenancyConfig"]["enabled"])


def is_date(text: str) -> bool:
    """Whether this is a date as RFC 3339 writes it."""
    return _DATE.fullmatch(text) is not None


def guessed_property(name: str, value: Json) -> Definition:
    """The property that the server adds for a value it has none for (auto schema)."""
    kind = _guessed_type(value)
    guessed: Definition = {"name": name, "dataType": [kind]}
    if kind in {"object", "object[]"}:
        rows = value if isinstance(value, list) else [value]
        fields = {key: inner for row in rows for key, inner in row.items()}
        guessed["nestedProperties"] = [
            guessed_property(key, inner) for key, inner in fields.items() if inner is not None
        ]
    return _property(guessed)


def _guessed_type(value: Json) -> str:
    if isinstance(value, list):
        return f"{_guessed_type(value[0])}[]" if value else "text[]"
    if isinstance(value, dict):
        if value.keys() == {"latitude", "longitude"}:
            return "geoCoordinates"
        return "phoneNumber" if "input" in value else "object"
    if isinstance(value, str):
        if is_date(value):
            return "date"
        return "uuid" if _UUID.fullmatch(value) else "text"
    return "boolean" if isinstance(value, bool) else "number"


def _property(given: Definition) -> Definition:
    definition = copy.deepcopy(given)
    kind = data_type(definition)
    definition["name"] = small(str(given["name"]))
    for key, default in (
        ("indexFilterable", kind not in {"blob", "object", "object[]"}),
        ("indexSearchable", kind in {"text", "text[]"}),
        ("indexRangeFilters", False),
    ):
        if definition.get(key) is None:
            definition[key] = default
    if kind in {"text", "text[]"} and not definition.get("tokenization"):
        definition["tokenization"] = "word"
    if nested := definition.get("nestedProperties"):
        definition["nestedProperties"] = [_property(each) for each in nested]
    return definition


def _merged(defaults: Mapping[str, Any], given: Mapping[str, Any]) -> Definition:
    merged = copy.deepcopy(dict(defaults))
    for key, value in given.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = _merged(merged[key], value)
        elif value is not None:
            merged[key] = copy.deepcopy(value)
    return merged
