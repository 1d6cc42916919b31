"""Every property type, and vectors bit for bit, there and back through the official client."""

from __future__ import annotations

import base64
import struct
import uuid
from datetime import UTC, datetime

import pytest
from weaviate import WeaviateClient
from weaviate.classes.config import Configure, DataType, Property, ReferenceProperty
from weaviate.classes.data import DataObject, GeoCoordinate, PhoneNumber
from weaviate.classes.query import QueryReference
from weaviate.collections import Collection

from local.weaviate_server.server import WeaviateServer

ID = uuid.UUID("00000000-0000-4000-8000-00000000000a")
BLOB = base64.b64encode(b"\x00\xff scan").decode()
VALUES = {
    "text": "Scope 3 – “value chain”",
    "texts": ["eins", "zwei"],
    "int": 2**53,
    "ints": [-1, 0, 2**40],
    "number": -0.0,
    "numbers": [1.5, 5e-324],
    "boolean": False,
    "booleans": [True, False],
    "date": datetime(2026, 1, 2, 3, 4, 5, 670000, tzinfo=UTC),
    "dates": [datetime(2026, 1, 2, tzinfo=UTC)],
    "uuid": uuid.uuid5(ID, "a"),
    "uuids": [uuid.uuid5(ID, "b")],
    "geo": GeoCoordinate(latitude=52.25, longitude=-13.5),
    "object": {"name": "EUR-Lex", "year": 2023, "inner": {"flag": True}},
    "objects": [{"name": "a"}, {"name": "b", "year": 1}],
    "empty": [],
}
NESTED = [
    Property(name="name", data_type=DataType.TEXT),
    Property(name="year", data_type=DataType.INT),
    Property(
        name="inner",
        data_type=DataType.OBJECT,
        nested_properties=[Property(name="flag", data_type=DataType.BOOL)],
    ),
]
TYPES = {
    "text": DataType.TEXT,
    "texts": DataType.TEXT_ARRAY,
    "int": DataType.INT,
    "ints": DataType.INT_ARRAY,
    "number": DataType.NUMBER,
    "numbers": DataType.NUMBER_ARRAY,
    "boolean": DataType.BOOL,
    "booleans": DataType.BOOL_ARRAY,
    "date": DataType.DATE,
    "dates": DataType.DATE_ARRAY,
    "uuid": DataType.UUID,
    "uuids": DataType.UUID_ARRAY,
    "geo": DataType.GEO_COORDINATES,
    "phone": DataType.PHONE_NUMBER,
    "blob": DataType.BLOB,
    "object": DataType.OBJECT,
    "objects": DataType.OBJECT_ARRAY,
    "empty": DataType.INT_ARRAY,
    "unset": DataType.TEXT,
}
HARD = [-0.0, 0.0, 1e-45, -1.1754942e-38, 3.4028235e38, 0.1, 1 / 3]


def bits(vector: list[float]) -> bytes:
    return struct.pack(f"<{len(vector)}f", *vector)


@pytest.fixture
def typed(client: WeaviateClient) -> Collection:
    client.collections.create(
        "Target", properties=[Property(name="title", data_type=DataType.TEXT)]
    )
    client.collections.get("Target").data.insert({"title": "aim"}, uuid=ID, vector=[0.5])
    return client.collections.create(
        "Typed",
        properties=[
            Property(
                name=name,
                data_type=kind,
                nested_properties=NESTED if name.startswith("object") else None,
            )
            for name, kind in TYPES.items()
        ],
        references=[ReferenceProperty(name="cites", target_collection="Target")],
    )


@pytest.mark.parametrize("way", ["rest", "batch"])
def test_every_type_comes_back_as_it_was_sent(typed: Collection, way: str) -> None:
    sent = {**VALUES, "blob": BLOB, "phone": PhoneNumber(number="+49 30 123456"), "unset": None}
    if way == "rest":
        typed.data.insert(sent, references={"cites": ID}, uuid=ID)
    else:
        result = typed.data.insert_many([DataObject(sent, ID, references={"cites": ID})])
        assert not result.errors
    (found,) = typed.iterator()
    phone = found.properties.pop("phone")
    assert (phone.number, phone.country_code, phone.valid) == ("+49 30 123456", 49, True)
    assert found.properties == {**VALUES, "unset": None}
    assert struct.pack("<d", found.properties["number"]) == struct.pack("<d", -0.0)
    assert found.references is None


