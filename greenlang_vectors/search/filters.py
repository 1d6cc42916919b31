"""The filter language of searches (PRD 8.1.2): what may be asked, and reading it.

As JSON: `{"field": "metadata.year", "op": "gte", "value": 2023}`, joined by `{"and": [...]}`,
`{"or": [...]}` and `{"not": {...}}`. As text, one comparison: `metadata.year >= 2023`.

Fields:

| field                    | is                                    | operators                     |
|--------------------------|---------------------------------------|-------------------------------|
| `source_type`            | text                                  | eq ne in nin like exists      |
| `source_id`              | UUID of the document                  | eq ne in nin exists           |
| `document`               | text, the document's key in its       | eq ne in nin like exists      |
|                          | source, such as a path                |                               |
| `created_at`,            | a moment (ISO 8601; UTC unless said), | eq ne gt gte lt lte in nin    |
| `updated_at`             | or a day: the whole of it             | exists                        |
| `metadata.<key>[.<key>]` | any JSON value                        | all                           |

A key that holds a dot, a blank or a quote is written as a JSON string: `metadata."a.b"`.

Numbers of provisions are text ("8", "19a") in `metadata.article`, `.paragraph`, `.recital` and
`.annex`: eq, ne, in and nin take a whole number there for itself and for its text.

Logic has two values: every comparison is true or false, never unknown. A key that is missing and
one whose value is JSON null are the same: nothing is there.

| operator        | is true when                                            | nothing there        |
|-----------------|---------------------------------------------------------|----------------------|
| eq v            | the value is v, of the same JSON type (1 is 1.0, not    | false                |
|                 | "1" and not true); a list is not its element            |                      |
| gt gte lt lte v | both are numbers, or both are texts in the order of     | false                |
|                 | their code points (so of ISO 8601 dates)                |                      |
| in [v, ...]     | eq holds for some v; `in []` is true of nothing         | false                |
| like p          | the value is text that p describes: % stands for any    | false                |
|                 | text, _ for one character, \\ takes the next literally; |                      |
|                 | case counts                                             |                      |
| contains v      | the value is a list with the element v, or with every   | false                |
|                 | one of a list [v, ...]; `contains []`: it is a list     |                      |
| exists true     | something is there                                      | false (`exists       |
|                 |                                                         | false`: true)        |
| ne, nin         | eq, in is false: `nin []` is true of everything         | true                 |
| not             | the part is false                                       | by its part          |
| and [], or []   | true, false                                             |                      |
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, cast

from greenlang_vectors.documents.model import JSON
from greenlang_vectors.errors import UsageError
from greenlang_vectors.search.filter_fields import (
    KEY,
    NUMBERS,
    OPERATORS,
    ORDER,
    TEXTS,
    Kind,
    field,
    kind_of,
    named,
    path_of,
    pattern,
    scalar,
    short,
    wrong,
)

Operator = Literal["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin", "like", "exists", "contains"]

MAX_DEPTH: Final = 8
"""Levels of and, or and not."""
MAX_COMPARISONS: Final = 50
MAX_VALUES: Final = 1000
"""Values of all lists together."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A field compared with a value."""

    field: str
    op: Operator
    value: JSON


