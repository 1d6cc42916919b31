"""Sealed texts: what is sealed opens at its place, and nowhere else, and only unchanged."""

from __future__ import annotations

import os
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlang_vectors.documents.model import JSON
from greenlang_vectors.store.encryption.cipher import (
    MARK_LENGTH,
    Cipher,
    Place,
    mark,
    sealed_length,
)
from greenlang_vectors.store.encryption.columns import (
    ChunkColumns,
    DocumentColumns,
    EmbeddingColumns,
)
from greenlang_vectors.store.encryption.errors import SealBroken

KEYS = {"a" * 16: os.urandom(32), "b" * 16: os.urandom(32)}
PLACE = Place("document_chunks", "6f9f0f5e-0000-5b57-9d5a-000000000001/3", "content")
DOCUMENT = UUID("6f9f0f5e-0000-5b57-9d5a-000000000001")

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


def cipher(namespace: str = "eudr", key_id: str = "a" * 16, *, clear: bool = False) -> Cipher:
    return Cipher(
        namespace,
        key_id,
        KEYS.__getitem__,
        metadata_keys=frozenset({"author"}),
        accepts_clear=clear,
    )


@given(texts)
def test_what_is_sealed_opens_and_its_length_is_known(text: str) -> None:
    sealed = cipher().seal(PLACE, text)
    assert cipher().open(PLACE, sealed) == text
    assert len(sealed) == sealed_length(len(text.encode()))
    assert sealed[:MARK_LENGTH] == mark("a" * 16)


@pytest.mark.parametrize("text", ["", "a", "ab", "abc"])
def test_each_flipped_bit_is_refused_also_those_base64_ignores(text: str) -> None:
    sealed = cipher().seal(PLACE, text).encode()
    for position in range(len(sealed)):
        for bit in range(7):
            other = bytearray(sealed)
            other[position] ^= 1 << bit
            with pytest.raises(SealBroken):
                cipher().open(PLACE, other.decode())


@given(texts, st.data())
def test_a_flipped_bit_anywhere_is_refused(text: str, data: st.DataObject) -> None:
    sealed = bytearray(cipher().seal(PLACE, text).encode())
    position = data.draw(st.integers(0, len(sealed) - 1))
    sealed[position] ^= 1 << data.draw(st.integers(0, 6))
    with pytest.raises(SealBroken):
        cipher().open(PLACE, sealed.decode())


@given(texts, st.data())
def test_a_cut_or_lengthened_text_is_refused(text: str, data: st.DataObject) -> None:
    sealed = cipher().seal(PLACE, text)
    for other in (sealed[: data.draw(st.integers(0, len(sealed) - 1))], sealed + "A", sealed + "="):
        with pytest.raises(SealBroken):
            cipher().open(PLACE, other)


@pytest.mark.parametrize(
    "elsewhere",
    [
        PLACE._replace(table="documents"),
        PLACE._replace(row="6f9f0f5e-0000-5b57-9d5a-000000000001/4"),
        PLACE._replace(row="6f9f0f5e-0000-5b57-9d5a-000000000002/3"),
        PLACE._replace(column="heading_path"),
    ],
)
def test_a_sealed_text_opens_at_its_own_place_only(elsewhere: Place) -> None:
    with pytest.raises(SealBroken, match="another row"):
        cipher().open(elsewhere, cipher().seal(PLACE, "text"))


def test_a_sealed_text_opens_in_its_own_namespace_only() -> None:
    with pytest.raises(SealBroken, match="another row"):
        cipher("csrd").open(PLACE, cipher("eudr").seal(PLACE, "text"))


def test_the_key_a_text_names_is_bound_to_it() -> None:
    sealed = cipher().seal(PLACE, "text")
    with pytest.raises(SealBroken):
        cipher().open(PLACE, sealed.replace("a" * 16, "b" * 16, 1))


def test_two_keys_open_at_once_and_the_newer_one_seals() -> None:
    older = cipher().seal(PLACE, "text")
    newer = cipher(key_id="b" * 16)
    assert newer.open(PLACE, older) == "text"
    assert newer.seal(PLACE, "text").startswith(mark("b" * 16))


def test_the_same_text_is_sealed_differently_every_time() -> None:
    assert len({cipher().seal(PLACE, "text") for _ in range(100)}) == 100


def test_clear_text_is_let_through_only_while_a_namespace_is_being_encrypted() -> None:
    assert cipher(clear=True).open(PLACE, "clear") == "clear"
    assert cipher(clear=True).open_list(PLACE, ["Title I", "Chapter"]) == ["Title I", "Chapter"]
    for opened in (
        lambda: cipher().open(PLACE, "clear"),
        lambda: cipher().open_list(PLACE, ["Title I", "Chapter"]),
        lambda: cipher().open_json(PLACE, [[0, 1, "Title"]]),
        lambda: cipher().open_metadata(PLACE, {"author": "A"}),
    ):
        with pytest.raises(SealBroken, match="not sealed"):
            opened()


@given(texts, texts, json_values, st.dictionaries(st.just("author") | texts, json_values))
def test_a_document_opens_as_it_was(
    title: str, text: str, headings: JSON, metadata: dict[str, JSON]
) -> None:
    clear = DocumentColumns(title, text, headings, metadata)
    sealed = clear.sealed(cipher(), DOCUMENT)
    assert sealed.opened(cipher(), DOCUMENT) == clear
    assert {key: sealed.metadata[key] for key in metadata if key != "author"} == {
        key: metadata[key] for key in metadata if key != "author"
    }


@given(texts, st.lists(texts, max_size=3), st.none() | texts)
def test_chunks_and_embeddings_open_as_they_were(
    content: str, path: list[str], preview: str | None
) -> None:
    chunk = ChunkColumns(content, path)
    embedding = EmbeddingColumns(preview, {"author": ["A"], "year": 2023})
    assert chunk.sealed(cipher(), DOCUMENT, 3).opened(cipher(), DOCUMENT, 3) == chunk
    assert embedding.sealed(cipher(), DOCUMENT, 3).opened(cipher(), DOCUMENT, 3) == embedding


def test_values_of_two_metadata_keys_cannot_be_swapped() -> None:
    both = Cipher("eudr", "a" * 16, KEYS.__getitem__, metadata_keys=frozenset({"author", "owner"}))
    sealed = both.seal_metadata(PLACE, {"author": "A", "owner": "B"})
    swapped = {"author": sealed["owner"], "owner": sealed["author"]}
    with pytest.raises(SealBroken):
        both.open_metadata(PLACE, swapped)


def test_neither_errors_nor_reprs_hold_a_key_or_a_text() -> None:
    sealing = cipher()
    sealed = sealing.seal(PLACE, "forest secret")
    with pytest.raises(SealBroken) as refused:
        sealing.open(PLACE._replace(column="title"), sealed)
    shown = f"{sealing!r} {vars(sealing)!r} {refused.value!s} {refused.value!r}"
    assert "chunk 3 of document 6f9f0f5e" in shown
    assert "forest" not in shown
    for key in KEYS.values():
        assert key.hex() not in shown
        assert repr(key) not in shown
    assert refused.value.__cause__ is None