def test_blobs_and_references_come_when_they_are_named(typed: Collection) -> None:
    typed.data.insert({"blob": BLOB, "text": "a"}, references={"cites": ID}, uuid=ID)
    (found,) = typed.iterator(
        return_properties=["blob", "unset"],
        return_references=QueryReference(link_on="cites", return_properties=["title"]),
    )
    assert found.properties == {"blob": BLOB, "unset": None}
    (target,) = found.references["cites"].objects
    assert target.uuid == ID
    assert target.properties == {"title": "aim"}
    assert target.collection == "Target"


def test_no_properties_are_returned_where_none_are_wanted(typed: Collection) -> None:
    typed.data.insert({"text": "a"}, uuid=ID)
    (found,) = typed.iterator(return_properties=[])
    assert found.properties == {}
    assert found.uuid == ID


def test_a_value_of_another_type_is_refused(typed: Collection) -> None:
    with pytest.raises(Exception, match="invalid int property 'int' on class 'Typed'"):
        typed.data.insert({"int": "many"})


def test_a_property_the_collection_lacks_is_added(client: WeaviateClient) -> None:
    client.collections.create("Grown")
    grown = client.collections.get("Grown")
    grown.data.insert({"title": "a", "year": 3, "seen": datetime(2026, 1, 1, tzinfo=UTC)})
    kinds = {each.name: each.data_type for each in grown.config.get().properties}
    assert kinds == {"title": DataType.TEXT, "year": DataType.NUMBER, "seen": DataType.DATE}


@pytest.mark.parametrize("way", ["rest", "batch"])
def test_an_unnamed_vector_survives_bit_for_bit(
    server: WeaviateServer, client: WeaviateClient, way: str
) -> None:
    client.collections.create_from_dict({"class": "Plain", "vectorizer": "none"})
    plain = client.collections.get("Plain")
    if way == "rest":
        plain.data.insert({}, uuid=ID, vector=HARD)
    else:
        plain.data.insert_many([DataObject({}, ID, HARD)])
    assert server.control.vectors("Plain", str(ID))[""].data == bits(HARD)
    (found,) = plain.iterator(include_vector=True)
    assert bits(found.vector["default"]) == bits(HARD)


@pytest.mark.parametrize("way", ["rest", "batch"])
def test_named_vectors_survive_bit_for_bit(client: WeaviateClient, way: str) -> None:
    named = client.collections.create(
        "Named",
        vector_config=[
            Configure.Vectors.self_provided(name="text"),
            Configure.Vectors.self_provided(name="unset"),
            Configure.MultiVectors.self_provided(name="tokens"),
        ],
    )
    vectors = {"text": HARD, "tokens": [HARD, HARD[::-1]]}
    if way == "rest":
        named.data.insert({}, uuid=ID, vector=vectors)
    else:
        named.data.insert_many([DataObject({}, ID, vectors)])
    (found,) = named.iterator(include_vector=True)
    assert found.vector.keys() == {"text", "tokens"}
    assert bits(found.vector["text"]) == bits(HARD)
    assert [bits(each) for each in found.vector["tokens"]] == [bits(HARD), bits(HARD[::-1])]
    (only,) = named.iterator(include_vector=["text"])
    assert only.vector.keys() == {"text"}


def test_a_vector_without_a_name_is_that_of_the_only_name(client: WeaviateClient) -> None:
    named = client.collections.create(
        "Named", vector_config=Configure.Vectors.self_provided(name="text")
    )
    named.data.insert({}, uuid=ID, vector=[0.5, 1.0])
    (found,) = named.iterator(include_vector=True)
    assert found.vector == {"text": [0.5, 1.0]}


def test_a_vector_of_another_length_or_name_is_refused(client: WeaviateClient) -> None:
    named = client.collections.create(
        "Named", vector_config=Configure.Vectors.self_provided(name="text")
    )
    named.data.insert({}, vector={"text": [0.5, 1.0]})
    with pytest.raises(
        Exception, match=r"vector with length 1\. Existing nodes have vectors with length 2"
    ):
        named.data.insert({}, vector={"text": [0.5]})
    with pytest.raises(Exception, match="does not have configuration for vector other"):
        named.data.insert({}, vector={"other": [0.5, 1.0]})
