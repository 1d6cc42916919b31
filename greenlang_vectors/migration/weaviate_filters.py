"""A search's filter in the words of Weaviate, exactly, or not at all (PRD 8.1.2).

The filter language (`search.filters`) has two truth values and types of JSON; Weaviate has types of
properties, and compares texts by their words. What of a filter the schema decides by itself, such
as a text compared with a number, becomes true or false here; what Weaviate would answer otherwise
than pgvector is refused:

- texts that are split into words (their tokenization must be `field`), and their order;
- `created_at` and `updated_at`, which are of the row in PostgreSQL;
- metadata inside metadata, and metadata that is no property;
- dates without a time: Weaviate compares moments.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast
from uuid import UUID

from greenlang_vectors.documents.model import JSON
from greenlang_vectors.errors import UsageError
from greenlang_vectors.migration.asking import ID, Condition, Operator
from greenlang_vectors.migration.plan import Plan
from greenlang_vectors.migration.schema import CollectionInfo, PropertyInfo
from greenlang_vectors.search.filter_fields import path_of
from greenlang_vectors.search.filters import And, Comparison, Filter, Newest, Not, Or

Value = bool | int | float | str

_ORDER: Final[dict[str, Operator]] = {
    "gt": "GREATER_THAN",
    "gte": "GREATER_THAN_EQUAL",
    "lt": "LESS_THAN",
    "lte": "LESS_THAN_EQUAL",
}
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_SCALARS: Final = frozenset({"text", "uuid", "date", "int", "number", "boolean"})
_TEXTS: Final = frozenset({"text", "uuid", "date"})


class NotSayable(UsageError):
    """A search that Weaviate cannot answer as pgvector does."""


@dataclass(frozen=True, slots=True)
class Translator:
    """Filters of one tenant's objects.

    Attributes:
        property_of: the property by metadata key.
        objects_of: the objects that are passages of these documents.
    """

    plan: Plan
    info: CollectionInfo
    tenant: str
    property_of: Mapping[str, str]
    objects_of: Callable[[Sequence[UUID]], Sequence[UUID]]

    def translated(self, filter: Filter) -> Condition | bool:  # noqa: PLR0911 - one for each shape
        """The filter; true or false where every object fulfils it, or none.

        Raises:
            NotSayable: Weaviate has no words for it.
        """
        match filter:
            case And(parts):
                return _joined("AND", [self.translated(part) for part in parts], True)
            case Or(parts):
                return _joined("OR", [self.translated(part) for part in parts], False)
            case Not(part):
                return _not(self.translated(part))
            case Comparison(field, "nin", value):
                return _not(self.translated(Comparison(field, "in", value)))
            case Comparison(field, "exists", False):
                return _not(self.translated(Comparison(field, "exists", True)))
            case Comparison("source_type", op, value):
                return _fixed(self.plan.source_type, op, value)
            case Comparison("source_id", op, value):
                return self._document_ids(op, value)
            case Comparison("document", op, value):
                return self._document(op, value)
            case Comparison(field, op, value) if field.startswith("metadata."):
                return self._metadata(field, op, value)
            case Comparison(field):
                raise NotSayable(f"Weaviate knows no {field}.", "Leave it out of the filter.")
            case Newest():
                raise NotSayable(
                    "Weaviate does not know which version of an act is the newest.",
                    "Search all versions.",
                )

    def _document_ids(self, op: str, value: JSON) -> Condition | bool:
        if op == "exists":
            return True
        wanted = [UUID(str(each)) for each in (value if isinstance(value, list) else [value])]
        objects = [str(each) for each in self.objects_of(wanted)]
        found = Condition("CONTAINS_ANY", ID, objects) if objects else False
        return _not(found) if op == "ne" else found

    def _document(self, op: str, value: JSON) -> Condition | bool:
        """The document's key: the source id behind the tenant, or the object's id."""
        if op == "exists":
            return True
        if self.tenant:
            if op == "like":
                raise NotSayable(
                    "Weaviate cannot compare the keys of documents of several tenants with a"
                    " pattern.",
                    "Name the documents.",
                )
            value = _within(self.tenant, value)
        if self.plan.source_id is not None:
            known = self.info.properties[self.plan.source_id]
            if known.data_type == "int":
                raise _unlike(known)
        else:
            known = PropertyInfo(ID, "uuid")
        return _compared(known, op, value)

    def _metadata(self, field: str, op: str, value: JSON) -> Condition | bool:
        path = path_of(field)
        name = self.property_of.get(path[0])
        if name is None or len(path) > 1:
            raise NotSayable(f"Weaviate has no property for {field}.", "Leave it out.")
        return _compared(self.info.properties[name], op, value)


def _compared(  # noqa: PLR0911 - one for each operator
    known: PropertyInfo, op: str, value: JSON
) -> Condition | bool:
    """A comparison of a property; that of a missing value is false, but of `ne`."""
    if op == "ne":
        return _not(_compared(known, "eq", value))
    kind = known.data_type.removesuffix("[]").replace("string", "text")
    if kind not in _SCALARS:
        raise _unlike(known)
    if op == "exists":
        return Condition("IS_NULL", known.name, False)
    if known.data_type.endswith("[]"):
        return _held(known, kind, op, value)
    match op:
        case "in":
            values = [
                v for v in (_sent(known, kind, each) for each in _list(value)) if v is not None
            ]
            return Condition("CONTAINS_ANY", known.name, values) if values else False
        case "eq":
            sent = _sent(known, kind, value)
            return False if sent is None else Condition("EQUAL", known.name, sent)
        case "like":
            return _like(known, kind, str(value))
        case "contains":
            return False
    return _ordered(known, kind, op, value)


def _held(known: PropertyInfo, kind: str, op: str, value: JSON) -> Condition | bool:
    """What is true of a list: that it has an element, or each of several."""
    if op != "contains":
        return False
    wanted = value if isinstance(value, list) else [value]
    if not wanted:
        raise NotSayable("Weaviate tells no empty list from a missing one.", "Ask with `exists`.")
    values = [_sent(known, kind, each) for each in wanted]
    if None in values:
        return False
    return Condition("CONTAINS_ALL", known.name, cast("list[Value]", values))


def _sent(known: PropertyInfo, kind: str, value: JSON) -> Value | None:  # noqa: PLR0911
    """The value as the property's type has it; None where it can never be equal."""
    if kind in _TEXTS:
        if not isinstance(value, str):
            return None
        if kind == "uuid":
            return (
                value if re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", value) else None
            )
        if kind == "date":
            return _moment(value)
        if known.tokenization != "field" or value != value.strip() or not value:
            raise _unlike(known)
        return value
    if kind == "boolean":
        return value if isinstance(value, bool) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if kind == "number":
        return float(value)
    return int(value) if float(value).is_integer() else None


