"""Names: which can be namespaces, and what tables are called."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlang_vectors.errors import InvalidNamespaceName
from greenlang_vectors.store.identity import derived_id, identifier
from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.namespaces import PRD_NAMESPACES, validate_name


@pytest.mark.parametrize("name", [*PRD_NAMESPACES, "a", "value-chain", "scope_3", "x" * 40])
def test_these_can_be_namespaces(name: str) -> None:
    assert validate_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "'", 'a"b', "a b", "a|b", "a,b", "..", "a/../b", "a.b", "A", "1a", "-a", "a-", "a--b",
     "a__b", "a\n", "a\x00", "ä", "x" * 41, "a;drop table documents"],
)  # fmt: skip
def test_these_cannot(name: str) -> None:
    with pytest.raises(InvalidNamespaceName) as caught:
        validate_name(name)
    assert repr(name) in str(caught.value)


@given(st.text(max_size=60))
def test_what_is_suggested_instead_is_valid(name: str) -> None:
    suggestion = ""
    try:
        validate_name(name)
    except InvalidNamespaceName as error:
        suggestion = error.remedy.removeprefix("Try '").removesuffix("'.")
    if suggestion:
        assert validate_name(suggestion) == suggestion


@given(st.text(min_size=1, max_size=200), st.text(min_size=1, max_size=200))
def test_identifiers_fit_postgres_and_differ_when_their_parts_do(one: str, other: str) -> None:
    name = identifier("vector_embeddings_csrd", one)
    assert len(name.encode()) <= 63
    if one != other:
        assert name != identifier("vector_embeddings_csrd", other)


def test_a_leaf_is_not_mistaken_for_another_namespaces_partition() -> None:
    assert Leaf("a", "b", 3).name != "vector_embeddings_a_b"
    assert Leaf("a", "all-MiniLM-L6-v2", 3).name != Leaf("a", "ALL-minilm-L6-v2", 3).name


def test_derived_ids_keep_parts_apart() -> None:
    assert derived_id("a", "bc") != derived_id("ab", "c")
    assert derived_id("a", "bc") == derived_id("a", "bc")
