"""Filters as SQL over `vector_embeddings` (PRD 8.1.2).

Nothing of a filter reaches the statement as text: values, patterns and the keys of metadata are
bound parameters; columns and operators are written here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

from psycopg import sql
from psycopg.types.json import Jsonb

from greenlang_vectors.documents.model import JSON
from greenlang_vectors.search.filter_fields import kind_of, moments, path_of
from greenlang_vectors.search.filters import (
    And,
    Comparison,
    Filter,
    Newest,
    Not,
    Operator,
    Or,
    as_json,
    parse,
)

CONTAINED: Final = 16
"""A longer list is compared with by hash: each containment is a search of its own."""

_TRUE: Final = sql.Composed([sql.SQL("true")])
_FALSE: Final = sql.Composed([sql.SQL("false")])
_TEXT: Final = sql.SQL("{}::text")
_UUID: Final = sql.SQL("{}::uuid")
_MOMENT: Final = sql.SQL("{}::timestamptz")
_JSONB: Final = sql.SQL("{}::jsonb")
_SIGNS: Final[dict[Operator, sql.SQL]] = {
    "eq": sql.SQL("="),
    "gt": sql.SQL(">"),
    "gte": sql.SQL(">="),
    "lt": sql.SQL("<"),
    "lte": sql.SQL("<="),
    "like": sql.SQL("LIKE"),
}


def condition(filter: Filter, alias: str) -> tuple[sql.Composed, dict[str, object]]:
    """The filter over the columns of `vector_embeddings AS alias`; it is never NULL.

    Equality and containment in metadata are written `metadata @> ...`, which a GIN index finds.

    Returns:
        the condition, and its parameters f0, f1, ... Where the filter compares `document` or asks
        for the newest, the statement has to bind `namespace` too.

    Raises:
        UsageError: the filter was made by hand, and `parse` would refuse it.
    """
    writer = _Writer(alias)
    if isinstance(filter, Newest):
        return writer.write(Newest(parse(as_json(filter.part)))), writer.parameters
    return writer.write(parse(as_json(filter))), writer.parameters


def findable(filter: Filter) -> Filter | None:
    """What of a filter indexes answer (see `store.filter_indexes`): no row outside it passes."""
    match filter:
        case And(parts):
            found = tuple(part for part in map(findable, parts) if part is not None)
            return And(found) if found else None
        case Or(parts):
            found = tuple(part for part in map(findable, parts) if part is not None)
            return Or(found) if len(found) == len(parts) else None
        case Newest(part):
            return findable(part)
        case Comparison(field, op, value) if field in {"source_id", "document"}:
            return filter if op in {"eq", "in"} else None
        case Comparison(field, op, value) if kind_of(field) == "json":
            few = op == "in" and len(cast("list[JSON]", value)) <= CONTAINED
            return filter if few or op in {"eq", "contains"} else None
    return None


class _Writer:
    """Writes one condition and numbers its parameters."""

    def __init__(self, alias: str) -> None:
        self._row = sql.Identifier(alias)
        self.parameters: dict[str, object] = {}

    def write(self, filter: Filter) -> sql.Composed:  # noqa: PLR0911, PLR0912 - one for each shape
        """The condition of a part."""
        match filter:
            case And(parts):
                return _joined(sql.SQL(" AND "), [self.write(part) for part in parts], _TRUE)
            case Or(parts):
                return _joined(sql.SQL(" OR "), [self.write(part) for part in parts], _FALSE)
            case Not(part):
                return _not(self.write(part))
            case Newest(part):
                return _joined(sql.SQL(" AND "), [self.write(part), self._newest()], _TRUE)
            case Comparison(field, "ne", value):
                return _not(self.write(Comparison(field, "eq", value)))
            case Comparison(field, "nin", value):
                return _not(self.write(Comparison(field, "in", value)))
            case Comparison(field, "exists", False):
                return _not(self.write(Comparison(field, "exists", True)))
            case Comparison("document", op, value):
                return self._document(op, value)
            case Comparison(field, op, value):
                column = sql.SQL("{}.{}").format(self._row, sql.Identifier(field))
                match kind_of(field):
                    case "json":
                        return self._metadata(path_of(field), op, value)
                    case "moment":
                        return self._moment(column, op, value)
                    case "uuid":
                        return self._scalar(column, op, value, _UUID)
                    case "text":
                        return self._scalar(column, op, value, _TEXT)

    def _scalar(
        self, column: sql.Composed, op: Operator, value: JSON, cast: sql.SQL
    ) -> sql.Composed:
        """A column that is never NULL, compared as it is."""
        if op == "exists":
            return _TRUE
        if op == "in":
            values = sql.SQL("{}[]").format(self._bound(value, cast))
            return sql.SQL("{} = ANY({})").format(column, values)
        return self._compared(column, op, self._bound(value, cast))

    def _document(self, op: Operator, value: JSON) -> sql.Composed:
        """The documents are looked up once: of few an index finds the rows, many are hashed."""
        few = op in {"eq", "in"}
        key = sql.SQL("filtered.source_key").format()
        template = sql.SQL("{}.source_id = ANY(ARRAY({}))" if few else "{}.source_id IN ({})")
        return template.format(
            self._row,
            sql.SQL(
                "SELECT filtered.id FROM documents filtered"
                " WHERE filtered.namespace = %(namespace)s AND {}"
            ).format(self._scalar(key, op, value, _TEXT)),
        )

    def _newest(self) -> sql.Composed:
        return sql.SQL(
            "({row}.source_id NOT IN (SELECT superseded.id FROM documents superseded"
            " WHERE superseded.namespace = %(namespace)s AND superseded.superseded_by IS NOT NULL)"
            " OR {row}.metadata ? 'recital')"
        ).format(row=self._row)

    def _moment(self, column: sql.Composed, op: Operator, value: JSON) -> sql.Composed:
        if op == "exists":
            return _TRUE
        if op == "in":
            each = [self._moment(column, "eq", moment) for moment in cast("list[JSON]", value)]
            return _joined(sql.SQL(" OR "), each, _FALSE)
        begin, end = moments(cast("str", value))
        if end is None:
            return self._compared(column, op, self._bound(begin, _MOMENT))
        if op == "eq":
            both = [self._moment(column, "gte", value), self._moment(column, "lte", value)]
            return _joined(sql.SQL(" AND "), both, _TRUE)
        if op in {"gt", "lte"}:
            op = "gte" if op == "gt" else "lt"
            begin = end
        return self._compared(column, op, self._bound(begin, _MOMENT))

    def _metadata(  # noqa: PLR0911 - one for each operator
        self, path: Sequence[str], op: Operator, value: JSON
    ) -> sql.Composed:
        match op, value:
            case "eq", _:
                return self._contained(path, value)
            case "contains", _:
                return self._contained(path, value if isinstance(value, list) else [value])
            case "in", list(values) if len(values) <= CONTAINED:
                each = [self._contained(path, item) for item in values]
                return _joined(sql.SQL(" OR "), each, _FALSE)
            case "in", list(values):
                listed = sql.SQL("{}[]").format(self._bound([Jsonb(v) for v in values], _JSONB))
                return _known(sql.SQL("{} = ANY({})").format(self._at(path), listed))
            case "exists", _:
                return _known(sql.SQL("jsonb_typeof({}) <> 'null'").format(self._at(path)))
            case _, str():
                text = sql.SQL("({} #>> '{{}}') COLLATE \"C\"").format(self._at(path))
                compared = self._compared(text, op, self._bound(value, _TEXT))
                return self._typed(path, sql.SQL("'string'"), compared)
        compared = self._compared(self._at(path), op, self._bound(Jsonb(value), _JSONB))
        return self._typed(path, sql.SQL("'number'"), compared)

    def _contained(self, path: Sequence[str], value: JSON) -> sql.Composed:
        """Whether metadata holds exactly this value at the path, or this part of a list."""
        for key in reversed(path):
            value = {key: value}
        return sql.SQL("{}.metadata @> {}").format(self._row, self._bound(Jsonb(value), _JSONB))

    def _typed(self, path: Sequence[str], kind: sql.SQL, compared: sql.Composed) -> sql.Composed:
        return _known(
            sql.SQL("jsonb_typeof({}) = {} AND {}").format(self._at(path), kind, compared)
        )

    def _at(self, path: Sequence[str]) -> sql.Composed:
        """The value at a path of metadata; NULL where there is none."""
        keys = [sql.SQL(" -> {}").format(self._bound(key, _TEXT)) for key in path]
        return sql.SQL("({}.metadata{})").format(self._row, sql.Composed(keys))

    def _compared(self, left: sql.Composed, op: Operator, right: sql.Composed) -> sql.Composed:
        return sql.SQL("{} {} {}").format(left, _SIGNS[op], right)

    def _bound(self, value: object, cast: sql.SQL) -> sql.Composed:
        name = f"f{len(self.parameters)}"
        self.parameters[name] = value
        return cast.format(sql.Placeholder(name))


def _joined(sign: sql.SQL, parts: list[sql.Composed], empty: sql.Composed) -> sql.Composed:
    return sql.SQL("({})").format(sign.join(parts)) if parts else empty


def _not(condition: sql.Composed) -> sql.Composed:
    return sql.SQL("NOT ({})").format(condition)


def _known(condition: sql.Composed) -> sql.Composed:
    """False where the condition is NULL."""
    return sql.SQL("coalesce({}, false)").format(condition)
