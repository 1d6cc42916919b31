"""A filter is said to Weaviate as it is meant, decided by the schema alone, or refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest

from greenlang_vectors.migration.asking import Condition
from greenlang_vectors.migration.plan import Plan
from greenlang_vectors.migration.schema import CollectionInfo, PropertyInfo
from greenlang_vectors.migration.weaviate_filters import NotSayable, Translator
from greenlang_vectors.search.filters import parse

DOCUMENT, OBJECT = UUID(int=7), UUID(int=8)
PROPERTIES = {
    "name": "text/field",
    "prose": "text/word",
    "year": "int",
    "share": "number",
    "in_force": "boolean",
    "published": "date",
    "tags": "text[]/field",
    "numbers": "int[]",
    "place": "geoCoordinates",
    "source": "text/field",
    "chunk": "int",
}


def said(
    filter_: Any,  # noqa: ANN401 - as JSON
    *,
    tenant: str = "",
    objects: Sequence[UUID] = (OBJECT,),
    source_id: str | None = "source",
) -> Condition | bool:
    known = {}
    for name, written in PROPERTIES.items():
        kind, _, tokenization = written.partition("/")
        known[name] = PropertyInfo(name, kind, tokenization or None)
    plan = Plan(collection="C", source_id=source_id, chunk_index=source_id and "chunk")
    translator = Translator(
        plan,
        CollectionInfo("C", "1.37.2", known, {None: "cosine"}, bool(tenant)),
        tenant,
        {name: name for name in PROPERTIES},
        lambda documents: list(objects) if list(documents) == [DOCUMENT] else [],
    )
    return translator.translated(parse(filter_))


def compare(field: str, op: str, value: Any) -> dict[str, Any]:  # noqa: ANN401 - as JSON
    return {"field": field, "op": op, "value": value}


@pytest.mark.parametrize(
    ("field", "op", "value", "expected"),
    [
        ("name", "eq", "a", Condition("EQUAL", "name", "a")),
        ("name", "ne", "a", Condition("NOT_EQUAL", "name", "a")),
        ("name", "in", ["a", 1, "b"], Condition("CONTAINS_ANY", "name", ["a", "b"])),
        ("name", "exists", True, Condition("IS_NULL", "name", False)),
        ("name", "exists", False, Condition("IS_NULL", "name", True)),
        ("name", "like", r"a%_\%\_", Condition("LIKE", "name", "a*?%_")),
        ("year", "eq", 2023.0, Condition("EQUAL", "year", 2023)),
        ("year", "gte", 2023, Condition("GREATER_THAN_EQUAL", "year", 2023)),
        ("year", "gte", 2022.5, Condition("GREATER_THAN", "year", 2022)),
        ("year", "gt", -0.5, Condition("GREATER_THAN", "year", -1)),
        ("year", "lt", 2022.5, Condition("LESS_THAN", "year", 2023)),
        ("year", "lte", 2022.5, Condition("LESS_THAN", "year", 2023)),
        ("share", "lt", 1, Condition("LESS_THAN", "share", 1.0)),
        ("in_force", "eq", True, Condition("EQUAL", "in_force", True)),
        (
            "published",
            "gt",
            "2023-01-01T00:00:00Z",
            Condition("GREATER_THAN", "published", "2023-01-01T00:00:00Z"),
        ),
        ("tags", "contains", "a", Condition("CONTAINS_ALL", "tags", ["a"])),
        ("tags", "contains", ["a", "b"], Condition("CONTAINS_ALL", "tags", ["a", "b"])),
        ("numbers", "contains", 3, Condition("CONTAINS_ALL", "numbers", [3])),
    ],
)
def test_comparisons_of_metadata(field: str, op: str, value: Any, expected: Condition) -> None:  # noqa: ANN401
    found = said(compare(f"metadata.{field}", op, value))
    assert found == expected
    assert isinstance(found, Condition)
    assert type(found.value) is type(expected.value), "the type says which field carries it"


@pytest.mark.parametrize(
    ("field", "op", "value"),
    [
        ("name", "eq", 1),
        ("name", "in", [1, True]),
        ("year", "eq", "2023"),
        ("year", "eq", 2022.5),
        ("year", "eq", True),
        ("year", "gt", "2023"),
        ("year", "like", "20%"),
        ("year", "contains", 2023),
        ("in_force", "eq", 1),
        ("tags", "eq", "a"),
        ("tags", "contains", ["a", 1]),
        ("numbers", "gt", 1),
    ],
)
def test_what_the_schema_decides_is_not_asked(field: str, op: str, value: Any) -> None:  # noqa: ANN401
    comparison = compare(f"metadata.{field}", op, value)
    assert said(comparison) is False
    assert said({"not": comparison}) is True


@pytest.mark.parametrize(
    ("field", "op", "value"),
    [
        ("metadata.prose", "eq", "some words"),
        ("metadata.prose", "like", "some%"),
        ("metadata.name", "gt", "a"),
        ("metadata.name", "eq", " a"),
        ("metadata.name", "like", "a*"),
        ("metadata.published", "gt", "2023-01-01"),
        ("metadata.tags", "contains", []),
        ("metadata.place", "exists", True),
        ("metadata.name.inner", "eq", "a"),
        ("metadata.unknown", "eq", "a"),
        ("created_at", "gt", "2023-01-01"),
        ("updated_at", "exists", True),
    ],
)
def test_what_weaviate_would_answer_otherwise_is_refused(field: str, op: str, value: Any) -> None:  # noqa: ANN401
    with pytest.raises(NotSayable):
        said(compare(field, op, value))


def test_parts_are_joined_and_those_that_are_settled_drop_out() -> None:
    name, year = compare("metadata.name", "eq", "a"), compare("metadata.year", "gt", 1)
    always, never = {"and": []}, {"or": []}
    one, other = Condition("EQUAL", "name", "a"), Condition("GREATER_THAN", "year", 1)
    assert said({"and": [name, year, always]}) == Condition("AND", parts=(one, other))
    assert said({"or": [name, year, never]}) == Condition("OR", parts=(one, other))
    assert said({"and": [name, always]}) == one
    assert said({"and": [name, never]}) is False
    assert said({"or": [name, always]}) is True
    assert said({"not": {"or": [name, year]}}) == Condition(
        "NOT", parts=(Condition("OR", parts=(one, other)),)
    )
    assert said({"not": {"not": name}}) == Condition(
        "NOT", parts=(Condition("NOT_EQUAL", "name", "a"),)
    )
    assert said(compare("metadata.name", "nin", ["a"])) == Condition(
        "NOT", parts=(Condition("CONTAINS_ANY", "name", ["a"]),)
    )


@pytest.mark.parametrize(
    ("op", "value", "expected"),
    [
        ("eq", "document", True),
        ("ne", "document", False),
        ("in", ["a", "document"], True),
        ("nin", ["a", "document"], False),
        ("like", "doc%", True),
        ("like", "doc_ment", True),
        ("like", r"doc\_ment", False),
        ("exists", True, True),
    ],
)
def test_all_objects_are_of_the_plans_source_type(op: str, value: Any, expected: bool) -> None:  # noqa: ANN401
    assert said(compare("source_type", op, value)) is expected


def test_documents_are_told_by_their_source_id() -> None:
    assert said(compare("document", "eq", "a")) == Condition("EQUAL", "source", "a")
    assert said(compare("document", "like", "a/%")) == Condition("LIKE", "source", "a/*")
    assert said(compare("document", "exists", True)) is True


def test_documents_that_are_objects_are_told_by_their_id() -> None:
    wanted = [str(DOCUMENT), "no id"]
    assert said(compare("document", "in", wanted), source_id=None) == Condition(
        "CONTAINS_ANY", "_id", [str(DOCUMENT)]
    )
    with pytest.raises(NotSayable):
        said(compare("document", "like", "a%"), source_id=None)


def test_documents_of_a_tenant_are_told_without_it() -> None:
    wanted = ["one/a", "two/b", "one/c/d"]
    assert said(compare("document", "in", wanted), tenant="one") == Condition(
        "CONTAINS_ANY", "source", ["a", "c/d"]
    )
    assert said(compare("document", "eq", "two/b"), tenant="one") is False
    assert said(compare("document", "ne", "two/b"), tenant="one") is True
    with pytest.raises(NotSayable):
        said(compare("document", "like", "one/%"), tenant="one")


def test_documents_by_their_ids_are_the_objects_they_are() -> None:
    found = Condition("CONTAINS_ANY", "_id", [str(OBJECT)])
    assert said(compare("source_id", "eq", str(DOCUMENT))) == found
    assert said(compare("source_id", "ne", str(DOCUMENT))) == Condition("NOT", parts=(found,))
    assert said(compare("source_id", "in", [str(OBJECT)])) is False
    assert said(compare("source_id", "exists", True)) is True
