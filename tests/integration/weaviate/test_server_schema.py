"""Collections and tenants, made and read back by the official client."""

from __future__ import annotations

import pytest
from weaviate import WeaviateClient
from weaviate.classes.config import (
    Configure,
    DataType,
    Property,
    ReferenceProperty,
    VectorDistances,
)
from weaviate.classes.tenants import Tenant, TenantActivityStatus
from weaviate.exceptions import UnexpectedStatusCodeError, WeaviateQueryError


def test_named_vectors_are_described_with_their_distance(client: WeaviateClient) -> None:
    client.collections.create(
        "Named",
        vector_config=[
            Configure.Vectors.self_provided(name="text"),
            Configure.Vectors.self_provided(
                name="title",
                vector_index_config=Configure.VectorIndex.flat(
                    distance_metric=VectorDistances.L2_SQUARED
                ),
            ),
        ],
    )
    vectors = client.collections.get("Named").config.get().vector_config
    assert vectors["text"].vector_index_config.distance_metric == VectorDistances.COSINE
    assert vectors["title"].vector_index_config.distance_metric == VectorDistances.L2_SQUARED


def test_an_unnamed_vector_is_described_with_its_distance(client: WeaviateClient) -> None:
    client.collections.create_from_dict(
        {"class": "plain", "vectorizer": "none", "vectorIndexConfig": {"distance": "dot"}}
    )
    config = client.collections.get("Plain").config.get()
    assert config.vector_config is None
    assert config.vector_index_config.distance_metric == VectorDistances.DOT


def test_properties_are_described_by_their_types(client: WeaviateClient) -> None:
    client.collections.create("Target")
    client.collections.create(
        "Typed",
        properties=[
            Property(name="Text", data_type=DataType.TEXT),
            Property(
                name="origin",
                data_type=DataType.OBJECT,
                nested_properties=[Property(name="celex", data_type=DataType.TEXT)],
            ),
        ],
        references=[ReferenceProperty(name="cites", target_collection="Target")],
    )
    typed = client.collections.get("Typed")
    typed.config.add_property(Property(name="pages", data_type=DataType.INT_ARRAY))
    config = typed.config.get()
    assert {each.name: each.data_type for each in config.properties} == {
        "text": DataType.TEXT,
        "origin": DataType.OBJECT,
        "pages": DataType.INT_ARRAY,
    }
    assert config.properties[1].nested_properties[0].name == "celex"
    assert [each.target_collections for each in config.references] == [["Target"]]


def test_collections_are_listed_and_dropped(client: WeaviateClient) -> None:
    for name in ("One", "Two"):
        client.collections.create(name)
    assert set(client.collections.list_all(simple=False)) == {"One", "Two"}
    with pytest.raises(UnexpectedStatusCodeError, match="class name One already exists"):
        client.collections.create("One")
    client.collections.delete("One")
    assert not client.collections.exists("One")
    assert client.collections.exists("Two")
    with pytest.raises(UnexpectedStatusCodeError, match="404"):
        client.collections.get("One").config.get()
    with pytest.raises(WeaviateQueryError, match="could not find class One in schema"):
        client.collections.get("One").query.fetch_objects()


def test_tenants_come_go_and_rest(client: WeaviateClient) -> None:
    client.collections.create("Shared", multi_tenancy_config=Configure.multi_tenancy(enabled=True))
    tenants = client.collections.get("Shared").tenants
    tenants.create([Tenant(name="one"), Tenant(name="two"), Tenant(name="three")])
    tenants.update([Tenant(name="two", activity_status=TenantActivityStatus.INACTIVE)])
    tenants.remove(["three"])
    assert {name: each.activity_status for name, each in tenants.get().items()} == {
        "one": TenantActivityStatus.ACTIVE,
        "two": TenantActivityStatus.INACTIVE,
    }
    assert set(tenants.get_by_names(["two", "three"])) == {"two"}
    assert tenants.get_by_name("one").name == "one"
    assert tenants.get_by_name("three") is None
    assert tenants.exists("one")
    assert not tenants.exists("three")


@pytest.mark.parametrize(
    ("tenant", "message"),
    [
        (None, "has multi-tenancy enabled, but request was without tenant"),
        ("nobody", 'tenant not found: "nobody"'),
        ("resting", "tenant not active: 'resting'"),
    ],
)
def test_a_request_must_name_a_tenant_that_is_active(
    client: WeaviateClient, tenant: str | None, message: str
) -> None:
    client.collections.create("Shared", multi_tenancy_config=Configure.multi_tenancy(enabled=True))
    shared = client.collections.get("Shared")
    shared.tenants.create(Tenant(name="resting", activity_status=TenantActivityStatus.INACTIVE))
    asked = shared.with_tenant(tenant) if tenant else shared
    for refused in (
        asked.query.fetch_objects,
        lambda: asked.aggregate.over_all(total_count=True),
        lambda: asked.data.insert({"text": "a"}),
    ):
        with pytest.raises((WeaviateQueryError, UnexpectedStatusCodeError), match="tenan") as why:
            refused()
        assert message in str(why.value).replace('\\"', '"')


def test_a_collection_without_tenants_takes_none(client: WeaviateClient) -> None:
    client.collections.create("Plain")
    with pytest.raises(WeaviateQueryError, match="multi-tenancy disabled"):
        client.collections.get("Plain").with_tenant("one").query.fetch_objects()
