"""Objects become passages as the plan says, and the same objects again; what cannot is named."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest

from greenlang_vectors.chunking.model import content_hash
from greenlang_vectors.errors import ItemError
from greenlang_vectors.migration.mapping import Mapper
from greenlang_vectors.migration.objects import WeaviateObject
from greenlang_vectors.migration.plan import Plan, VectorMapping
from greenlang_vectors.migration.schema import CollectionInfo, collection_info
from greenlang_vectors.store.identity import document_id

TYPES = {
    "text": "text",
    "source": "text",
    "number": "int",
    "title": "text",
    "celex": "uuid",
    "published": "date",
    "weight": "number",
    "in_force": "boolean",
    "place": "geoCoordinates",
    "phone": "phoneNumber",
    "tags": "text[]",
    "pages": "int[]",
    "origin": "object",
}
VALUES: dict[str, Any] = {
    "text": "Article 1",
    "source": "32023R0956",
    "number": 3,
    "title": "CBAM",
    "celex": "0b394b4c-d310-42af-9e12-585897bda713",
    "published": "2023-05-16T00:00:00Z",
    "weight": 0.25,
    "in_force": True,
    "place": {"latitude": 52.52, "longitude": 13.4},
    "phone": {"input": "+49 171 1234567", "countryCode": 49},
    "tags": ["steel", "cement"],
    "pages": [1, 2],
    "origin": {"publisher": "Publications Office", "numbers": [1.5]},
}
METADATA = {k: v for k, v in VALUES.items() if k not in {"text", "source", "number", "title"}}
PLAN = Plan(
    collection="Passages",
    content="text",
    source_id="source",
    chunk_index="number",
    title="title",
    vectors=(VectorMapping(model="m"),),
)


def info(types: dict[str, Any] | None = None, **more: object) -> CollectionInfo:
    properties = [
        {"name": name, "dataType": kind if isinstance(kind, list) else [kind]}
        for name, kind in (TYPES if types is None else types).items()
    ]
    definition = {"class": "Passages", "vectorizer": "none", "properties": properties, **more}
    return collection_info(definition, "1.37.2")


def object_(vector: object = (1.0, 2.0), tenant: str = "", **changed: object) -> WeaviateObject:
    vectors = {None: np.asarray(vector, "<f4")} if vector is not None else {}
    return WeaviateObject(UUID(int=7), tenant, {**VALUES, **changed}, vectors, 1234)


def test_each_property_takes_its_place_and_the_rest_is_metadata() -> None:
    passage = Mapper(PLAN, "cbam", info()).passage(object_())
    assert (passage.source_key, passage.chunk_index, passage.title) == ("32023R0956", 3, "CBAM")
    assert passage.document_id == document_id("cbam", "document", "32023R0956")
    assert (passage.content, passage.content_hash) == ("Article 1", content_hash("Article 1"))
    assert passage.metadata == METADATA
    assert passage.updated_ms == 1234
    assert passage.vectors[0].tolist() == [1.0, 2.0]


def test_metadata_can_be_renamed_and_left_out() -> None:
    left_out = tuple(name for name in METADATA if name not in {"tags", "pages"})
    plan = PLAN.model_copy(
        update={"metadata": {"tags": "topics", "pages": "pages"}, "left_out": left_out}
    )
    mapper = Mapper(plan, "cbam", info())
    assert not [each for each in mapper.problems() if each.fatal]
    assert set(mapper.properties) == {"text", "source", "number", "title", "tags", "pages"}
    passage = mapper.passage(object_())
    assert passage.metadata == {"topics": ["steel", "cement"], "pages": [1, 2]}
    assert mapper.object(passage).properties["tags"] == ["steel", "cement"]
    reviewed = replace(passage, metadata={**passage.metadata, "reviewed": True})
    assert mapper.object(reviewed).properties == mapper.object(passage).properties


def test_what_is_null_is_left_out() -> None:
    passage = Mapper(PLAN, "cbam", info()).passage(object_(tags=None, title=None))
    assert "tags" not in passage.metadata
    assert passage.title == passage.source_key


def test_an_object_without_a_source_is_a_document_of_its_own() -> None:
    plan = Plan(collection="Passages", content="text", left_out=("title",))
    passage = Mapper(plan, "cbam", info()).passage(object_())
    assert (passage.source_key, passage.chunk_index) == (str(UUID(int=7)), 0)
    assert passage.metadata["source"] == "32023R0956"


def test_tenants_keep_their_sources_apart() -> None:
    mapper = Mapper(PLAN, "cbam", info())
    one, other = (mapper.passage(object_(tenant=tenant)) for tenant in ("acme", "zenith"))
    assert (one.source_key, other.source_key) == ("acme/32023R0956", "zenith/32023R0956")
    assert one.document_id != other.document_id
    assert mapper.object(one).properties["source"] == "32023R0956"
    assert mapper.object(one).tenant == "acme"


@pytest.mark.parametrize("changed", [{}, {"title": None, "tags": None}, {"number": 0}])
def test_a_passage_becomes_the_object_it_was(changed: dict[str, Any]) -> None:
    mapper = Mapper(PLAN, "cbam", info())
    first = object_(**changed)
    again = mapper.object(mapper.passage(first))
    assert again.properties == {k: v for k, v in first.properties.items() if v is not None}
    assert (again.id, again.tenant, again.updated_ms) == (first.id, "", 1234)
    assert again.vectors[None].tobytes() == first.vectors[None].tobytes()


def test_a_source_that_is_a_number_stays_one() -> None:
    mapper = Mapper(PLAN, "cbam", info({**TYPES, "source": "int"}))
    passage = mapper.passage(object_(source=42))
    assert passage.source_key == "42"
    assert mapper.object(passage).properties["source"] == 42
    with pytest.raises(ItemError, match="whole numbers"):
        mapper.object(Mapper(PLAN, "cbam", info()).passage(object_(source="forty-two")))


@pytest.mark.parametrize(
    ("reason", "changed"),
    [
        ("empty_text", {"text": None}),
        ("empty_text", {"text": " \n"}),
        ("nul_character", {"text": "a\x00b"}),
        ("nul_character", {"source": "a\x00b"}),
        ("nul_character", {"tags": ["a", "b\x00"]}),
        ("nul_character", {"origin": {"publisher": {"deep": "\x00"}}}),
        ("not_finite", {"weight": float("nan")}),
        ("not_finite", {"origin": {"numbers": [float("inf")]}}),
        ("no_source_id", {"source": None}),
        ("no_source_id", {"source": ""}),
        ("no_chunk_index", {"number": None}),
        ("bad_chunk_index", {"number": 1.5}),
        ("bad_chunk_index", {"number": -1}),
        ("bad_chunk_index", {"number": 2**31}),
        ("no_vector", {"vector": None}),
        ("wrong_dimensions", {"vector": [1.0, 2.0, 3.0]}),
        ("multi_vector", {"vector": [[1.0, 2.0]]}),
        ("not_finite", {"vector": [1.0, float("nan")]}),
        ("not_finite", {"vector": [1.0, float("-inf")]}),
    ],
)
def test_an_object_that_cannot_be_carried_says_why(reason: str, changed: dict[str, Any]) -> None:
    with pytest.raises(ItemError) as caught:
        Mapper(PLAN, "cbam", info(), dimensions=[2]).passage(object_(**changed))
    assert caught.value.reason == reason
    assert caught.value.remedy


def test_a_backslash_before_u0000_is_no_nul() -> None:
    passage = Mapper(PLAN, "cbam", info()).passage(object_(tags=["C:\\u0000"]))
    assert passage.metadata["tags"] == ["C:\\u0000"]


def test_a_whole_number_written_as_a_fraction_numbers_a_passage() -> None:
    assert Mapper(PLAN, "cbam", info()).passage(object_(number=2.0)).chunk_index == 2


def test_an_odd_vector_passes_bit_for_bit() -> None:
    odd = np.array([-0.0, 1e-45], "<f4")
    passage = Mapper(PLAN, "cbam", info()).passage(object_(odd))
    assert passage.vectors[0].tobytes() == odd.tobytes()


def test_several_vectors_keep_the_order_of_the_plan() -> None:
    plan = PLAN.model_copy(
        update={
            "vectors": (VectorMapping(name="b", model="mb"), VectorMapping(name="a", model="ma"))
        }
    )
    each = WeaviateObject(uuid4(), "", VALUES, {"a": np.ones(2, "<f4"), "b": np.zeros(3, "<f4")}, 0)
    passage = Mapper(plan, "cbam", info(), dimensions=[3, 2]).passage(each)
    assert [len(vector) for vector in passage.vectors] == [3, 2]
    assert Mapper(plan, "cbam", info()).object(passage).vectors.keys() == {"a", "b"}


@pytest.mark.parametrize(
    ("concerns", "reason", "types", "plan"),
    [
        ("photo", "not_carried", {"photo": "blob"}, {}),
        ("author", "not_carried", {"author": ["Person"]}, {}),
        ("nothing", "unknown_property", {}, {"content": "nothing"}),
        ("nothing", "unknown_property", {}, {"left_out": ("nothing",)}),
        ("number", "wrong_type", {}, {"content": "number"}),
        ("tags", "wrong_type", {}, {"chunk_index": "tags"}),
        ("place", "wrong_type", {}, {"source_id": "place"}),
        ("tags", "same_key", {}, {"metadata": {"tags": "x", "pages": "x"}}),
        ("celex", "not_named", {}, {"metadata": {"tags": "x"}}),
        ("the vector 'b'", "unknown_vector", {}, {"vectors": (VectorMapping(name="b"),)}),
    ],
)
def test_what_does_not_fit_is_named_before_anything_begins(
    concerns: str, reason: str, types: dict[str, Any], plan: dict[str, Any]
) -> None:
    mapper = Mapper(PLAN.model_copy(update=plan), "cbam", info({**TYPES, **types}))
    assert (concerns, reason) in {
        (each.concerns, each.reason) for each in mapper.problems() if each.fatal
    }


def test_a_blob_inside_an_object_is_named_too() -> None:
    nested = [{"name": "scan", "dataType": ["blob"]}]
    holder = {"name": "origin", "dataType": ["object"], "nestedProperties": nested}
    known = info(properties=[holder, {"name": "text", "dataType": ["text"]}])
    found = Mapper(PLAN, "cbam", known).problems()
    assert "origin.scan" in {each.concerns for each in found}


def test_a_distance_that_pgvector_has_no_index_for_is_named() -> None:
    [found] = [
        each
        for each in Mapper(PLAN, "cbam", info(vectorIndexConfig={"distance": "hamming"})).problems()
        if each.fatal
    ]
    assert found.reason == "metric"


def test_blobs_and_references_are_carried_where_they_are_named() -> None:
    types = {"text": "text", "photo": "blob", "author": ["Person"]}
    plan = Plan(
        collection="Passages", content="text", metadata={"photo": "photo", "author": "author"}
    )
    mapper = Mapper(plan, "cbam", info(types))
    assert mapper.problems() == []
    assert set(mapper.properties) == {"text", "photo", "author"}
    carried = {"text": "x", "photo": "aGVsbG8=", "author": ["weaviate://localhost/Person/1"]}
    passage = mapper.passage(WeaviateObject(uuid4(), "", carried, {None: np.ones(2, "<f4")}, 0))
    assert passage.metadata == {k: v for k, v in carried.items() if k != "text"}


def test_a_source_that_is_split_into_words_is_only_mentioned() -> None:
    properties = [{"name": "source", "dataType": ["text"], "tokenization": "word"}]
    properties += [{"name": n, "dataType": [t]} for n, t in TYPES.items() if n != "source"]
    [found] = Mapper(PLAN, "cbam", info(properties=properties)).problems()
    assert (found.concerns, found.fatal) == ("source", False)
