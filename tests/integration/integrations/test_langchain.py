"""The LangChain vector store: LangChain's standard tests as they are, and what they do not ask."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from uuid import uuid4

import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_tests.integration_tests import VectorStoreIntegrationTests

from greenlang_vectors.embedding.embedder import Embedder
from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.errors import ModelUnavailable, UnknownNamespace, UsageError
from greenlang_vectors.integrations.langchain import GreenLangVectorStore
from greenlang_vectors.progress import silent
from greenlang_vectors.search.filters import Comparison
from greenlang_vectors.service import EmbeddingRequest, EmbeddingService
from greenlang_vectors.settings import Settings
from greenlang_vectors.stages.pipeline import fill
from greenlang_vectors.store import collection_states, collections, namespaces
from greenlang_vectors.store.database import Database

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def service(database: Database) -> Iterator[EmbeddingService]:
    service = EmbeddingService(database, Settings())
    yield service
    service.sync.close()


@pytest.fixture
def namespace(database: Database) -> Iterator[str]:
    name = f"lc-{uuid4().hex[:10]}"
    with database.connect() as connection:
        namespaces.register(connection, name)
        yield name
        namespaces.drop(connection, name)


class TestWithEmbeddingsOfTheApplication(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, service: EmbeddingService, namespace: str) -> GreenLangVectorStore:
        return GreenLangVectorStore(service, namespace, self.get_embeddings())


class TestWithTheModelOfTheNamespace(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, service: EmbeddingService, namespace: str) -> GreenLangVectorStore:
        return GreenLangVectorStore(service, namespace)


TEXTS = {
    "a": ("Forest land may not be converted to pasture.", {"year": 2023, "tags": ["land", "eu"]}),
    "b": ("Forest land may not be converted to farm land.", {"year": 2024, "tags": ["land"]}),
    "c": ("A quarterly report names every shipment.", {"year": 2020, "language": "en"}),
}


@pytest.fixture(params=["of the application", "of the namespace"])
def store(
    service: EmbeddingService, namespace: str, request: pytest.FixtureRequest
) -> GreenLangVectorStore:
    embedding = None if request.param == "of the namespace" else MiniLM(service)
    contents, metadatas = zip(*TEXTS.values(), strict=True)
    return GreenLangVectorStore.from_texts(
        list(contents),
        embedding,
        list(metadatas),
        ids=list(TEXTS),
        service=service,
        namespace=namespace,
        batch_size=2,
    )


class MiniLM(Embeddings):
    """An application's own object; that it is the packaged model makes answers predictable."""

    def __init__(self, service: EmbeddingService) -> None:
        self.service = service.sync
        self.questions: list[str] = []

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return self.service.embed(EmbeddingRequest(texts)).embeddings.tolist()

    def embed_query(self, text: str) -> list[float]:
        self.questions.append(text)
        return self.embed_documents([text])[0]


def ids(documents: list[Document]) -> list[str | None]:
    return [document.id for document in documents]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"year": 2023}, "a"),
        ({"year": {"$gte": 2021, "$lt": 2024}}, "a"),
        ({"year": {"$in": [2020, 2024]}}, "bc"),
        ({"year": {"$nin": [2020]}}, "ab"),
        ({"year": {"$between": [2021, 2024]}}, "ab"),
        ({"language": {"$exists": False}}, "ab"),
        ({"language": {"$like": "e%"}}, "c"),
        ({"tags": {"$contains": "eu"}}, "a"),
        ({"$or": [{"year": 2020}, {"tags": {"$contains": "eu"}}]}, "ac"),
        ({"$and": [{"year": {"$gt": 2000}}, {"$not": {"language": "en"}}]}, "ab"),
        ({"year": {"$not": {"$gt": 2020}}}, "c"),
        ({"year": 2020, "language": "en"}, "c"),
        ({"field": "metadata.year", "op": "lt", "value": 2021}, "c"),
        ({"or": [{"field": "document", "op": "eq", "value": "b"}]}, "b"),
        (Comparison("metadata.year", "ne", 2020), "ab"),
        ({"a key with 'quotes' and.dots": 1}, ""),
        ({}, "abc"),
    ],
)
def test_filters(filtered: GreenLangVectorStore, given: dict[str, object], expected: str) -> None:
    found = filtered.similarity_search("land", k=9, filter=given)
    assert sorted(ids(found)) == list(expected)


