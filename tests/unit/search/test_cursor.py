"""Cursors: they keep what was seen, and serve the request they were made for alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlang_vectors.errors import UsageError
from greenlang_vectors.search import cursor
from greenlang_vectors.search.cursor import MAX_SEEN, Seen
from greenlang_vectors.search.filters import Comparison
from greenlang_vectors.search.model import SearchRequest

REQUEST = SearchRequest("steel", "cbam")
KEYS = st.tuples(st.uuids(), st.integers(0, 2**31 - 1))


@given(st.sets(KEYS, min_size=1, max_size=30), st.sets(KEYS, max_size=30))
def test_a_cursor_knows_what_was_seen_and_nothing_else(
    seen: set[tuple[UUID, int]], others: set[tuple[UUID, int]]
) -> None:
    text = cursor.encode(REQUEST, Seen().and_also(seen))
    read = cursor.decode(replace(REQUEST, after=text))
    assert len(read) == len(seen)
    assert all(key in read for key in seen)
    assert not any(key in read for key in others - seen)


@pytest.mark.parametrize(
    "change",
    [
        {"query": "steels"},
        {"query": None, "vector": np.ones(3, np.float32)},
        {"namespace": "eudr"},
        {"mode": "text"},
        {"filter": Comparison("source_type", "eq", "document")},
        {"threshold": 0.0},
        {"collection": "cbam/other"},
        {"exact": True},
        {"per_document": 1},
        {"diversity": 0.0},
        {"rerank": True},
        {"weights": (1.0, 2.0)},
        {"parents": True},
    ],
)
def test_another_request_does_not_take_it(change: dict[str, Any]) -> None:
    text = cursor.encode(REQUEST, Seen().and_also([(UUID(int=1), 0)]))
    with pytest.raises(UsageError, match="not the cursor"):
        cursor.decode(replace(REQUEST, after=text, **change))


def test_vectors_are_told_apart() -> None:
    one = SearchRequest(None, "cbam", vector=np.array([1, 2], np.float32))
    text = cursor.encode(one, Seen().and_also([(UUID(int=1), 0)]))
    with pytest.raises(UsageError):
        cursor.decode(replace(one, after=text, vector=np.array([2, 1], np.float32)))
    assert cursor.decode(replace(one, after=text, top_k=3, fresh=True))


@given(st.data())
def test_a_cursor_that_was_changed_is_refused(data: st.DataObject) -> None:
    text = cursor.encode(REQUEST, Seen().and_also((UUID(int=n), n) for n in range(5)))
    assert text is not None
    place = data.draw(st.integers(0, len(text) - 2))  # the last character has idle bits
    other = data.draw(st.characters().filter(lambda c: c != text[place]))
    with pytest.raises(UsageError):
        cursor.decode(replace(REQUEST, after=text[:place] + other + text[place + 1 :]))


@given(st.text())
def test_no_text_makes_it_stumble(text: str) -> None:
    with pytest.raises(UsageError):
        cursor.decode(replace(REQUEST, after=text))


def test_pages_end_somewhere() -> None:
    assert cursor.encode(REQUEST, Seen.of(n.to_bytes(8) for n in range(MAX_SEEN - 1)))
    assert cursor.encode(REQUEST, Seen.of(n.to_bytes(8) for n in range(MAX_SEEN))) is None
