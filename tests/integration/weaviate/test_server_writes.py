"""Writes by the official client: one by one, many at once, in each way of batching."""

from __future__ import annotations

import uuid

import pytest
from weaviate import WeaviateClient
from weaviate.classes.config import Configure, DataType, Property, ReferenceProperty
from weaviate.classes.data import DataObject
from weaviate.classes.query import Filter, MetadataQuery, QueryReference
from weaviate.classes.tenants import Tenant
from weaviate.collections import Collection
from weaviate.collections.classes.internal import Object
from weaviate.exceptions import UnexpectedStatusCodeError, WeaviateInsertManyAllFailedError

from local.weaviate_server.server import WeaviateServer

FIRST, SECOND = (uuid.UUID(int=number, version=4) for number in (1, 2))
WAYS = {
    "dynamic": lambda batch: batch.dynamic(),
    "fixed_size": lambda batch: batch.fixed_size(batch_size=20, concurrent_requests=2),
    "rate_limit": lambda batch: batch.rate_limit(requests_per_minute=60_000),
    "stream": lambda batch: batch.stream(),
}


@pytest.fixture
def notes(client: WeaviateClient) -> Collection:
    client.collections.create(
        "Notes",
        properties=[
            Property(name="title", data_type=DataType.TEXT),
            Property(name="year", data_type=DataType.INT),
        ],
        references=[ReferenceProperty(name="cites", target_collection="Notes")],
        vector_config=Configure.Vectors.self_provided(),
    )
    return client.collections.get("Notes")


def read(collection: Collection, uuid_: uuid.UUID) -> Object:
    return collection.query.fetch_object_by_id(uuid_, include_vector=True)


def test_an_object_is_inserted_once(notes: Collection) -> None:
    notes.data.insert({"title": "a"}, uuid=FIRST, vector=[0.5])
    assert notes.data.exists(FIRST)
    assert not notes.data.exists(SECOND)
    with pytest.raises(UnexpectedStatusCodeError, match=f"id '{FIRST}' already exists"):
        notes.data.insert({"title": "b"}, uuid=FIRST)
    assert read(notes, FIRST).properties == {"title": "a", "year": None}


def test_replacing_leaves_nothing_of_before_but_its_birth(notes: Collection) -> None:
    notes.data.insert({"title": "a", "year": 1}, uuid=FIRST, vector=[0.5])
    before = read(notes, FIRST).metadata
    notes.data.replace(FIRST, {"year": 2}, vector=[1.5])
    after = notes.query.fetch_object_by_id(FIRST, include_vector=True)
    assert after.properties == {"title": None, "year": 2}
    assert after.vector == {"default": [1.5]}
    assert after.metadata.creation_time == before.creation_time
    with pytest.raises(UnexpectedStatusCodeError, match="404"):
        notes.data.replace(SECOND, {"year": 2})


def test_updating_changes_what_is_sent(notes: Collection) -> None:
    notes.data.insert({"title": "a", "year": 1}, uuid=FIRST, vector=[0.5])
    notes.data.update(FIRST, {"year": 2})
    assert read(notes, FIRST).properties == {"title": "a", "year": 2}
    assert read(notes, FIRST).vector == {"default": [0.5]}
    notes.data.update(FIRST, {"title": None}, vector=[1.5])
    assert read(notes, FIRST).properties == {"title": None, "year": 2}
    assert read(notes, FIRST).vector == {"default": [1.5]}
    with pytest.raises(UnexpectedStatusCodeError, match="404"):
        notes.data.update(SECOND, {"year": 2})


def test_deleting_tells_whether_there_was_one(notes: Collection) -> None:
    notes.data.insert({}, uuid=FIRST)
    assert notes.data.delete_by_id(FIRST)
    assert not notes.data.delete_by_id(FIRST)
    assert list(notes.iterator()) == []


def test_many_are_deleted_by_filter(notes: Collection) -> None:
    notes.data.insert_many([DataObject({"year": year}, uuid.uuid4()) for year in range(10)])
    old = Filter.by_property("year").less_than(4)
    tried = notes.data.delete_many(old, dry_run=True, verbose=True)
    assert (tried.matches, len(tried.objects)) == (4, 4)
    done = notes.data.delete_many(old)
    assert (done.matches, done.successful, done.failed) == (4, 4, 0)
    left = [each.uuid for each in notes.iterator()]
    assert len(left) == 6
    notes.data.delete_many(Filter.by_id().contains_any(left[:2]))
    assert [each.uuid for each in notes.iterator()] == left[2:]


