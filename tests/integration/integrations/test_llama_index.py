"""The LlamaIndex vector store: what its base class promises, and an index over it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from llama_index.core import Document, StorageContext, VectorStoreIndex
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)
from llama_index.core.vector_stores.utils import build_metadata_filter_fn

from greenlang_vectors.errors import UnknownNamespace, UsageError
from greenlang_vectors.integrations.llama_index import GreenLangVectorStore
from greenlang_vectors.service import EmbeddingRequest, EmbeddingService
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import namespaces
from greenlang_vectors.store.database import Database

pytestmark = pytest.mark.integration

METADATA: dict[str, dict[str, Any]] = {
    "a": {"year": 2023, "tags": ["land", "eu"], "name": "Forest 100%"},
    "b": {"year": 2024, "tags": ["land"], "name": "forest 100 percent", "language": "en"},
    "c": {"year": 2020, "tags": [], "language": ""},
}
TEXTS = {
    "a": "Forest land may not be converted to pasture.",
    "b": "Forest land may not be converted to farm land.",
    "c": "A quarterly report names every shipment.",
}
VECTORS = {"a": [1.0, 0.1, 0.0], "b": [1.0, 0.0, 0.1], "c": [0.1, 1.0, 0.0]}


def node(key: str, document: str = "doc") -> TextNode:
    return TextNode(
        id_=key,
        text=TEXTS[key],
        metadata=METADATA[key],
        embedding=VECTORS[key],
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=document)},
    )


@pytest.fixture(scope="module")
def service(database: Database) -> Iterator[EmbeddingService]:
    service = EmbeddingService(database, Settings())
    yield service
    service.sync.close()


@pytest.fixture
def namespace(database: Database) -> str:
    with database.connect() as connection:
        return namespaces.register(connection, f"li-{uuid4().hex[:10]}").name


@pytest.fixture
def store(service: EmbeddingService, namespace: str) -> GreenLangVectorStore:
    store = GreenLangVectorStore(service, namespace, model="mock")
    assert store.add([node("a"), node("b"), node("c", "other")]) == ["a", "b", "c"]
    return store


def asked(**options: object) -> VectorStoreQuery:
    return VectorStoreQuery(**{"query_embedding": VECTORS["a"], "similarity_top_k": 9} | options)


def same(found: TextNode, expected: TextNode) -> bool:
    expected = expected.model_copy(update={"embedding": None})
    return found.to_dict() == expected.to_dict()


def test_an_empty_store(service: EmbeddingService, namespace: str) -> None:
    empty = GreenLangVectorStore(service, namespace, model="mock")
    result = empty.query(asked())
    assert (result.nodes, result.similarities, result.ids) == ([], [], [])
    assert empty.get_nodes() == []
    empty.delete("doc")
    empty.delete_nodes(["a"])
    empty.clear()
    assert empty.add([]) == []


def test_nodes_come_back_as_they_were_added(store: GreenLangVectorStore) -> None:
    result = store.query(asked(similarity_top_k=2))
    assert result.ids == ["a", "b"]
    assert all(same(found, node(found.node_id)) for found in result.nodes)
    assert result.similarities[0] == pytest.approx(1)
    found = store.get_nodes(["c", "missing", "a"])
    assert [each.node_id for each in found] == ["c", "a"]
    assert same(found[0], node("c", "other"))


def test_a_node_added_again_replaces_the_first(store: GreenLangVectorStore) -> None:
    changed = node("a")
    changed.metadata = {"year": 1999}
    changed.set_content("Other words.")
    store.add([changed])
    [found] = store.get_nodes(["a"])
    assert same(found, changed)
    assert len(store.get_nodes()) == 3


def test_delete_takes_the_nodes_of_a_document(store: GreenLangVectorStore) -> None:
    store.delete("doc")
    assert [each.node_id for each in store.get_nodes()] == ["c"]
    store.delete("doc")


def test_delete_nodes_and_clear(store: GreenLangVectorStore, service: EmbeddingService) -> None:
    service.sync.embed_and_store(EmbeddingRequest(["Kept."], store.namespace, source_id="kept"))
    old = MetadataFilters(
        filters=[MetadataFilter(key="year", value=2021, operator=FilterOperator.LT)]
    )
    store.delete_nodes()
    store.delete_nodes(["a"], old)
    assert len(store.get_nodes()) == 3
    store.delete_nodes(filters=old)
    assert [each.node_id for each in store.get_nodes()] == ["a", "b"]
    store.delete_nodes(["b", "missing"])
    assert [each.node_id for each in store.get_nodes()] == ["a"]
    store.clear()
    assert store.get_nodes() == []
    assert len(service.sync.get(store.namespace, ["kept"])) == 1


OPERATORS = [
    ("year", FilterOperator.EQ, 2023),
    ("year", FilterOperator.NE, 2023),
    ("language", FilterOperator.NE, "en"),
    ("year", FilterOperator.GT, 2023),
    ("year", FilterOperator.GTE, 2023),
    ("year", FilterOperator.LT, 2023),
    ("year", FilterOperator.LTE, 2023),
    ("year", FilterOperator.IN, [2020, 2024]),
    ("year", FilterOperator.NIN, [2020, 2024]),
    ("language", FilterOperator.NIN, ["en"]),
    ("tags", FilterOperator.CONTAINS, "eu"),
    ("tags", FilterOperator.ANY, ["eu", "land"]),
    ("tags", FilterOperator.ALL, ["eu", "land"]),
    ("name", FilterOperator.TEXT_MATCH, "100%"),
    ("name", FilterOperator.TEXT_MATCH, "orest_"),
    ("language", FilterOperator.IS_EMPTY, None),
    ("tags", FilterOperator.IS_EMPTY, None),
]


def reference(given: MetadataFilters) -> list[str]:
    """What LlamaIndex's own store in memory would let pass."""
    passes = build_metadata_filter_fn(lambda key: METADATA[key], given)
    return [key for key in METADATA if passes(key)]