def _ordered(known: PropertyInfo, kind: str, op: str, value: JSON) -> Condition | bool:
    """Numbers have an order, and moments; a number and a text have none."""
    operator = _ORDER[op]
    if isinstance(value, str) and kind == "date":
        return Condition(operator, known.name, _moment(value))
    if isinstance(value, str) and kind in _TEXTS:
        raise NotSayable(f"Weaviate has no order of the texts of {known.name}.", "Leave it out.")
    if not isinstance(value, int | float) or kind not in {"int", "number"}:
        return False
    if kind == "number":
        return Condition(operator, known.name, float(value))
    if float(value).is_integer():
        return Condition(operator, known.name, int(value))
    # Between two whole numbers: above it is above the lower one, below it below the higher one.
    if op in {"gt", "gte"}:
        return Condition("GREATER_THAN", known.name, math.floor(value))
    return Condition("LESS_THAN", known.name, math.ceil(value))


def _like(known: PropertyInfo, kind: str, pattern: str) -> Condition | bool:
    if kind not in _TEXTS:
        return False
    if kind != "text" or known.tokenization != "field":
        raise _unlike(known)
    written = ""
    for escaped, each in re.findall(r"(\\?)(.)", pattern, re.DOTALL):
        if each in "*?":
            raise NotSayable(f"Weaviate cannot look for {each!r} in {known.name}.", "Leave it out.")
        written += each if escaped else {"%": "*", "_": "?"}.get(each, each)
    return Condition("LIKE", known.name, written)


def _moment(value: str) -> str:
    if not _MOMENT.fullmatch(value):
        raise NotSayable(
            f"Weaviate compares dates with moments, and {value!r} is none.",
            "Write it with time and offset: 2026-01-31T12:00:00Z.",
        )
    return value


def _fixed(held: str, op: str, value: JSON) -> bool:
    """A comparison of what is the same of all objects."""
    match op:
        case "eq":
            return held == value
        case "ne":
            return held != value
        case "in":
            return held in _list(value)
        case "like":
            parts = re.findall(r"(\\?)(.)", str(value), re.DOTALL)
            wild = {"%": ".*", "_": "."}
            written = "".join(
                re.escape(each) if escaped else wild.get(each, re.escape(each))
                for escaped, each in parts
            )
            return re.fullmatch(written, held, re.DOTALL) is not None
    return True


def _within(tenant: str, value: JSON) -> JSON:
    """Keys of documents without the tenant; of other tenants' there is none."""
    if isinstance(value, list):
        return [each for each in (_within(tenant, each) for each in value) if each is not None]
    key, begin = str(value), f"{tenant}/"
    return key.removeprefix(begin) if key.startswith(begin) else None


def _joined(operator: Operator, parts: list[Condition | bool], empty: bool) -> Condition | bool:
    if (not empty) in parts:
        return not empty
    left = tuple(part for part in parts if isinstance(part, Condition))
    if not left:
        return empty
    return left[0] if len(left) == 1 else Condition(operator, parts=left)


def _not(part: Condition | bool) -> Condition | bool:
    """What is false of the part; where there is an operator for it, that, as older servers know no
    NOT."""
    if isinstance(part, bool):
        return not part
    if part.operator == "EQUAL":
        return Condition("NOT_EQUAL", part.property, part.value)
    if part.operator == "IS_NULL":
        return Condition("IS_NULL", part.property, not part.value)
    return Condition("NOT", parts=(part,))


def _list(value: JSON) -> list[JSON]:
    return value if isinstance(value, list) else [value]


def _unlike(known: PropertyInfo) -> NotSayable:
    words = "" if known.tokenization is None else f", tokenization {known.tokenization}"
    return NotSayable(
        f"Weaviate does not compare {known.name} ({known.data_type}{words}) as it is asked.",
        "Leave it out of the filter.",
    )