def test_an_object_that_is_inserted_again_in_a_batch_is_replaced(notes: Collection) -> None:
    for title in ("a", "b"):
        assert not notes.data.insert_many([DataObject({"title": title}, FIRST, [0.5])]).errors
    (found,) = notes.iterator()
    assert found.properties["title"] == "b"


def test_a_batch_names_what_did_not_fit(notes: Collection) -> None:
    result = notes.data.insert_many(
        [DataObject({}, FIRST, [0.5, 1.0]), DataObject({}, SECOND, [0.5])]
    )
    assert list(result.errors) == [1]
    assert "vector with length 1" in result.errors[1].message
    assert [each.uuid for each in notes.iterator()] == [FIRST]
    with pytest.raises(WeaviateInsertManyAllFailedError, match="disabled"):
        notes.with_tenant("nobody").data.insert_many([{}])


def test_references_are_added_replaced_and_taken_away(notes: Collection) -> None:
    def cited() -> list[uuid.UUID]:
        found = notes.query.fetch_object_by_id(
            FIRST, return_references=QueryReference(link_on="cites")
        )
        cites = found.references.get("cites")
        return [each.uuid for each in cites.objects] if cites else []

    notes.data.insert_many([DataObject({}, FIRST), DataObject({}, SECOND)])
    notes.data.reference_add(FIRST, "cites", SECOND)
    assert cited() == [SECOND]
    notes.data.reference_replace(FIRST, "cites", [FIRST, SECOND])
    assert cited() == [FIRST, SECOND]
    notes.data.reference_delete(FIRST, "cites", SECOND)
    assert cited() == [FIRST]


@pytest.mark.parametrize("way", WAYS)
def test_each_way_of_batching_writes_all_and_tells_what_failed(
    client: WeaviateClient, notes: Collection, way: str
) -> None:
    ids = [uuid.uuid4() for _ in range(100)]
    with WAYS[way](client.batch) as batch:
        for year, each in enumerate(ids):
            batch.add_object("Notes", {"year": year}, uuid=each, vector=[0.5, 1.0])
        batch.add_reference(ids[1], "Notes", "cites", ids[0])
        batch.add_object("Notes", {}, uuid=SECOND, vector=[0.5])
    assert [str(each.object_.uuid) for each in client.batch.failed_objects] == [str(SECOND)]
    assert client.batch.failed_references == []
    assert {each.uuid for each in notes.iterator()} == set(ids)
    cites = QueryReference(link_on="cites")
    found = notes.query.fetch_object_by_id(ids[1], return_references=cites)
    assert [each.uuid for each in found.references["cites"].objects] == [ids[0]]


@pytest.mark.parametrize("way", ["fixed_size", "stream"])
def test_a_collection_s_batch_writes_to_its_tenant(
    client: WeaviateClient, server: WeaviateServer, way: str
) -> None:
    client.collections.create("Shared", multi_tenancy_config=Configure.multi_tenancy(enabled=True))
    shared = client.collections.get("Shared")
    shared.tenants.create(Tenant(name="one"))
    with WAYS[way](shared.with_tenant("one").batch) as batch:
        for _ in range(30):
            batch.add_object({}, vector=[0.5])
    assert len(server.control.ids("Shared", "one")) == 30
    used = "BatchStream" if way == "stream" else "BatchObjects"
    assert server.control.counted().calls[used] > 0


def test_ingest_streams(notes: Collection, server: WeaviateServer) -> None:
    result = notes.data.ingest(DataObject({"year": year}) for year in range(50))
    assert not result.errors
    assert len(server.control.ids("Notes")) == 50
    assert server.control.counted().calls["BatchStream"] == 1


def test_an_update_changes_the_time_of_the_last_one_alone(notes: Collection) -> None:
    notes.data.insert({}, uuid=FIRST)
    times = MetadataQuery(creation_time=True, last_update_time=True)
    before = notes.query.fetch_objects(return_metadata=times).objects[0].metadata
    notes.data.update(FIRST, {"year": 1})
    after = notes.query.fetch_objects(return_metadata=times).objects[0].metadata
    assert after.creation_time == before.creation_time
    assert after.last_update_time > before.last_update_time
