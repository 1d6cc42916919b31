"""Identities computed for many rows at once are those computed one by one."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from greenlang_vectors.store.identity import derived_id, embedding_ids

names = st.text(min_size=1, max_size=20)


@given(names, st.lists(st.tuples(st.uuids(), st.integers(0, 2**31 - 1)), max_size=5), names)
def test_ids_of_a_batch_are_those_of_its_rows(
    namespace: str, chunks: list[tuple[UUID, int]], model: str
) -> None:
    assert [UUID(bytes=i.tobytes()) for i in embedding_ids(namespace, chunks, model)] == [
        derived_id("embedding", namespace, str(document), index, model)
        for document, index in chunks
    ]
