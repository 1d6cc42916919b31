"""Searching and embedding over HTTP: what the library answers, and nothing else."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
from starlette.testclient import TestClient

from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.search.engine import SearchEngine
from greenlang_vectors.search.filters import parse
from greenlang_vectors.search.model import Mode, SearchRequest
from greenlang_vectors.settings import Settings
from greenlang_vectors.store.database import Database

from .conftest import TEXTS, Tenants

pytestmark = pytest.mark.integration

PLANTS = {"field": "document", "op": "in", "value": ["cement.txt", "steel/plants.md"]}


@pytest.mark.parametrize("mode", ["vector", "text", "hybrid"])
def test_the_answer_is_the_librarys(
    us: TestClient,
    tenants: Tenants,
    database: Database,
    toys: Embedders,
    settings: Settings,
    mode: Mode,
) -> None:
    request = SearchRequest("carbon dioxide", tenants.ours, 2, mode, filter=parse(PLANTS))
    expected = SearchEngine(database, toys, settings).search(request)
    answered = us.post(
        "/v1/search",
        json={
            "query": "carbon dioxide",
            "namespace": tenants.ours,
            "top_k": 2,
            "mode": mode,
            "filter": PLANTS,
        },
    )
    assert answered.status_code == 200
    body = answered.json()
    assert expected.returned == 2
    assert body["asked"] == body["returned"] == 2
    assert [
        {**result, "id": str(result["id"]), "document_id": str(result["document_id"])}
        for result in map(asdict, expected.results)
    ] == body["results"]
    assert (body["mode"], body["collection"], body["plan"]) == (
        mode,
        expected.collection,
        expected.plan,
    )


def test_hybrid_has_an_address_of_its_own(us: TestClient, tenants: Tenants) -> None:
    asked = {"query": "hydrogen", "namespace": tenants.ours, "weights": [0.5, 2]}
    hybrid = us.post("/v1/search/hybrid", json=asked).json()
    assert hybrid["mode"] == "hybrid"
    assert (
        hybrid["results"]
        == us.post("/v1/search", json={**asked, "mode": "hybrid"}).json()["results"]
    )
    assert hybrid["results"][0]["document"] == "page.html"
    assert us.post("/v1/search/hybrid", json={**asked, "mode": "text"}).status_code == 422


def test_pages_go_on_where_the_last_one_ended(us: TestClient, tenants: Tenants) -> None:
    asked = {"query": "carbon", "namespace": tenants.ours, "top_k": 2}
    first = us.post("/v1/search", json=asked).json()
    second = us.post("/v1/search", json={**asked, "after": first["next"]}).json()
    whole = us.post("/v1/search", json={**asked, "top_k": 4}).json()
    assert [*first["results"], *second["results"]] == whole["results"]
    assert [result["rank"] for result in second["results"]] == [3, 4][: len(second["results"])]


def test_parents_are_the_librarys_and_end_where_tokens_do(
    us: TestClient, tenants: Tenants, database: Database, toys: Embedders, settings: Settings
) -> None:
    request = SearchRequest("hydrogen", tenants.ours, 2, "text", parents=True)
    [expected] = SearchEngine(database, toys, settings).search(request).results
    asked = {"query": "hydrogen", "namespace": tenants.ours, "mode": "text", "parents": True}
    [found] = us.post("/v1/search", json=asked).json()["results"]
    assert expected.parent is not None
    [child] = expected.parent.children
    assert found["parent"] == {
        **asdict(expected.parent),
        "children": [{**asdict(child), "id": str(child.id)}],
    }
    tokens = expected.parent.tokens
    answered = us.post("/v1/search", json={**asked, "max_tokens": tokens - 1}).json()
    assert (answered["results"], answered["next"]) == ([], None)


def test_a_ready_vector_takes_the_place_of_a_question(us: TestClient, tenants: Tenants) -> None:
    embedded = us.post("/v1/embeddings", json={"texts": ["hydrogen"], "namespace": tenants.ours})
    [vector] = embedded.json()["embeddings"]
    asked = {"namespace": tenants.ours, "exact": True}
    by_vector = us.post("/v1/search", json={**asked, "vector": vector}).json()
    by_words = us.post("/v1/search", json={**asked, "query": "hydrogen"}).json()
    assert [each["id"] for each in by_vector["results"]] == [
        each["id"] for each in by_words["results"]
    ]


def test_texts_become_vectors_of_length_one(us: TestClient, toys: Embedders) -> None:
    answered = us.post("/v1/embeddings", json={"texts": ["a", "b", "a"]}).json()
    vectors = np.array(answered["embeddings"])
    assert (answered["model"], answered["dimensions"]) == ("toy-16", 16)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.allclose(vectors, toys.open("toy-16").embed(["a", "b", "a"]).vectors, atol=1e-6)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"query": ""},
        {"query": "x", "top_k": 0},
        {"query": "x", "top_k": 1001},
        {"query": "x", "top_k": True},
        {"query": "x", "max_tokens": 0},
        {"query": "x", "parents": 1},
        {"query": "x", "mode": "magic"},
        {"query": "x", "filter": {"field": "text", "op": "eq", "value": 1}},
        {"query": "x", "filter": {"field": "metadata.a", "op": "is", "value": 1}},
        {"query": "x", "filter": [1]},
        {"query": "x", "after": "nonsense"},
        {"query": "x", "unknown": 1},
        {"query": 5},
        {"vector": [1.0, 2.0]},
        {"vector": [0.0] * 16},
        {"vector": ["a"] * 16},
        {"query": "x", "collection": "nowhere/model"},
    ],
)
def test_what_cannot_be_asked_is_refused(
    us: TestClient, tenants: Tenants, body: dict[str, object]
) -> None:
    answered = us.post("/v1/search", json={"namespace": tenants.ours, **body})
    assert answered.status_code == 422
    assert answered.headers["content-type"] == "application/problem+json"
    assert answered.json()["detail"]


def test_registered_namespaces_and_collections_are_told(us: TestClient, tenants: Tenants) -> None:
    [namespace] = us.get("/v1/namespaces").json()["namespaces"]
    assert namespace == {
        "namespace": tenants.ours,
        "collection": f"{tenants.ours}/toy-16",
        "documents": len(TEXTS),
        "uploads": True,
    }
    [collection] = us.get("/v1/collections").json()["collections"]
    assert (collection["name"], collection["dimensions"], collection["serving"]) == (
        f"{tenants.ours}/toy-16",
        16,
        True,
    )
