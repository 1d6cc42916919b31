"""Two ordered streams are told apart object by object, and each difference is named."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlang_vectors.documents.model import JSON
from greenlang_vectors.migration.comparison import (
    Difference,
    Fault,
    Held,
    difference,
    merged,
    same_json,
)

NAMES = ("vector 'default'", "vector 'title'")

ids = st.binary(min_size=16, max_size=16)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
)
jsons: st.SearchStrategy[JSON] = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
held = st.builds(
    Held,
    id=ids,
    document=st.tuples(
        st.just("document"), st.text(max_size=4), st.text(max_size=4), st.integers(0, 9)
    ),
    content_hash=st.sampled_from([None, bytes(32), b"h" * 32]),
    metadata=st.dictionaries(st.text(max_size=3), jsons, max_size=4),
    vectors=st.tuples(st.binary(min_size=8, max_size=8), st.none() | st.just(bytes(8))),
    fault=st.none(),
)


def one(identity: int = 1, **changed: object) -> Held:
    whole = Held(
        identity.to_bytes(16),
        ("document", "csrd.pdf", "CSRD", 3),
        b"h" * 32,
        {"year": 2024, "in_force": True},
        (bytes(8), bytes(8)),
    )
    return whole._replace(**changed)  # type: ignore[arg-type]


def told(here: Held | None, there: Held | None) -> tuple[Difference | None, ...]:
    return (difference(here, there, "tenant", NAMES),)


def kinds(here: Held | None, there: Held | None) -> tuple[str, ...]:
    found = difference(here, there, "", NAMES)
    return () if found is None else found.kinds


@given(st.dictionaries(ids, st.sampled_from(["here", "there", "both"])))
def test_every_object_comes_once_with_what_each_side_holds_of_it(where: dict[bytes, str]) -> None:
    sides = {
        side: [one()._replace(id=each) for each in sorted(where) if where[each] in {side, "both"}]
        for side in ("here", "there")
    }

    pairs = list(merged(sides["here"], sides["there"]))

    found = {}
    for here, there in pairs:
        known = here or there
        assert known is not None
        found[known.id] = "both" if here and there else "here" if here else "there"
    assert found == where
    assert list(found) == sorted(where), "and in the order of ids"
    assert len(pairs) == len(where)


def test_no_more_of_a_side_is_read_than_the_other_has_come_to() -> None:
    taken = []

    def endless() -> Iterator[Held]:
        for identity in range(10, 10**9):
            taken.append(identity)
            yield one(identity)

    pairs = merged(endless(), iter([one(1), one(12)]))

    assert [next(pairs) for _ in range(3)] == [(None, one(1)), (one(10), None), (one(11), None)]
    assert taken == [10, 11]


@pytest.mark.parametrize("identities", [(2, 1), (1, 1)])
def test_a_side_that_does_not_ascend_is_refused(identities: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="came after"):
        list(merged((one(each) for each in identities), []))


@given(held)
def test_what_is_the_same_is_no_difference(whole: Held) -> None:
    copied = whole._replace(metadata=dict(reversed(whole.metadata.items())))

    assert difference(whole, copied, "", NAMES) is None


@given(held, held)
def test_what_is_not_the_same_is_told_with_each_of_its_kinds(here: Held, there: Held) -> None:
    there = there._replace(id=here.id)

    assert kinds(here, there) == tuple(
        kind
        for kind, differs in (
            ("document", here.document != there.document),
            ("content", here.content_hash != there.content_hash),
            ("metadata", not same_json(here.metadata, there.metadata)),
            ("vector", here.vectors != there.vectors),
        )
        if differs
    )


@pytest.mark.parametrize(
    ("changed", "kind", "detail"),
    [
        ({"document": ("document", "csrd.pdf", "CSRD", 4)}, "document", "chunk index: another"),
        ({"document": ("law", "csrd", "CSRD", 3)}, "document", "source type, source: another"),
        ({"document": None}, "document", "it belongs to no document here"),
        ({"content_hash": b"x" * 32}, "content", "the text is another"),
        ({"metadata": {"year": 2024, "in_force": 1}}, "metadata", "metadata in_force"),
        ({"metadata": {"year": 2025}}, "metadata", "metadata in_force, year"),
        (
            {"vectors": (bytes(7) + b"\x01", bytes(8))},
            "vector",
            "vector 'default' differs in 1 of 2 numbers",
        ),
        ({"vectors": (bytes(8), None)}, "vector", "vector 'title' is missing in pgvector"),
        (
            {"vectors": (bytes(8), bytes(4))},
            "vector",
            "vector 'title' has 1 dimensions in pgvector and 2 in Weaviate",
        ),
        ({"fault": Fault("content", "the hash is not its")}, "content", "the hash is not its"),
    ],
)
def test_each_thing_that_differs_has_its_name(
    changed: dict[str, object], kind: str, detail: str
) -> None:
    assert told(one(**changed), one()) == (Difference(UUID(int=1), "tenant", (kind,), detail),)  # type: ignore[arg-type]


def test_several_things_that_differ_are_all_named() -> None:
    damaged = one(content_hash=bytes(32), metadata={}, vectors=(None, bytes(8)))

    [found] = told(damaged, one())

    assert found is not None
    assert found.kind == "content, metadata, vector"
    assert found.as_json() == {
        "object_id": "00000000-0000-0000-0000-000000000001",
        "tenant": "tenant",
        "kind": "content, metadata, vector",
        "detail": "the text is another; metadata in_force, year; "
        "vector 'default' is missing in pgvector",
    }


def test_a_side_that_lacks_an_object_is_named() -> None:
    assert kinds(None, one()) == ("missing in pgvector",)
    assert kinds(one(), None) == ("missing in Weaviate",)
    assert kinds(None, None) == ()


def test_an_object_that_cannot_become_a_passage_is_missing_or_refused_with_its_reason() -> None:
    refused = one(fault=Fault("refused", "it has no vector"), vectors=(None, None))

    [missing], [stored] = told(None, refused), told(one(), refused)

    assert missing is not None
    assert missing == replace(missing, kinds=("missing in pgvector",), detail="it has no vector")
    assert stored == replace(missing, kinds=("refused",))


@given(jsons, jsons)
def test_json_is_the_same_only_if_it_is_equal_in_type_and_value(one: JSON, other: JSON) -> None:
    assert same_json(one, one)
    assert same_json(one, other) == same_json(other, one)
    assert not same_json(one, [one])


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        ([1, [True]], [1.0, [1]], False),
        ({"a": {"b": 1}}, {"a": {"b": True}}, False),
        ({"a": None, "b": {"c": None}}, {"b": {}}, True),
        ({"a": 0}, {}, False),
        ("1", 1, False),
        (2**53 + 1, float(2**53), False),
    ],
)
def test_numbers_are_no_booleans_and_no_text(one: JSON, other: JSON, same: bool) -> None:
    assert same_json(one, other) is same
