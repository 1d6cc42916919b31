"""Filters are read as they are meant, and refused with the place and what is possible."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlang_vectors.errors import UsageError
from greenlang_vectors.search.filter_fields import path_of
from greenlang_vectors.search.filters import (
    MAX_COMPARISONS,
    MAX_DEPTH,
    MAX_VALUES,
    And,
    Comparison,
    Not,
    Or,
    as_json,
    metadata_keys,
    parse,
    parse_text,
)

UUID = "6d4f1f4e-6c1b-5b57-9d5a-4d0c1f5e7a11"


def comparison(field: str = "metadata.a", op: str = "eq", value: Any = 1) -> Any:  # noqa: ANN401
    return {"field": field, "op": op, "value": value}


def test_json_becomes_the_tree_it_describes() -> None:
    asked = {
        "and": [
            comparison("source_type", "in", ["pdf", "html"]),
            {"or": [comparison(), {"not": comparison("metadata.b.c", "exists", True)}]},
        ]
    }
    assert parse(asked) == And(
        (
            Comparison("source_type", "in", ["pdf", "html"]),
            Or(
                (
                    Comparison("metadata.a", "eq", 1),
                    Not(Comparison("metadata.b.c", "exists", True)),
                )
            ),
        )
    )


@pytest.mark.parametrize(
    ("text", "field", "op", "value"),
    [
        ("source_type=document", "source_type", "eq", "document"),
        ("source_type = 2023", "source_type", "eq", "2023"),
        ("metadata.year>=2023", "metadata.year", "gte", 2023),
        ("metadata.year < -1.5", "metadata.year", "lt", -1.5),
        ('metadata.year="2023"', "metadata.year", "eq", "2023"),
        ("metadata.draft!=true", "metadata.draft", "ne", True),
        ("metadata.date>2024-01-31", "metadata.date", "gt", "2024-01-31"),
        ("metadata.tag in a, b,3", "metadata.tag", "in", ["a", "b", 3]),
        ('metadata.tag nin "a,b",c', "metadata.tag", "nin", ["a,b", "c"]),
        ("metadata.tag in ", "metadata.tag", "in", []),
        ("metadata.tags contains x", "metadata.tags", "contains", "x"),
        ("metadata.tags contains x,y", "metadata.tags", "contains", ["x", "y"]),
        ("metadata.a.b exists", "metadata.a.b", "exists", True),
        ("metadata.a.b exists false", "metadata.a.b", "exists", False),
        ('metadata."a.b".c=in', 'metadata."a.b".c', "eq", "in"),
        ("document~cbam/%.pdf", "document", "like", "cbam/%.pdf"),
        ("document like 50\\%", "document", "like", "50\\%"),
        ("metadata.n like 1%", "metadata.n", "like", "1%"),
        ("metadata.in=a=b<c", "metadata.in", "eq", "a=b<c"),
        ("metadata.a=", "metadata.a", "eq", ""),
        ("metadata.a=[1]", "metadata.a", "eq", "[1]"),
        ("metadata.article=8", "metadata.article", "in", [8, "8"]),
        ("metadata.recital != 19", "metadata.recital", "nin", [19, "19"]),
        ("metadata.paragraph in 1,2a,3", "metadata.paragraph", "in", [1, "2a", 3, "1", "3"]),
        ("metadata.annex=I", "metadata.annex", "eq", "I"),
        ('metadata.article="8"', "metadata.article", "eq", "8"),
        ("metadata.article >= 8", "metadata.article", "gte", 8),
        ("metadata.celex=31999E0345", "metadata.celex", "eq", "31999E0345"),
        ("metadata.paragraphs contains 2", "metadata.paragraphs", "contains", "2"),
        ("metadata.recitals contains 2,3", "metadata.recitals", "contains", ["2", "3"]),
        (f"source_id={UUID.upper()}", "source_id", "eq", UUID),
        ("created_at>=2024-01-31", "created_at", "gte", "2024-01-31"),
        ("updated_at<2024-01-31T02:00+02:00", "updated_at", "lt", "2024-01-31T00:00:00+00:00"),
    ],
)
def test_a_comparison_as_it_is_typed(text: str, field: str, op: str, value: object) -> None:
    read = parse_text(text)
    assert (read.field, read.op, read.value) == (field, op, value)
    assert type(read.value) is type(value)


def test_the_number_of_a_provision_is_meant_as_number_and_as_text() -> None:
    read = parse(comparison("metadata.article", value=8))
    assert read == Comparison("metadata.article", "in", [8, "8"])
    assert as_json(parse(as_json(read))) == as_json(read)
    for value in ("8", True, 8.5):
        assert parse(comparison("metadata.article", value=value)).value == value  # type: ignore[union-attr]
    assert parse(comparison("metadata.year", value=8)) == Comparison("metadata.year", "eq", 8)


@pytest.mark.parametrize(
    "text", ["", "year", "=3", "metadata.a ? 3", "metadata.tag in a,,b", "in a,b", "x exists"]
)
def test_what_is_no_comparison_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_text(text)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (None, r"filter is null, not an object"),
        ([], r"filter is a list"),
        ({}, r"has the keys \[\]"),
        ({"and": [comparison()], "or": []}, "has the keys"),
        ({"and": comparison()}, "has the keys"),
        (comparison() | {"extra": 1}, "has the keys"),
        (comparison("year"), r"filter\.field is 'year'.*source_type, source_id.*metadata\.KEY"),
        (comparison("metadata"), "filter.field is 'metadata'"),
        (comparison("metadata."), "filter.field"),
        (comparison("metadata.a..b"), "filter.field"),
        (comparison("embedding"), "filter.field"),
        (comparison('metadata."a\\x"'), "quoted key is JSON"),
        (comparison("metadata." + ".".join("abcdefghi")), "9 keys"),
        (comparison(op="=="), r"filter\.op is '=='.*eq, ne, gt, gte, lt, lte, in, nin, like"),
        (comparison(op=["eq"]), r"filter\.op is"),
        (comparison("source_type", "gt", "a"), "Of source_type there are: eq, ne, in, nin, like"),
        (comparison("source_id", "like", "a%"), "Of source_id there are"),
        (comparison("source_id", "eq", "7"), "UUIDs"),
        (comparison("source_type", "eq", 7), "a number, not text"),
        (comparison("created_at", "gt", "soon"), "ISO 8601"),
        (comparison("created_at", "gt", 2024), "ISO 8601"),
        (comparison("created_at", "gt", "0001-01-01T00:00+14:00"), "ISO 8601"),
        (comparison("created_at", "eq", "9999-12-31"), "ISO 8601"),
        (comparison(value=None), r"filter\.value is null.*exists"),
        (comparison(value={"b": 1}), "is an object"),
        (comparison(value=[1]), "is a list"),
        (comparison(op="gt", value=True), "a number or text"),
        (comparison(value=float("nan")), "not finite"),
        (comparison(value=float("-inf")), "not finite"),
        (comparison(value=10**300), "digits"),
        (comparison(value="a\0b"), "NUL"),
        (comparison(value="\ud800"), "surrogate"),
        (comparison("metadata.a\0"), "NUL"),
        (comparison(value="x" * 1001), "1001 characters"),
        (comparison(op="in", value="a"), "in takes a list"),
        (comparison(op="in", value=["a", None]), r"filter\.value\[1\] is null"),
        (comparison(op="contains", value=[["a"]]), r"value\[0\] is a list"),
        (comparison(op="like", value=3), "like takes a text"),
        (comparison(op="like", value="a\\"), r"single \\"),
        (comparison(op="exists", value=1), "true or false"),
        ({"or": [comparison(), {"not": comparison(op="x")}]}, r"filter\.or\[1\]\.not\.op is 'x'"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_its_place(asked: Any, says: str) -> None:  # noqa: ANN401
    with pytest.raises(UsageError, match=says):
        parse(asked)


def test_a_filter_has_bounds() -> None:
    assert parse({"or": [comparison(value=n) for n in range(MAX_COMPARISONS)]})
    with pytest.raises(UsageError, match=f"the {MAX_COMPARISONS} comparisons"):
        parse({"or": [comparison(value=n) for n in range(MAX_COMPARISONS + 1)]})
    half: list[Any] = list(range(MAX_VALUES // 2))
    assert parse({"and": [comparison(op="in", value=half), comparison(op="nin", value=half)]})
    with pytest.raises(UsageError, match=f"above {MAX_VALUES}"):
        parse({"and": [comparison(op="in", value=half), comparison(op="in", value=[*half, 1])]})
    nested: Any = comparison()
    for _ in range(MAX_DEPTH - 1):
        nested = {"not": nested}
    assert parse(nested)
    for _ in range(100_000):
        nested = {"not": nested}
    with pytest.raises(UsageError, match=f"deeper than {MAX_DEPTH}"):
        parse(nested)


words = st.sampled_from(["a", "b", "a.b", 'q"', "x y", "ü", "in", "\\"])
scalars = st.one_of(st.integers(-3, 3), st.sampled_from([0.5, 1e300, "a", "ü", ""]), st.booleans())
comparisons = st.builds(
    lambda keys, operand: {
        "field": "metadata." + ".".join(map(json.dumps, keys)),
        "op": operand[0],
        "value": operand[1],
    },
    st.lists(words, min_size=1, max_size=3),
    st.one_of(
        st.tuples(st.sampled_from(["eq", "ne", "contains"]), scalars),
        st.tuples(st.sampled_from(["in", "nin", "contains"]), st.lists(scalars, max_size=4)),
        st.tuples(st.just("exists"), st.booleans()),
    ),
)
filters: st.SearchStrategy[Any] = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: {"and": parts}),
        st.lists(inner, max_size=3).map(lambda parts: {"or": parts}),
        inner.map(lambda part: {"not": part}),
    ),
    max_leaves=6,
)


def shuffled(value: Any, data: st.DataObject) -> Any:  # noqa: ANN401
    """The same filter with its parts, lists and keys in another order."""
    if isinstance(value, dict):
        keys = data.draw(st.permutations(list(value)))
        return {key: shuffled(value[key], data) for key in keys}
    if isinstance(value, list):
        return [shuffled(item, data) for item in data.draw(st.permutations(value))]
    return value


@given(filters, st.data())
def test_filters_that_differ_in_order_alone_are_written_alike(
    asked: Any,  # noqa: ANN401
    data: st.DataObject,
) -> None:
    written = as_json(parse(asked))
    assert json.dumps(as_json(parse(written))) == json.dumps(written)
    assert json.dumps(as_json(parse(shuffled(asked, data)))) == json.dumps(written)


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20),
        min_size=1,
        max_size=4,
    )
)
def test_any_key_can_be_named(keys: list[str]) -> None:
    field = "metadata." + ".".join(map(json.dumps, keys))
    for read in (parse(comparison(field)), parse_text(f"{field} = 1")):
        assert isinstance(read, Comparison)
        assert path_of(read.field) == tuple(keys)


def test_values_are_written_canonically() -> None:
    assert as_json(parse(comparison(value=2.0))) == comparison(value=2)
    assert as_json(parse(comparison('metadata."a"'))) == comparison()
    assert parse(comparison(value=True)) == Comparison("metadata.a", "eq", True)
    assert json.dumps(as_json(parse(comparison(value=True)))) != json.dumps(
        as_json(parse(comparison(value=1)))
    )


def test_the_keys_of_metadata_it_compares() -> None:
    asked = {"and": [comparison('metadata."x.y".z'), {"not": comparison()}, comparison("document")]}
    asked["and"][2]["value"] = "a"
    assert metadata_keys(parse(asked)) == {"x.y", "a"}