@dataclass(frozen=True, slots=True)
class And:
    """Every part holds; true where there are none."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Some part holds; false where there are none."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: Filter


@dataclass(frozen=True, slots=True)
class Newest:
    """The part holds, and the passage is of the newest version of its act; not asked by callers.

    Recitals are always: consolidated versions leave them out.
    """

    part: Filter


Filter: TypeAlias = Comparison | And | Or | Not | Newest
_SHAPES: Final = (
    'A filter is {"field": ..., "op": ..., "value": ...}, {"and": [...]}, {"or": [...]} or'
    ' {"not": {...}}.'
)
_SYMBOLS: Final[dict[str, Operator]] = {
    "=": "eq",
    "!=": "ne",
    ">=": "gte",
    "<=": "lte",
    ">": "gt",
    "<": "lt",
    "~": "like",
}
_ALTERNATIVES: Final[dict[Operator, Operator]] = {"eq": "in", "in": "in", "ne": "nin", "nin": "nin"}
"""By operator, the one that takes several values."""
_TEXT: Final = re.compile(
    rf"\s*((?:{KEY})(?:\.(?:{KEY}))*)\s*"
    r"(!=|>=|<=|=|>|<|~|(?<=\s)(?:in|nin|like|contains|exists)(?=\s|$))\s*(.*?)\s*",
    re.DOTALL,
)
_ITEM: Final = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[^,]*)\s*(?:,|$)')


def parse(value: JSON) -> Filter:
    """A filter out of JSON.

    Raises:
        UsageError: it is none; the message says where, and what is possible there.
    """
    return _Reader().read(value, "filter", 1)


def parse_text(text: str) -> Comparison:
    """A comparison as it is typed: `metadata.year>=2023`, `metadata.tag in a,b`, `document~cbam/%`.

    Operators: `=  !=  >  >=  <  <=  ~` (like) and the words in, nin, like, contains, exists. Of
    metadata, a value that reads as a JSON number, text, true or false is that; anything else is
    text, and so is all of `metadata.celex`, `.paragraphs` and `.recitals`. Values of a list are
    separated by commas.

    Raises:
        UsageError: as for `parse`.
    """
    matched = _TEXT.fullmatch(text)
    if matched is None:
        raise UsageError(
            f"The filter {short(text)} is not FIELD OPERATOR VALUE.",
            "As in: source_type=document, metadata.year>=2023, metadata.tag in a,b.",
        )
    name, sign, rest = matched.groups()
    op = _SYMBOLS.get(sign, sign)
    typed = name.startswith("metadata.") and name not in TEXTS
    value: JSON
    if op == "exists":
        value = _item(rest, True) if rest else True
    elif op in {"in", "nin"} or (op == "contains" and "," in rest):
        value = _items(rest, typed)
    else:
        value = _item(rest, typed and op != "like")
    return cast("Comparison", parse({"field": name, "op": op, "value": value}))


def as_json(filter: Filter) -> JSON:
    """The filter as `parse` reads it, the same for filters that differ in order alone."""
    match filter:
        case Comparison(name, op, value):
            if op in {"in", "nin", "contains"} and isinstance(value, list):
                value = _distinct(value)
            return {"field": name, "op": op, "value": value}
        case And(parts):
            return {"and": _distinct([as_json(part) for part in parts])}
        case Or(parts):
            return {"or": _distinct([as_json(part) for part in parts])}
        case Not(part):
            return {"not": as_json(part)}
        case Newest(part):
            return {"newest": as_json(part)}


def metadata_keys(filter: Filter) -> set[str]:
    """The outermost keys of metadata that a parsed filter compares."""
    match filter:
        case Comparison(name):
            return set(path_of(name)[:1]) if kind_of(name) == "json" else set()
        case And(parts) | Or(parts):
            return {key for part in parts for key in metadata_keys(part)}
        case Not(part) | Newest(part):
            return metadata_keys(part)


class _Reader:
    """Reads one filter, counting what it holds."""

    def __init__(self) -> None:
        self._comparisons = 0
        self._values = 0

    def read(self, value: JSON, at: str, depth: int) -> Filter:
        if depth > MAX_DEPTH:
            raise wrong(at, f"lies deeper than {MAX_DEPTH} levels", "Nest less deeply.")
        if not isinstance(value, dict):
            raise wrong(at, f"is {named(value)}, not an object", _SHAPES)
        match value:
            case {"and": list(parts), **rest} if not rest:
                return And(self._parts(parts, f"{at}.and", depth))
            case {"or": list(parts), **rest} if not rest:
                return Or(self._parts(parts, f"{at}.or", depth))
            case {"not": part, **rest} if not rest:
                return Not(self.read(part, f"{at}.not", depth + 1))
            case {"field": name, "op": op, "value": operand, **rest} if not rest:
                return self._comparison(name, op, operand, at)
        raise wrong(at, f"has the keys {short(list(value))}", _SHAPES)

    def _parts(self, parts: list[JSON], at: str, depth: int) -> tuple[Filter, ...]:
        return tuple(self.read(part, f"{at}[{i}]", depth + 1) for i, part in enumerate(parts))

    def _comparison(self, given: JSON, op: JSON, value: JSON, at: str) -> Comparison:
        self._comparisons += 1
        if self._comparisons > MAX_COMPARISONS:
            raise wrong(at, f"is one more than the {MAX_COMPARISONS} comparisons of a filter", "")
        name = field(given, f"{at}.field")
        kind = kind_of(name)
        if op not in OPERATORS[kind]:
            known = ", ".join(OPERATORS[kind])
            raise wrong(f"{at}.op", f"is {short(op)}", f"Of {name} there are: {known}.")
        at = f"{at}.value"
        match op:
            case "exists":
                if not isinstance(value, bool):
                    raise wrong(at, f"is {named(value)}", "exists takes true or false.")
            case "in" | "nin":
                value = self._list(value, kind, at, str(op))
            case "contains" if isinstance(value, list):
                value = self._list(value, kind, at, str(op))
            case "like":
                value = pattern(value, at)
            case _:
                value = scalar(value, kind, at, ordered=op in ORDER)
        comparison = Comparison(name, cast("Operator", op), value)
        return _numbers_as_text(comparison) if name in NUMBERS else comparison

    def _list(self, value: JSON, kind: Kind, at: str, op: str) -> JSON:
        if not isinstance(value, list):
            raise wrong(at, f"is {named(value)}", f"{op} takes a list.")
        self._values += len(value)
        if self._values > MAX_VALUES:
            raise wrong(at, f"brings the values of all lists above {MAX_VALUES}", "")
        return [scalar(item, kind, f"{at}[{i}]") for i, item in enumerate(value)]


def _numbers_as_text(asked: Comparison) -> Comparison:
    """The comparison with whole numbers and their texts, where it asks for equality."""
    values = asked.value if isinstance(asked.value, list) else [asked.value]
    texts = [str(each) for each in values if isinstance(each, int) and not isinstance(each, bool)]
    missing = [text for text in texts if text not in values]
    op: Operator | None = _ALTERNATIVES.get(asked.op)
    return asked if op is None or not missing else Comparison(asked.field, op, [*values, *missing])


def _items(text: str, typed: bool) -> list[JSON]:
    """The values of a list that is written with commas."""
    items: list[JSON] = []
    position = 0
    while position < len(text):
        matched = cast("re.Match[str]", _ITEM.match(text, position))
        if matched.end() == position or not matched[1]:
            raise UsageError(f"The list {short(text)} has an empty place.", "As in: a,b,c.")
        items.append(_item(matched[1].strip(), typed))
        position = matched.end()
    return items


def _item(text: str, typed: bool) -> JSON:
    if (typed and text[:1] not in "[{") or text.startswith('"'):
        try:
            value: JSON = json.loads(text)
        except ValueError:
            return text
        if isinstance(value, str | int | float):
            return value
    return text


def _distinct(values: list[JSON]) -> list[JSON]:
    by_text = {json.dumps(value, sort_keys=True): value for value in values}
    return [by_text[text] for text in sorted(by_text)]
