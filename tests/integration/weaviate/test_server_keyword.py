"""Searches by words, and by words and vectors together, as the official client asks them."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from uuid import UUID

import pytest
import weaviate
from weaviate.classes.query import Filter, HybridFusion, MetadataQuery
from weaviate.collections import Collection
from weaviate.collections.classes.internal import Object
from weaviate.exceptions import WeaviateQueryError

from local.weaviate_server.schema import UNNAMED, Definition
from local.weaviate_server.server import WeaviateServer
from local.weaviate_server.store import Sent, Vector

pytestmark = pytest.mark.integration

TEXTS = (
    "The cement importer reports emissions.",
    "Cement, cement and more cement: a long list of cement kilns and of what they burn.",
    "A cocoa trader keeps coordinates.",
    "Emissions of steel.",
)
NOTES: Definition = {
    "class": "Notes",
    "properties": [
        {"name": "text", "dataType": ["text"]},
        {"name": "place", "dataType": ["text"], "tokenization": "field"},
        {"name": "number", "dataType": ["int"]},
    ],
}


@pytest.fixture
def notes(server: WeaviateServer, client: weaviate.WeaviateClient) -> Collection:
    server.control.create(NOTES)
    server.control.put(
        "Notes",
        [
            Sent(
                str(UUID(int=number + 1)),
                {"text": text, "place": f"Hall {number % 2}", "number": number},
                {UNNAMED: Vector(struct.pack("<2f", 1.0, number))},
            )
            for number, text in enumerate(TEXTS)
        ],
    )
    return client.collections.get("Notes")


def numbers(found: Sequence[Object]) -> list[int]:
    return [each.properties["number"] for each in found]


def test_words_are_found_by_bm25(notes: Collection) -> None:
    found = notes.query.bm25("CEMENT emissions", return_metadata=MetadataQuery(score=True)).objects
    assert numbers(found)[0] == 0, "both words, in a short text"
    assert set(numbers(found)) == {0, 1, 3}
    scores = [each.metadata.score for each in found]
    assert scores == sorted(scores, reverse=True)
    assert all(score > 0 for score in scores)
    assert numbers(notes.query.bm25("cement kilns", limit=1).objects) == [1]
    assert not notes.query.bm25("asbestos").objects


def test_words_are_looked_for_in_the_properties_that_are_named(notes: Collection) -> None:
    by_place = notes.query.bm25("Hall 1", query_properties=["place"]).objects
    assert sorted(numbers(by_place)) == [1, 3]
    assert not notes.query.bm25("Hall 1", query_properties=["text"]).objects
    assert not notes.query.bm25("hall 1", query_properties=["place"]).objects
    with pytest.raises(WeaviateQueryError, match="property number is not indexed"):
        notes.query.bm25("1", query_properties=["number"])


def test_words_are_found_within_a_filter(notes: Collection) -> None:
    found = notes.query.bm25("cement", filters=Filter.by_property("number").greater_than(0)).objects
    assert numbers(found) == [1]


@pytest.mark.parametrize("fusion", list(HybridFusion))
def test_a_hybrid_search_fuses_both(notes: Collection, fusion: HybridFusion) -> None:
    def ask(alpha: float) -> list[int]:
        found = notes.query.hybrid(
            "cocoa",
            vector=[1.0, 0.0],
            alpha=alpha,
            fusion_type=fusion,
            return_metadata=MetadataQuery(score=True),
        ).objects
        scores = [each.metadata.score for each in found]
        assert scores == sorted(scores, reverse=True)
        return numbers(found)

    assert ask(1) == [0, 1, 2, 3], "by vectors alone"
    assert ask(0) == [2], "by words alone"
    assert ask(0.3)[0] == 2
    assert sorted(ask(0.3)) == [0, 1, 2, 3]


def test_ranks_are_fused_by_their_reciprocals(notes: Collection) -> None:
    found = notes.query.hybrid(
        "cocoa",
        vector=[1.0, 0.0],
        alpha=0.5,
        fusion_type=HybridFusion.RANKED,
        return_metadata=MetadataQuery(score=True),
        filters=Filter.by_property("number").greater_than(0),
    ).objects
    assert numbers(found) == [2, 1, 3]
    expected = [0.5 / 61 + 0.5 / 60, 0.5 / 60, 0.5 / 62]
    assert [each.metadata.score for each in found] == pytest.approx(expected)


def test_a_hybrid_search_needs_a_vector(notes: Collection) -> None:
    with pytest.raises(WeaviateQueryError, match="no vector was sent"):
        notes.query.hybrid("cocoa")
