"""Filters as vector store libraries write them, in this package's filter language."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import cast

from greenlang_vectors.documents.model import JSON
from greenlang_vectors.errors import UsageError
from greenlang_vectors.search import filters
from greenlang_vectors.search.filters import Filter

Given = Filter | Mapping[str, JSON] | None

_OPERATORS = {
    f"${op}": op
    for op in ("eq", "ne", "gt", "gte", "lt", "lte", "in", "nin", "like", "exists", "contains")
}
_JOINS = {"$and": "and", "$or": "or"}


def read(given: Given) -> Filter | None:
    """A filter out of what a caller gave.

    Args:
        given: a filter, its JSON (`search.filters`), or a dict in the style of LangChain and
            MongoDB: `{"year": {"$gte": 2023}, "$or": [{"language": "en"}, …]}`, whose keys are
            keys of the metadata.

    Raises:
        UsageError: it is none of them.
    """
    if given is None or isinstance(
        given, filters.Comparison | filters.And | filters.Or | filters.Not
    ):
        return given
    return filters.parse(_translated(given))


def comparison(key: str, op: str, value: JSON) -> dict[str, JSON]:
    """The JSON of a comparison of one metadata key, which may hold any character."""
    return {"field": f"metadata.{json.dumps(key)}", "op": op, "value": value}


def _translated(given: object) -> JSON:
    if not isinstance(given, Mapping):
        raise UsageError(f"A filter is a dict, not {type(given).__name__}.")
    if given.keys() == {"field", "op", "value"} or (
        len(given) == 1 and given.keys() <= {"and", "or", "not"}
    ):
        return cast("JSON", given)
    return _all([_entry(key, value) for key, value in given.items()])


def _entry(key: str, value: JSON) -> JSON:
    if key in _JOINS:
        if not isinstance(value, list):
            raise UsageError(f"{key} takes a list of filters.")
        return {_JOINS[key]: [_translated(each) for each in value]}
    if key == "$not":
        return {"not": _translated(value)}
    if key.startswith("$"):
        raise UsageError(
            f"A filter has no operator {key} in the place of a key.", "Known: $and, $or, $not."
        )
    if isinstance(value, Mapping) and any(name.startswith("$") for name in value):
        return _all([_comparison(key, name, operand) for name, operand in value.items()])
    return comparison(key, "eq", value)


def _comparison(key: str, name: str, operand: JSON) -> JSON:
    if name == "$not":
        return {"not": _entry(key, operand)}
    if name == "$between":
        if not isinstance(operand, list | tuple) or len(operand) != 2:
            raise UsageError("$between takes a list of two values.")
        low, high = operand
        return {"and": [comparison(key, "gte", low), comparison(key, "lte", high)]}
    if name not in _OPERATORS:
        known = ", ".join([*_OPERATORS, "$between", "$not"])
        raise UsageError(f"A filter has no operator {name}.", f"Known: {known}.")
    return comparison(key, _OPERATORS[name], operand)


def _all(parts: list[JSON]) -> JSON:
    return parts[0] if len(parts) == 1 else {"and": parts}
