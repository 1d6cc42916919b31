"""What cannot be asked is said before anything is done."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from greenlang_vectors.errors import UsageError
from greenlang_vectors.search.model import SearchRequest
from greenlang_vectors.search.validation import checked

VECTOR = np.ones(3, np.float32)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"top_k": 0}, "between 1 and 1000"),
        ({"top_k": 1001}, "between 1 and 1000"),
        ({"query": None}, "neither a question nor a vector"),
        ({"query": None, "vector": VECTOR, "mode": "text"}, "searches for words"),
        ({"query": None, "vector": VECTOR, "mode": "hybrid"}, "searches for words"),
        ({"query": None, "vector": VECTOR, "rerank": True}, "re-ranker reads the question"),
        ({"vector": VECTOR, "mode": "text"}, "no use"),
        ({"vector": np.ones((1, 3))}, "one row"),
        ({"vector": np.array([1, np.nan])}, "finite"),
        ({"vector": np.array([1, np.inf])}, "finite"),
        ({"query": " \n\x00"}, "empty"),
        ({"query": "x" * 20_001}, "20001 characters"),
        ({"query": "\ud800", "mode": "text"}, "surrogate"),
        ({"mode": "both"}, "Unknown mode 'both'"),
        ({"mode": "text", "threshold": 0.5}, "mode text"),
        ({"mode": "hybrid", "threshold": 0.5}, "mode hybrid"),
        ({"threshold": float("nan")}, "must be a number"),
        ({"per_document": 0}, "1 or more"),
        ({"max_tokens": 0}, "max_tokens must be 1 or more"),
        ({"diversity": -0.1}, "between 0 and 1"),
        ({"diversity": 1.1}, "between 0 and 1"),
        ({"diversity": 0.5, "rerank": True}, "choose one"),
        ({"weights": (1.0, 2.0)}, "Only a hybrid search"),
        ({"mode": "hybrid", "weights": (0.0, 0.0)}, "not both 0"),
        ({"mode": "hybrid", "weights": (-1.0, 1.0)}, "none below 0"),
        ({"mode": "hybrid", "weights": (float("nan"), 1.0)}, "two numbers"),
        ({"namespace": "a\x00"}, "Unknown namespace"),
        ({"collection": "a/\ud800"}, "Unknown collection"),
    ],
)
def test_what_cannot_be_asked(given: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        checked(SearchRequest(**{"query": "steel", "namespace": "cbam"} | given))


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"mode": "hybrid", "vector": VECTOR, "weights": (0.0, 1.0), "per_document": 1},
        {"mode": "text", "rerank": True},
        {"query": None, "vector": VECTOR, "threshold": -1.0, "diversity": 1.0},
        {"top_k": 1000, "exact": True, "fresh": True},
    ],
)
def test_what_can(given: dict[str, Any]) -> None:
    checked(SearchRequest(**{"query": "steel", "namespace": "cbam"} | given))


def test_nul_characters_are_left_out_and_vectors_are_float32() -> None:
    request = checked(SearchRequest("a\x00b", "cbam", vector=[1, 2]))  # type: ignore[arg-type]
    assert request.query == "ab"
    assert request.vector is not None
    assert request.vector.dtype == np.float32
