"""Filters of searches and deletions: by id, time, and the values of properties."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable
from typing import Any

from weaviate.proto.v1 import base_pb2

from local.weaviate_server import schema
from local.weaviate_server.errors import not_answered
from local.weaviate_server.schema import Json
from local.weaviate_server.store import Collection, Shard, StoredObject

Filters = base_pb2.Filters


def matching(collection: Collection, shard: Shard, wanted: Filters) -> list[StoredObject]:
    """The objects that match, in the order in which they were written.

    Raises:
        Refused: the filter is of a kind that is left out.
    """
    ids = _ids(wanted)
    if ids is None:
        candidates = list(shard.objects.values())
    else:
        candidates = [shard.objects[each] for each in ids if each in shard.objects]
    found = [each for each in candidates if _matches(collection, each, wanted)]
    return sorted(found, key=lambda each: each.number)


def _ids(wanted: Filters) -> set[str] | None:
    """The ids that alone can match, where the filter names them."""
    if wanted.operator in {Filters.OPERATOR_AND, Filters.OPERATOR_OR}:
        parts = [_ids(each) for each in wanted.filters]
        named = [part for part in parts if part is not None]
        if wanted.operator == Filters.OPERATOR_AND:
            return set.intersection(*named) if named else None
        return set().union(*named) if len(named) == len(parts) else None
    if wanted.target.property not in {"_id", "id"}:
        return None
    if wanted.operator == Filters.OPERATOR_EQUAL:
        return {wanted.value_text.lower()}
    if wanted.operator == Filters.OPERATOR_CONTAINS_ANY:
        return {each.lower() for each in wanted.value_text_array.values}
    return None


def _matches(collection: Collection, stored: StoredObject, wanted: Filters) -> bool:
    if wanted.operator in _JOINED:
        parts = (_matches(collection, stored, each) for each in wanted.filters)
        return _JOINED[wanted.operator](parts)
    if wanted.target.WhichOneof("target") not in {"property", None} or wanted.value_geo.distance:
        raise not_answered("a filter by reference or distance")
    name = wanted.target.property or wanted.on[0]
    value = _value(stored, name)
    if wanted.operator == Filters.OPERATOR_IS_NULL:
        return bool((value is None) == wanted.value_boolean)
    known = schema.property_of(collection.definition, name)
    by_word = known is not None and known.get("tokenization") == "word"
    return _holds(wanted.operator, _all(value), _sent(wanted), by_word)


def _holds(operator: int, found: list[Json], sent: Json, by_word: bool) -> bool:
    if operator == Filters.OPERATOR_NOT_EQUAL:
        return not _equal(found, sent, by_word)
    if operator == Filters.OPERATOR_EQUAL:
        return _equal(found, sent, by_word)
    if operator == Filters.OPERATOR_LIKE:
        return any(fnmatch.fnmatchcase(each.lower(), sent.lower()) for each in found)
    if operator in _CONTAINS:
        return _CONTAINS[operator](_equal(found, each, by_word) for each in sent)
    if operator in _COMPARED:
        return any(_COMPARED[operator](each, sent) for each in found)
    raise not_answered("this filter")


def _value(stored: StoredObject, name: str) -> Json:
    if name in {"_id", "id"}:
        return stored.id
    if name in {"_creationTimeUnix", "_lastUpdateTimeUnix"}:
        return stored.created if name == "_creationTimeUnix" else stored.updated
    return stored.properties.get(name)


def _sent(wanted: Filters) -> Json:
    kind = wanted.WhichOneof("test_value")
    if kind is None:
        return None
    value: Json = getattr(wanted, kind)
    return list(value.values) if kind.endswith("_array") else value


def _equal(found: list[Json], sent: Json, by_word: bool) -> bool:
    if by_word:
        words = set(_words(sent))
        return any(words <= set(_words(each)) for each in found)
    return any(str(each) == str(sent) or each == sent for each in found)


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())


def _all(value: Json) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


_JOINED: dict[int, Callable[[Iterable[bool]], bool]] = {
    Filters.OPERATOR_AND: all,
    Filters.OPERATOR_OR: any,
    Filters.OPERATOR_NOT: lambda parts: not any(parts),
}
_CONTAINS: dict[int, Callable[[Any], bool]] = {
    Filters.OPERATOR_CONTAINS_ANY: any,
    Filters.OPERATOR_CONTAINS_ALL: all,
    Filters.OPERATOR_CONTAINS_NONE: lambda each: not any(each),
}
_COMPARED: dict[int, Callable[[Any, Any], bool]] = {
    Filters.OPERATOR_GREATER_THAN: lambda one, other: bool(one > other),
    Filters.OPERATOR_GREATER_THAN_EQUAL: lambda one, other: bool(one >= other),
    Filters.OPERATOR_LESS_THAN: lambda one, other: bool(one < other),
    Filters.OPERATOR_LESS_THAN_EQUAL: lambda one, other: bool(one <= other),
}
