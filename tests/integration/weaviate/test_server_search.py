"""Searches by the official client: by cursor, by offset, near a vector, by filter."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from weaviate import WeaviateClient
from weaviate.classes.config import Configure, ConsistencyLevel, VectorDistances
from weaviate.classes.data import DataObject
from weaviate.classes.query import Filter, MetadataQuery
from weaviate.classes.tenants import Tenant
from weaviate.collections import Collection
from weaviate.exceptions import WeaviateQueryError

from local.weaviate_server.samples import PASSAGES, sample_objects
from local.weaviate_server.server import WeaviateServer

COUNT = 250

Connect = Callable[..., WeaviateClient]


@pytest.fixture
def passages(server: WeaviateServer, client: WeaviateClient) -> Collection:
    server.control.create(PASSAGES)
    server.control.put("Passages", list(sample_objects(COUNT, 8)))
    return client.collections.get("Passages")


def test_a_cursor_goes_through_the_ids_in_order_and_ends_on_an_empty_page(
    server: WeaviateServer, passages: Collection
) -> None:
    found = [str(each.uuid) for each in passages.iterator(include_vector=True, cache_size=100)]
    assert found == sorted(found)
    assert len(set(found)) == COUNT
    pages = server.control.counted().pages
    assert [len(page.ids) for page in pages] == [100, 100, 50, 0]
    assert [page.after for page in pages] == ["", found[99], found[199], found[249]]
    assert set(server.control.counted().reads.values()) == {1}


def test_a_cursor_begins_after_an_id_that_need_not_exist(passages: Collection) -> None:
    ids = [str(each.uuid) for each in passages.iterator()]
    middle = "80000000-0000-0000-0000-000000000000"
    found = [str(each.uuid) for each in passages.iterator(after=middle)]
    assert found == [each for each in ids if each > middle]
    assert 0 < len(found) < COUNT


def test_limit_and_offset_go_no_further_than_ten_thousand(passages: Collection) -> None:
    ids = [each.uuid for each in passages.iterator()]
    found = passages.query.fetch_objects(limit=10, offset=200).objects
    assert [each.uuid for each in found] == ids[200:210]
    assert len(passages.query.fetch_objects().objects) == 10
    assert passages.query.fetch_objects(limit=10_000).objects
    for limit, offset in ((10_001, 0), (1, 10_000)):
        with pytest.raises(WeaviateQueryError, match="query maximum results exceeded") as refused:
            passages.query.fetch_objects(limit=limit, offset=offset)
        assert f"offset '{offset}' and limit '{limit}'" in str(refused.value)
        assert "QUERY_MAXIMUM_RESULTS '10000'" in str(refused.value)


def test_a_cursor_goes_with_no_offset_and_no_filter(passages: Collection) -> None:
    after = next(iter(passages.iterator())).uuid
    with pytest.raises(WeaviateQueryError, match="offset cannot be set with after"):
        passages.query.fetch_objects(after=after, offset=1)
    with pytest.raises(WeaviateQueryError, match="where cannot be set with after"):
        passages.query.fetch_objects(after=after, filters=Filter.by_id().equal(after))


def test_metadata_comes_as_it_is_asked_for(passages: Collection) -> None:
    (found,) = passages.query.fetch_objects(limit=1, return_metadata=MetadataQuery.full()).objects
    now = datetime.now(UTC)
    assert timedelta() <= now - found.metadata.creation_time < timedelta(minutes=1)
    assert found.metadata.last_update_time == found.metadata.creation_time
    assert found.metadata.distance is None
    (bare,) = passages.query.fetch_objects(limit=1).objects
    assert bare.metadata.creation_time is None
    assert bare.vector == {}


def test_replies_that_were_prepared_are_as_others_and_change_with_the_object(
    server: WeaviateServer, passages: Collection
) -> None:
    before = list(passages.iterator(include_vector=True))
    server.control.prepare("Passages")
    assert list(passages.iterator(include_vector=True)) == before
    passages.data.update(before[3].uuid, {"text": "changed"})
    after = [each.properties["text"] for each in passages.iterator()]
    assert after[3] == "changed"
    assert after[4] == before[4].properties["text"]


def test_a_consistency_level_is_accepted(passages: Collection) -> None:
    strict = passages.with_consistency_level(ConsistencyLevel.ALL)
    assert sum(1 for _ in strict.iterator()) == COUNT


def measured(metric: VectorDistances, rows: np.ndarray, one: np.ndarray) -> np.ndarray:
    if metric == VectorDistances.COSINE:
        return 1 - rows @ one / np.linalg.norm(rows, axis=1) / np.linalg.norm(one)
    if metric == VectorDistances.DOT:
        return -(rows @ one)
    order = 1 if metric == VectorDistances.MANHATTAN else 2
    return np.linalg.norm(rows - one, order, axis=1) ** order


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize(
    "metric",
    [
        VectorDistances.COSINE,
        VectorDistances.DOT,
        VectorDistances.L2_SQUARED,
        VectorDistances.MANHATTAN,
    ],
)
def test_the_nearest_come_first_by_the_collection_s_distance(
    client: WeaviateClient, metric: VectorDistances, named: bool
) -> None:
    index = {"distance": metric.value}
    config = {"vectorIndexConfig": index, "vectorIndexType": "hnsw"}
    if named:
        each = {**config, "vectorizer": {"none": {}}}
        config = {"vectorConfig": {"text": each, "title": each}}
    client.collections.create_from_dict({"class": "Near", **config})
    near = client.collections.get("Near")
    random = np.random.default_rng(3)
    rows, one = random.standard_normal((40, 6)), random.standard_normal(6)
    ids = [uuid.uuid4() for _ in rows]
    near.data.insert_many(
        [
            DataObject({}, id_, {"text": row.tolist(), "title": [0.5]} if named else row.tolist())
            for id_, row in zip(ids, rows, strict=True)
        ]
    )
    found = near.query.near_vector(
        one.tolist(),
        limit=10,
        target_vector="text" if named else None,
        return_metadata=MetadataQuery(distance=True, certainty=True),
    ).objects
    expected = measured(metric, rows, one)
    assert [each.uuid for each in found] == [ids[place] for place in np.argsort(expected)[:10]]
    distances = [each.metadata.distance for each in found]
    np.testing.assert_allclose(distances, np.sort(expected)[:10], rtol=1e-5, atol=1e-6)
    assert (found[0].metadata.certainty is not None) == (metric == VectorDistances.COSINE)
    closest = near.query.near_object(ids[7], limit=1, target_vector="text" if named else None)
    if metric != VectorDistances.DOT:
        assert closest.objects[0].uuid == ids[7]


def test_a_distance_and_an_offset_bound_what_is_near(passages: Collection) -> None:
    vector = next(iter(passages.iterator(include_vector=True))).vector["default"]
    distance = MetadataQuery(distance=True)
    ranked = passages.query.near_vector(vector, limit=30, return_metadata=distance).objects
    shifted = passages.query.near_vector(vector, limit=5, offset=3).objects
    assert [each.uuid for each in shifted] == [each.uuid for each in ranked[3:8]]
    most = ranked[4].metadata.distance + 1e-6
    within = passages.query.near_vector(vector, limit=30, distance=most).objects
    assert [each.uuid for each in within] == [each.uuid for each in ranked[:5]]


def test_a_search_names_its_vector_where_there_are_several(client: WeaviateClient) -> None:
    client.collections.create(
        "Named",
        vector_config=[
            Configure.Vectors.self_provided(name="text"),
            Configure.Vectors.self_provided(name="title"),
        ],
    )
    named = client.collections.get("Named")
    with pytest.raises(WeaviateQueryError, match="has multiple vectors, but no target vectors"):
        named.query.near_vector([0.5])
    with pytest.raises(WeaviateQueryError, match="does not have named vector other configured"):
        named.query.near_vector([0.5], target_vector="other")
    named.data.insert({}, vector={"text": [0.5, 1.0]})
    with pytest.raises(WeaviateQueryError, match="vector lengths don't match: 1 vs 2"):
        named.query.near_vector([0.5], target_vector="text")


def test_filters_find_by_id_and_by_value(passages: Collection) -> None:
    everything = list(passages.iterator())
    some = [everything[place].uuid for place in (3, 90, 200)]
    fetched = passages.query.fetch_objects_by_ids(some).objects
    assert {each.uuid for each in fetched} == set(some)
    assert passages.query.fetch_object_by_id(some[0]).uuid == some[0]
    assert passages.query.fetch_object_by_id(uuid.uuid4()) is None
    source = everything[0].properties["source_id"]
    for wanted, expected in (
        (Filter.by_property("source_id").equal(source), lambda p: p["source_id"] == source),
        (Filter.by_property("chunk_index").greater_than(2), lambda p: p["chunk_index"] > 2),
        (Filter.by_property("article").is_none(True), lambda p: p["article"] is None),
        (
            Filter.by_property("keywords").contains_any(["diligence", "impacts"]),
            lambda p: {"diligence", "impacts"} & set(p["keywords"]),
        ),
        (
            Filter.by_property("in_force").equal(True) & Filter.by_property("pages").equal(3),
            lambda p: p["in_force"] and 3 in p["pages"],
        ),
        (Filter.by_property("text").like("*scope 3*"), lambda p: "Scope 3" in p["text"]),
        (
            Filter.by_property("text").equal("SCOPE operator"),
            lambda p: "Scope" in p["text"] and "operator" in p["text"],
        ),
    ):
        found = {
            each.uuid for each in passages.query.fetch_objects(filters=wanted, limit=999).objects
        }
        assert found == {each.uuid for each in everything if expected(each.properties)}
        assert 0 < len(found) < COUNT
        counted = passages.aggregate.over_all(total_count=True, filters=wanted)
        assert counted.total_count == len(found)


def test_each_tenant_has_its_own_objects(client: WeaviateClient) -> None:
    client.collections.create("Shared", multi_tenancy_config=Configure.multi_tenancy(enabled=True))
    shared = client.collections.get("Shared")
    shared.tenants.create([Tenant(name="one"), Tenant(name="two")])
    same = uuid.uuid4()
    for name, count in (("one", 3), ("two", 2)):
        ids = [same, *(uuid.uuid4() for _ in range(count - 1))]
        shared.with_tenant(name).data.insert_many(
            [DataObject({"of": name}, each, [0.5]) for each in ids]
        )
    for name, count in (("one", 3), ("two", 2)):
        tenant = shared.with_tenant(name)
        assert {each.properties["of"] for each in tenant.iterator(include_vector=True)} == {name}
        assert tenant.aggregate.over_all(total_count=True).total_count == count
        assert len(tenant.query.near_vector([0.5], limit=9).objects) == count


def test_a_reply_longer_than_the_largest_message_is_refused(connect: Connect) -> None:
    with WeaviateServer(max_message_bytes=20_000) as server:
        server.control.create(PASSAGES)
        server.control.put("Passages", list(sample_objects(100, 64)))
        passages = connect(server).collections.get("Passages")
        with pytest.raises(WeaviateQueryError, match="trying to send message larger than max"):
            list(passages.iterator(include_vector=True, cache_size=100))
        assert sum(1 for _ in passages.iterator(include_vector=True, cache_size=10)) == 100


def test_what_is_left_out_is_refused(passages: Collection) -> None:
    with pytest.raises(WeaviateQueryError, match="is not answered by this stand-in"):
        passages.query.near_text("a question")