@pytest.fixture(scope="module")
def filtered(database: Database, service: EmbeddingService) -> GreenLangVectorStore:
    with database.connect() as connection:
        namespaces.register(connection, "filtered-nodes")
    store = GreenLangVectorStore(service, "filtered-nodes", model="mock")
    store.add([node("a"), node("b"), node("c", "other")])
    return store


@pytest.mark.parametrize(("key", "operator", "value"), OPERATORS)
def test_each_operator_lets_pass_what_llama_index_does(
    filtered: GreenLangVectorStore, key: str, operator: FilterOperator, value: object
) -> None:
    given = MetadataFilters(filters=[MetadataFilter(key=key, value=value, operator=operator)])
    assert sorted(filtered.query(asked(filters=given)).ids) == reference(given)
    assert [each.node_id for each in filtered.get_nodes(filters=given)] == reference(given)


@pytest.mark.parametrize("condition", list(FilterCondition))
def test_each_condition(filtered: GreenLangVectorStore, condition: FilterCondition) -> None:
    filters = [
        MetadataFilter(key="year", value=2023, operator=FilterOperator.GTE),
        MetadataFilter(key="language", value="en"),
    ]
    given = MetadataFilters(filters=filters, condition=condition)
    assert sorted(filtered.query(asked(filters=given)).ids) == reference(given)
    nested = MetadataFilters(filters=[given, MetadataFilter(key="year", value=2024)])
    expected = sorted({*reference(given)} & {"b"})
    assert sorted(filtered.query(asked(filters=nested)).ids) == expected
    nothing = MetadataFilters(filters=[], condition=condition)
    assert len(filtered.query(asked(filters=nothing)).ids) == 3


