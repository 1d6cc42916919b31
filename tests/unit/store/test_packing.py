"""Identities of many rows are those computed one by one; metadata is as Python writes JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from uuid import UUID

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from greenlang_vectors.store.cells import NONE
from greenlang_vectors.store.identity import derived_id, embedding_ids
from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.packing import BatchConstants, pack
from greenlang_vectors.store.writing import EmbeddingRow

names = st.text(min_size=1, max_size=20)


@given(names, st.lists(st.tuples(st.uuids(), st.integers(0, 2**31 - 1)), max_size=5), names)
def test_ids_of_a_batch_are_those_of_its_rows(
    namespace: str, chunks: list[tuple[UUID, int]], model: str
) -> None:
    assert [UUID(bytes=i.tobytes()) for i in embedding_ids(namespace, chunks, model)] == [
        derived_id("embedding", namespace, str(document), index, model)
        for document, index in chunks
    ]


texts = st.text(st.characters(codec="utf-8"), max_size=20)
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts)
keys = st.one_of(texts, st.integers(), st.booleans(), st.floats(), st.none())
objects = st.dictionaries(
    texts,
    st.recursive(
        scalars,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.tuples(inner),
            st.dictionaries(keys, inner, max_size=3),
        ),
        max_leaves=5,
    ),
    max_size=4,
)


def packed_metadata(metadata: Mapping[str, object] | None) -> bytes:
    row = EmbeddingRow("document", UUID(int=0), 0, "0" * 64, None)
    constants = BatchConstants(Leaf("ns", "model", 1), "f", 0)
    ids, vectors = np.zeros(1, "V16"), np.ones((1, 1), np.float32)
    none, given_ = (pack([row], [each], ids, vectors, NONE, constants) for each in (None, metadata))
    return given_[len(none) - len(b"{}") :]


def as_postgres_reads(text: str) -> object:
    """The value with its numbers in full, as `numeric` keeps them, and constants as they stand."""

    def number(digits: str) -> str:
        return format(Decimal(digits), "f")

    return json.loads(text, parse_float=number, parse_constant=lambda name: (name,))


@given(objects)
@example({"a": 2**64, "b": -(2**63) - 1, "c": 1e16, "d": 1e-7, "e": -0.0, "f": 1e22})
@example({"a": float("nan"), "b": float("inf"), "c": None})
@example({"a": {1: "one", None: 2, False: 3}, "b": (1, 2), "c": "\x7f\u2028\x00"})
def test_metadata_is_packed_as_python_writes_json(metadata: dict[str, object]) -> None:
    expected = json.dumps(metadata, ensure_ascii=False)
    assert as_postgres_reads(packed_metadata(metadata).decode()) == as_postgres_reads(expected)