@pytest.fixture(scope="module")
def filtered(database: Database, service: EmbeddingService) -> GreenLangVectorStore:
    with database.connect() as connection:
        namespaces.register(connection, "filtered")
    store = GreenLangVectorStore(service, "filtered")
    contents, metadatas = zip(*TEXTS.values(), strict=True)
    store.add_texts(contents, list(metadatas), ids=list(TEXTS))
    return store


@pytest.mark.parametrize(
    "given",
    [
        {"year": {"$ilike": "2%"}},
        {"$nor": []},
        {"$or": {"year": 1}},
        {"year": {"$between": [1]}},
        {"year": {"$gt": None}},
        "metadata.year = 2023",
    ],
)
def test_what_no_filter_can_say_is_refused(filtered: GreenLangVectorStore, given: object) -> None:
    with pytest.raises(UsageError):
        filtered.similarity_search("land", filter=given)


def test_scores_are_similarities_and_a_threshold_bounds_them(store: GreenLangVectorStore) -> None:
    scored = store.similarity_search_with_score(TEXTS["c"][0], k=3)
    assert scored[0][0].id == "c"
    assert scored[0][1] == pytest.approx(1, abs=1e-3)
    assert scored[1][1] < 0.9
    assert ids(store.similarity_search(TEXTS["c"][0], k=3, threshold=0.9)) == ["c"]
    retriever = store.as_retriever(
        search_type="similarity_score_threshold", search_kwargs={"score_threshold": 0.9}
    )
    assert ids(retriever.invoke(TEXTS["c"][0])) == ["c"]


def test_a_vector_finds_what_its_text_finds(
    store: GreenLangVectorStore, service: EmbeddingService
) -> None:
    vector = MiniLM(service).embed_query(TEXTS["b"][0])
    assert ids(store.similarity_search_by_vector(vector, k=2)) == ["b", "a"]
    assert ids(store.max_marginal_relevance_search_by_vector(vector, k=2, lambda_mult=0)) == [
        "b",
        "c",
    ]


def test_marginal_relevance_chooses_among_the_fetched(store: GreenLangVectorStore) -> None:
    question = TEXTS["a"][0]
    assert ids(store.max_marginal_relevance_search(question, k=2, lambda_mult=1)) == ["a", "b"]
    assert ids(store.max_marginal_relevance_search(question, k=2, lambda_mult=0)) == ["a", "c"]
    few = store.max_marginal_relevance_search(question, k=2, fetch_k=2, lambda_mult=0)
    assert ids(few) == ["a", "b"]
    retriever = store.as_retriever(search_type="mmr", search_kwargs={"k": 2, "lambda_mult": 0})
    assert ids(retriever.invoke(question)) == ["a", "c"]


def test_words_are_searched_for(store: GreenLangVectorStore) -> None:
    assert ids(store.similarity_search("shipment", k=3, mode="text")) == ["c"]
    hybrid = store.as_retriever(search_type="hybrid", search_kwargs={"k": 1})
    assert ids(hybrid.invoke("shipment")) == ["c"]
    assert ids(asyncio.run(hybrid.ainvoke("shipment"))) == ["c"]
    assert ids(store.as_retriever(search_type="text").invoke("pasture")) == ["a"]


def test_metadata_that_is_replaced_is_gone(store: GreenLangVectorStore) -> None:
    store.add_texts([TEXTS["a"][0]], [{"year": 1999}], ids=["a"])
    [found] = store.get_by_ids(["a"])
    assert found.metadata == {"year": 1999}
    assert ids(store.similarity_search("land", filter={"year": 1999})) == ["a"]
    assert store.similarity_search("land", filter={"year": 2023}) == []


def test_nothing_named_deletes_all_that_the_store_added(
    store: GreenLangVectorStore, service: EmbeddingService
) -> None:
    request = EmbeddingRequest(["Kept."], store.namespace, source_id="kept")
    service.sync.embed_and_store(request)
    assert store.delete() is True
    assert store.get_by_ids(list(TEXTS)) == []
    assert [each.key for each in service.sync.get(store.namespace, ["kept"])] == ["kept"]


@pytest.mark.parametrize(
    ("texts", "options"),
    [(["a", "b"], {"ids": ["1"]}), (["a"], {"metadatas": [{}, {}]})],
)
def test_as_many_ids_and_metadatas_as_texts(
    filtered: GreenLangVectorStore, texts: list[str], options: dict[str, list[str]]
) -> None:
    with pytest.raises(ValueError, match=r"shorter|longer"):
        filtered.add_texts(texts, **options)