@pytest.mark.parametrize(
    ("operator", "value"),
    [
        (FilterOperator.TEXT_MATCH_INSENSITIVE, "forest"),
        (FilterOperator.TEXT_MATCH, 1),
        (FilterOperator.ALL, "eu"),
        (FilterOperator.ANY, "eu"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(
    filtered: GreenLangVectorStore, operator: FilterOperator, value: object
) -> None:
    given = MetadataFilters(filters=[MetadataFilter(key="name", value=value, operator=operator)])
    with pytest.raises(UsageError, match=operator.value):
        filtered.query(asked(filters=given))


def test_ids_restrict_a_query(filtered: GreenLangVectorStore) -> None:
    assert filtered.query(asked(node_ids=["b", "c"])).ids == ["b", "c"]
    assert filtered.query(asked(doc_ids=["other"])).ids == ["c"]
    assert filtered.query(asked(doc_ids=["doc"], node_ids=["b", "c"])).ids == ["b"]


def test_modes(filtered: GreenLangVectorStore) -> None:
    words = {"query_str": "shipment", "similarity_top_k": 2}
    for mode in (VectorStoreQueryMode.TEXT_SEARCH, VectorStoreQueryMode.SPARSE):
        assert filtered.query(asked(mode=mode, **words)).ids == ["c"]
    hybrid = {"mode": VectorStoreQueryMode.HYBRID, **words}
    assert filtered.query(asked(alpha=0.0, **hybrid)).ids[0] == "c"
    assert filtered.query(asked(alpha=1.0, **hybrid)).ids == ["a", "b"]
    assert len(filtered.query(asked(hybrid_top_k=1, **hybrid)).ids) == 1
    with pytest.raises(UsageError, match="svm"):
        filtered.query(asked(mode=VectorStoreQueryMode.SVM))


def test_marginal_relevance(filtered: GreenLangVectorStore) -> None:
    mmr = {"mode": VectorStoreQueryMode.MMR, "similarity_top_k": 2}
    assert filtered.query(asked(mmr_threshold=1.0, **mmr)).ids == ["a", "b"]
    assert filtered.query(asked(mmr_threshold=0.0, **mmr)).ids == ["a", "c"]
    assert filtered.query(asked(**mmr), mmr_threshold=0.0, mmr_prefetch_k=2).ids == ["a", "b"]


def test_the_coroutines(service: EmbeddingService, namespace: str) -> None:
    store = GreenLangVectorStore(service, namespace, model="mock")

    async def use() -> None:
        assert await store.async_add([node("a"), node("b"), node("c", "other")]) == ["a", "b", "c"]
        assert (await store.aquery(asked(similarity_top_k=1))).ids == ["a"]
        await store.adelete("other")
        await store.adelete_nodes(["b"])
        assert [each.node_id for each in await store.aget_nodes()] == ["a"]
        await store.aclear()
        assert await store.aget_nodes() == []

    asyncio.run(use())


def test_an_unknown_namespace_is_named(service: EmbeddingService) -> None:
    for store in (
        GreenLangVectorStore(service, "nowhere", model="mock"),
        GreenLangVectorStore(service, "nowhere"),
    ):
        with pytest.raises(UnknownNamespace):
            store.query(asked(query_str="a"))
        with pytest.raises(UnknownNamespace):
            store.add([node("a")])


def test_an_index_over_the_store(service: EmbeddingService, namespace: str) -> None:
    store = GreenLangVectorStore(service, namespace, model="mock")
    documents = [Document(id_=f"d{key}", text=text) for key, text in TEXTS.items()]
    embed = MockEmbedding(embed_dim=8)
    index = VectorStoreIndex.from_documents(
        documents[:2],
        storage_context=StorageContext.from_defaults(vector_store=store),
        embed_model=embed,
    )
    index.insert(documents[2])
    [found] = index.as_retriever(
        similarity_top_k=1, vector_store_query_mode="text_search"
    ).retrieve("shipment")
    assert found.node.ref_doc_id == "dc"
    index.delete_ref_doc("dc")
    assert len(index.as_retriever(similarity_top_k=9).retrieve("shipment")) == 2


def test_the_namespaces_own_model_finds_what_others_stored_too(
    service: EmbeddingService, namespace: str
) -> None:
    request = EmbeddingRequest(["One.", TEXTS["b"]], namespace, "report", "r-1", {"year": 2024})
    service.sync.embed_and_store(request)
    store = GreenLangVectorStore(service, namespace)
    store.add([node("a"), node("c")])
    retriever = VectorStoreIndex.from_vector_store(
        store, embed_model=MockEmbedding(embed_dim=3)
    ).as_retriever(similarity_top_k=2)
    first, second = retriever.retrieve(TEXTS["b"])
    assert (first.node.node_id, first.node.metadata["source"]) == ("r-1#1", "r-1")
    assert first.score == pytest.approx(1, abs=1e-3)
    assert second.node.node_id == "a"


def test_a_retriever_shows_what_passages_stand_in(
    service: EmbeddingService, namespace: str
) -> None:
    texts = ["One.", "Two.", "Three.", "Four."]
    service.sync.embed_and_store(EmbeddingRequest(texts, namespace, "report", "r-1"))
    index = VectorStoreIndex.from_vector_store(
        GreenLangVectorStore(service, namespace), embed_model=MockEmbedding(embed_dim=3)
    )
    [found] = index.as_retriever(
        similarity_top_k=1, vector_store_kwargs={"parents": True, "max_tokens": 100}
    ).retrieve("Two.")
    assert found.node.get_content() == "One.\n\nTwo.\n\nThree."
    first, *_ = found.node.metadata["passages"]
    assert found.node.get_content()[first["start"] : first["end"]] == "Two."
