"""Filters select in PostgreSQL what the table in `search.filters` says, whatever they are made of.

The truth is a plain evaluator of the same filter over the same rows in Python.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from greenlang_vectors.documents.model import ExtractedDocument
from greenlang_vectors.errors import UsageError
from greenlang_vectors.search.conditions import CONTAINED, condition
from greenlang_vectors.search.filters import Comparison, Filter, parse
from greenlang_vectors.store import documents, leaves, namespaces
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.identity import document_id
from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.writing import EmbeddingRow, write

pytestmark = pytest.mark.integration

ROWS = 240
FIXTURES = [HealthCheck.function_scoped_fixture]
LEAF = Leaf("filtered", "m", 2)
MISSING = object()

NASTY = [
    "'; DROP TABLE documents; --",
    '") OR true --',
    "%(f0)s %s %% {} {0} $1",
    "a'b\"c\\d",
    "\u2028ü😀",
]
KEYS = ["a", "b", "a.b", NASTY[0], NASTY[1], NASTY[2], "0", ""]
TEXTS = ["", "a", "ab", "B", "ä", "1", "true", "2024-01-31", "a%", "a_b", "\\", *NASTY]
NUMBERS = [-1, 0, 1, 2, 2.5, 1e300, 1e-7, 10**25, 2**53 + 1]
DOCUMENTS = ["cbam/a.html", "cbam/b.pdf", "csrd/ä.pdf", NASTY[0], "100%"]
SOURCE_TYPES = ["document", "note"]
BEGIN = datetime(2024, 1, 30, 22, tzinfo=UTC)


@dataclass(frozen=True)
class Row:
    source_type: str
    source_id: UUID
    document: str | None
    created_at: datetime
    metadata: dict[str, Any]


scalars = st.one_of(st.sampled_from(TEXTS), st.sampled_from(NUMBERS), st.booleans())
values = st.recursive(
    st.one_of(scalars, st.none()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS), inner, max_size=3)
    ),
    max_leaves=4,
)


def source_of(document: str | None) -> UUID:
    """The id of a document; one that is nowhere has one too."""
    return document_id(LEAF.namespace, "document", str(document))


def made_rows() -> list[Row]:
    """Rows that hold every key, text and number in many places."""
    random = np.random.default_rng(11)

    def one(choices: list[Any]) -> Any:  # noqa: ANN401
        return choices[random.integers(len(choices))]

    def value(depth: int) -> Any:  # noqa: ANN401
        kind = random.integers(8)
        if kind < 5 or depth == 0:
            return one([None, True, False, *TEXTS, *NUMBERS])
        if kind == 5:
            return [value(depth - 1) for _ in range(random.integers(4))]
        return {one(KEYS): value(depth - 1) for _ in range(random.integers(4))}

    keys = [*DOCUMENTS, None]
    return [
        Row(
            source_type=one(SOURCE_TYPES),
            source_id=source_of(keys[i % len(keys)]),
            document=keys[i % len(keys)],
            created_at=BEGIN + timedelta(minutes=i),
            metadata={one(KEYS): value(2) for _ in range(5)},
        )
        for i in range(ROWS)
    ]


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return made_rows()


@pytest.fixture(scope="module")
def connection(database: Database, rows: list[Row]) -> Iterator[psycopg.Connection]:
    """A connection to a leaf with these rows, by chunk index."""
    with database.connect() as connection:
        namespaces.register(connection, LEAF.namespace)
        leaves.ensure_leaf(connection, LEAF)
        for key in DOCUMENTS:
            documents.save(
                connection,
                LEAF.namespace,
                key,
                ExtractedDocument("text", title="title", media_type="text/plain"),
                file_hash="0" * 64,
                size_bytes=4,
                extraction_version="1",
            )
        embedded = [
            EmbeddingRow(row.source_type, row.source_id, i, "0" * 64, None, row.metadata)
            for i, row in enumerate(rows)
        ]
        vectors = np.ones((len(rows), LEAF.dimensions), np.float32)
        assert write(connection, LEAF, embedded, vectors, fingerprint="f").inserted == len(rows)
        connection.execute(
            "UPDATE vector_embeddings SET created_at = %s + chunk_index * interval '1 minute'"
            " WHERE namespace = %s",
            [BEGIN, LEAF.namespace],
        )
        yield connection


def selected(connection: psycopg.Connection, filter: Filter) -> set[int]:
    """Numbers of the rows that pass in the database."""
    where, parameters = condition(filter, "e")
    statement = sql.SQL("SELECT chunk_index FROM {} AS e WHERE {}").format(LEAF.table, where)
    found = connection.execute(statement, parameters | {"namespace": LEAF.namespace}, prepare=False)
    return {index for (index,) in found}


def passes(asked: Any, row: Row) -> bool:  # noqa: ANN401
    """What the table says of one row."""
    match asked:
        case {"and": parts}:
            return all(passes(part, row) for part in parts)
        case {"or": parts}:
            return any(passes(part, row) for part in parts)
        case {"not": part}:
            return not passes(part, row)
    return compares(asked["op"], stored(asked["field"], row), asked["value"])


def stored(field: str, row: Row) -> Any:  # noqa: ANN401
    if not field.startswith("metadata."):
        value = getattr(row, field)
        return MISSING if value is None else str(value) if field == "source_id" else value
    value = row.metadata
    for quoted in re.findall(r'"(?:[^"\\]|\\.)*"', field):
        value = value.get(json.loads(quoted), MISSING) if isinstance(value, dict) else MISSING
    return MISSING if value is None else value


def compares(op: str, value: Any, operand: Any) -> bool:  # noqa: ANN401, PLR0911
    match op:
        case "ne":
            return not compares("eq", value, operand)
        case "nin":
            return not compares("in", value, operand)
        case "exists":
            return (value is not MISSING) is operand
        case "in":
            return any(compares("eq", value, one) for one in operand)
        case "contains":
            wanted = operand if isinstance(operand, list) else [operand]
            return isinstance(value, list) and all(
                any(compares("eq", held, one) for held in value) for one in wanted
            )
    if isinstance(value, datetime):
        begin, end = moment(operand)
        return {
            "eq": begin <= value < end if end > begin else value == begin,
            "gte": value >= begin,
            "lt": value < begin,
            "gt": value >= end if end > begin else value > begin,
            "lte": value < end if end > begin else value <= begin,
        }[op]
    if op == "like":
        escaped = r"\\(.)|(%)|(_)|(.)"
        pattern = re.sub(
            escaped,
            lambda m: ".*" if m[2] else "." if m[3] else re.escape(m[1] or m[4]),
            operand,
            flags=re.DOTALL,
        )
        return isinstance(value, str) and bool(re.fullmatch(pattern, value, re.DOTALL))
    if kind(value) is None or kind(value) != kind(operand):
        return False
    left, right = ordered(value), ordered(operand)
    return {
        "eq": left == right,
        "gt": left > right,
        "gte": left >= right,
        "lt": left < right,
        "lte": left <= right,
    }[op]


def moment(text: str) -> tuple[datetime, datetime]:
    if len(text) == len("2024-01-31"):
        begin = datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
        return begin, begin + timedelta(days=1)
    begin = datetime.fromisoformat(text)
    return begin, begin


def kind(value: Any) -> str | None:  # noqa: ANN401
    match value:
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "text"
    return None


def ordered(value: Any) -> Any:  # noqa: ANN401
    return Decimal(repr(value)) if kind(value) == "number" else value


fields = st.lists(st.sampled_from(KEYS), min_size=1, max_size=3).map(
    lambda keys: "metadata." + ".".join(map(json.dumps, keys))
)
patterns = st.one_of(
    st.sampled_from(["%", "a%", "%b", "_", "a\\%", "\\\\", "%'%", "a_", "%\u2028%"]),
    st.sampled_from(TEXTS).map(lambda text: text.replace("\\", "\\\\")),
)
listed = st.one_of(
    st.lists(scalars, max_size=3), st.lists(scalars, min_size=CONTAINED, max_size=CONTAINED + 2)
)
DAYS = ["2024-01-30", "2024-01-31", "2024-02-01", "2025-01-01"]
MOMENTS = ["2024-01-30T22:00:00+00:00", "2024-01-31T01:00:00+02:00", "2024-01-31T00:00:00.5+00:00"]


def asked_of(field: st.SearchStrategy[str], **operands: Any) -> st.SearchStrategy[Any]:  # noqa: ANN401
    """Comparisons of a field by these operators with these operands."""
    return st.one_of(
        [
            st.fixed_dictionaries({"field": field, "op": st.just(op), "value": operand})
            for op, operand in ({"exists": st.booleans()} | operands).items()
        ]
    )


def equal_to(operand: st.SearchStrategy[Any], lists: st.SearchStrategy[Any]) -> dict[str, Any]:
    return {"eq": operand, "ne": operand, "in": lists, "nin": lists}


of_numbers_and_texts = st.one_of(st.sampled_from(TEXTS), st.sampled_from(NUMBERS))
orders = ("gt", "gte", "lt", "lte")
types, days = st.sampled_from([*SOURCE_TYPES, NASTY[0]]), st.sampled_from([*DAYS, *MOMENTS])
ids = st.sampled_from([str(source_of(key)) for key in [*DOCUMENTS, None, "none"]])
keys = st.sampled_from([*DOCUMENTS, *NASTY])
comparisons = st.one_of(
    asked_of(
        fields,
        **equal_to(scalars, listed),
        **dict.fromkeys(orders, of_numbers_and_texts),
        like=patterns,
        contains=st.one_of(scalars, st.lists(scalars, max_size=2)),
    ),
    asked_of(st.just("source_type"), **equal_to(types, st.lists(types)), like=patterns),
    asked_of(st.just("document"), **equal_to(keys, st.lists(keys)), like=patterns),
    asked_of(st.just("source_id"), **equal_to(ids, st.lists(ids))),
    asked_of(
        st.just("created_at"), **equal_to(days, st.lists(days)), **dict.fromkeys(orders, days)
    ),
)
filters: st.SearchStrategy[Any] = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: {"and": parts}),
        st.lists(inner, max_size=3).map(lambda parts: {"or": parts}),
        inner.map(lambda part: {"not": part}),
    ),
    max_leaves=5,
)


@given(asked=filters)
@settings(max_examples=150, deadline=None, suppress_health_check=FIXTURES)
def test_the_database_selects_what_the_table_says(
    connection: psycopg.Connection,
    rows: list[Row],
    asked: Any,  # noqa: ANN401
) -> None:
    expected = {i for i, row in enumerate(rows) if passes(asked, row)}
    assert selected(connection, parse(asked)) == expected


@given(asked=comparisons)
@settings(max_examples=150, deadline=None, suppress_health_check=FIXTURES)
def test_a_comparison_and_its_opposite_part_the_rows(
    connection: psycopg.Connection,
    asked: Any,  # noqa: ANN401
) -> None:
    found = selected(connection, parse(asked))
    assert found | selected(connection, parse({"not": asked})) == {*range(ROWS)}
    assert not found & selected(connection, parse({"not": asked}))
    opposite = {"eq": "ne", "ne": "eq", "in": "nin", "nin": "in"}.get(asked["op"])
    if opposite:
        assert selected(connection, parse(asked | {"op": opposite})) == {*range(ROWS)} - found


@given(
    field=st.lists(st.text(), min_size=1, max_size=3),
    value=st.text(),
    op=st.sampled_from(["eq", "in", "like", "gt", "contains", "exists"]),
)
@settings(max_examples=200, deadline=None)
def test_nothing_of_a_filter_is_text_of_the_statement(
    field: list[str], value: str, op: str
) -> None:
    """Whatever keys and values are, the statement is that of a harmless filter."""

    def statement(keys: list[str], operand: str) -> str:
        name = "metadata." + ".".join(map(json.dumps, keys))
        given: Any = {"in": [operand], "exists": True}.get(op, operand)
        return condition(parse({"field": name, "op": op, "value": given}), "e")[0].as_string(None)

    try:
        written = statement(field, value)
    except UsageError:
        return
    assert written == statement(["k"] * len(field), "v")


def test_lists_of_values_have_both_forms_and_one_meaning(connection: psycopg.Connection) -> None:
    few: list[Any] = [1, "a", True, 2.5]
    many = [*few, *range(1000, 1000 + CONTAINED)]
    for field in ("metadata.a", "metadata.b"):
        found = selected(connection, parse({"field": field, "op": "in", "value": few}))
        assert found
        assert found == selected(connection, parse({"field": field, "op": "in", "value": many}))


def test_a_filter_made_by_hand_is_checked_too() -> None:
    for made in (
        Comparison("embedding", "eq", "[1]"),
        Comparison("metadata.a", "eq", {"b": 1}),
        Comparison("source_type; DROP TABLE documents", "eq", "x"),
        Comparison("metadata.a", "= 1 OR true --", 1),  # type: ignore[arg-type]
    ):
        with pytest.raises(UsageError):
            condition(made, "e")


def test_documents_of_other_namespaces_have_no_say(connection: psycopg.Connection) -> None:
    asked = parse({"field": "document", "op": "eq", "value": DOCUMENTS[0]})
    assert len(selected(connection, asked)) == ROWS / 6
    where, parameters = condition(asked, "e")
    statement = sql.SQL("SELECT FROM {} AS e WHERE {}").format(LEAF.table, where)
    found = connection.execute(statement, parameters | {"namespace": "another"}, prepare=False)
    assert found.fetchall() == []


def test_equality_in_metadata_is_found_by_the_index(connection: psycopg.Connection) -> None:
    name = "metadata_of_the_leaf"
    connection.execute(
        sql.SQL("CREATE INDEX {} ON {} USING gin (metadata jsonb_path_ops)").format(
            sql.Identifier(name), LEAF.table
        )
    )
    for op, value in (("eq", "a"), ("in", ["a", 1]), ("contains", "a"), ("contains", ["a", 1])):
        where, bound = condition(Comparison("metadata.a.b", op, value), "e")  # type: ignore[arg-type]
        with connection.transaction():
            connection.execute("SET LOCAL enable_seqscan = off")
            plan = connection.execute(
                sql.SQL("EXPLAIN SELECT FROM {} AS e WHERE {}").format(LEAF.table, where), bound
            ).fetchall()
        assert name in str(plan), op
    connection.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))