def test_metadata_that_is_not_json_is_refused(filtered: GreenLangVectorStore) -> None:
    with pytest.raises(UsageError, match="'x'"):
        filtered.add_texts(["a"], [{"when": {1, 2}}], ids=["x"])


def test_an_unknown_namespace_is_named(service: EmbeddingService) -> None:
    for embedding in (None, DeterministicFakeEmbedding(size=4)):
        store = GreenLangVectorStore(service, "nowhere", embedding)
        with pytest.raises(UnknownNamespace):
            store.similarity_search("a")
        with pytest.raises(UnknownNamespace):
            store.add_texts(["a"])


def test_what_others_stored_is_found_with_where_it_stands(
    service: EmbeddingService, namespace: str
) -> None:
    request = EmbeddingRequest(["One.", "Two."], namespace, "report", "r-1", {"year": 2024})
    service.sync.embed_and_store(request)
    [found] = GreenLangVectorStore(service, namespace).similarity_search("Two.", k=1)
    assert found.id == "r-1#1"
    assert found.metadata == {
        "source": "r-1",
        "title": "r-1",
        "page": None,
        "heading_path": [],
        "year": 2024,
    }


def test_a_retriever_shows_what_passages_stand_in_and_where_they_do(
    service: EmbeddingService, namespace: str
) -> None:
    texts = ["One.", "Two.", "Three.", "Four."]
    service.sync.embed_and_store(EmbeddingRequest(texts, namespace, "report", "r-1"))
    options = {"k": 1, "parents": True}
    retriever = GreenLangVectorStore(service, namespace).as_retriever(search_kwargs=options)
    [found] = retriever.invoke("Two.")
    assert found.page_content == "One.\n\nTwo.\n\nThree."
    assert (found.metadata["start"], found.metadata["end"]) == (0, len(found.page_content))
    first, *_ = found.metadata["passages"]
    assert found.page_content[first["start"] : first["end"]] == "Two."
    assert first["score"] == pytest.approx(1, abs=1e-3)
    retriever = GreenLangVectorStore(service, namespace).as_retriever(
        search_kwargs={"k": 4, "max_tokens": 8}
    )
    best, *others = retriever.invoke("Two.")
    assert (best.page_content, len(others)) == ("Two.", 1)


def test_the_pipeline_and_a_store_with_its_own_model_share_a_namespace(
    database: Database, service: EmbeddingService, namespace: str, embedder: Embedder
) -> None:
    store = GreenLangVectorStore(service, namespace, DeterministicFakeEmbedding(size=6))
    store.add_texts(["First words.", "Other words."], ids=["1", "2"])
    assert service.sync.search("First words.", namespace, threshold=-1) == []
    embedders = Embedders.only(embedder)
    fill(
        database,
        namespace,
        embedders=embedders,
        settings=Settings(),
        progress=lambda _: silent,
    )
    serving = service.sync.search("First words.", namespace, top_k=1, threshold=0.9)
    assert [found["document"] for found in serving] == ["1"]
    store.add_texts(["Third words."], ids=["3"])
    found = service.sync.search("Third words.", namespace, top_k=1, threshold=0.9)
    assert [each["document"] for each in found] == ["3"]
    with database.connect() as connection:
        own = collections.get(connection, f"{namespace}/langchain-DeterministicFakeEmbedding")
        assert (own.supplied, own.serving) == (True, False)
        assert collection_states.state_of(connection, own).rows == 3
        with pytest.raises(ModelUnavailable, match="supplied by an application"):
            embedders.of(own)


def test_a_model_name_that_is_taken_is_refused(service: EmbeddingService, namespace: str) -> None:
    GreenLangVectorStore(service, namespace).add_texts(["One."])
    fake = DeterministicFakeEmbedding(size=384)
    taken = GreenLangVectorStore(service, namespace, fake, model="all-MiniLM-L6-v2")
    with pytest.raises(UsageError, match="another name"):
        taken.add_texts(["Two."])
    GreenLangVectorStore(service, namespace, fake, model="mine").add_texts(["Two."])
    other = GreenLangVectorStore(
        service, namespace, DeterministicFakeEmbedding(size=6), model="mine"
    )
    with pytest.raises(UsageError, match="384"):
        other.add_texts(["Three."])
