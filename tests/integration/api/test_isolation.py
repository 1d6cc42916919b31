"""A key for one namespace gets 403 for another, and learns nothing of it from anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from httpx2 import Response
from starlette.testclient import TestClient

from greenlang_vectors.store.database import Database

from .conftest import TEXTS, Client, Tenants
from .test_uploads import upload

pytestmark = pytest.mark.integration

Call = Callable[[TestClient, str], Response]

CALLS: dict[str, Call] = {
    "search": lambda c, n: c.post("/v1/search", json={"namespace": n, "query": "x"}),
    "search by vector": lambda c, n: c.post(
        "/v1/search", json={"namespace": n, "vector": [1.0] * 16, "exact": True}
    ),
    "hybrid": lambda c, n: c.post("/v1/search/hybrid", json={"namespace": n, "query": "x"}),
    "embeddings": lambda c, n: c.post("/v1/embeddings", json={"namespace": n, "texts": ["x"]}),
    "upload": lambda c, n: upload(c, n, "planted.txt", b"planted"),
    "read": lambda c, n: c.get(f"/v1/documents/{n}/cement.txt"),
    "read what is not there": lambda c, n: c.get(f"/v1/documents/{n}/nothing.txt"),
    "read text": lambda c, n: c.get(f"/v1/documents/{n}/page.html", params={"form": "text"}),
    "jobs": lambda c, n: c.get("/v1/embedding-jobs", params={"namespace": n}),
    "delete": lambda c, n: c.delete(f"/v1/documents/{n}/cement.txt"),
    "delete of an application": lambda c, n: c.delete(
        f"/v1/documents/{n}/x", params={"source_type": "note"}
    ),
}


def shape(answered: Response) -> tuple[int, Any, dict[str, str]]:
    """What a caller sees, but for the request's own id."""
    body = {key: value for key, value in answered.json().items() if key != "request_id"}
    headers = {k: v for k, v in answered.headers.items() if k != "x-request-id"}
    return answered.status_code, body, headers


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_another_namespace_is_refused_as_one_that_does_not_exist(
    us: TestClient, tenants: Tenants, call: Call
) -> None:
    theirs = shape(call(us, tenants.theirs))
    nowhere = shape(call(us, "x" * len(tenants.theirs)))
    assert theirs[0] == 403
    assert theirs == nowhere
    assert not (tenants.their_folder / "planted.txt").exists()
    assert (tenants.their_folder / "cement.txt").read_text() == TEXTS["cement.txt"]


def test_another_namespace_is_refused_before_anything_of_it_is_read(
    us: TestClient, tenants: Tenants, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No query means no difference in time."""

    def untouched(*_: object, **__: object) -> None:
        raise AssertionError("the database was asked")

    CALLS["search"](us, tenants.ours)
    for name in ("connection", "connect", "reading", "read"):
        monkeypatch.setattr(database, name, untouched)
    for call in CALLS.values():
        assert call(us, tenants.theirs).status_code == 403


def test_a_reader_writes_nothing(bearer: Client, tenants: Tenants) -> None:
    reader = bearer(tenants.reader)
    assert CALLS["search"](reader, tenants.ours).status_code == 200
    for name in ("upload", "delete", "delete of an application"):
        assert CALLS[name](reader, tenants.ours).status_code == 403, name


def test_lists_hold_ones_own_alone(bearer: Client, tenants: Tenants) -> None:
    for key, namespace in ((tenants.our_key, tenants.ours), (tenants.their_key, tenants.theirs)):
        client = bearer(key)
        [known] = client.get("/v1/namespaces").json()["namespaces"]
        [collection] = client.get("/v1/collections").json()["collections"]
        assert (known["namespace"], collection["namespace"]) == (namespace, namespace)
    everything = bearer(tenants.admin).get("/v1/namespaces").json()["namespaces"]
    assert {tenants.ours, tenants.theirs} <= {each["namespace"] for each in everything}


def test_the_job_of_another_is_told_like_one_that_does_not_exist(
    bearer: Client, us: TestClient, tenants: Tenants
) -> None:
    them = bearer(tenants.their_key)
    uploaded = upload(them, tenants.theirs, "secret.txt", b"secret")
    assert them.get(uploaded.headers["location"]).status_code == 200
    theirs, nowhere = us.get(uploaded.headers["location"]), us.get(f"/v1/jobs/{uuid4()}")
    assert theirs.status_code == 404
    assert shape(theirs) == shape(nowhere)


@pytest.mark.parametrize("mode", ["vector", "text", "hybrid"])
def test_no_field_of_a_search_reaches_another_namespace(
    bearer: Client, us: TestClient, tenants: Tenants, mode: str
) -> None:
    them = bearer(tenants.their_key)
    asked = {"query": "carbon dioxide", "mode": mode, "top_k": 2}
    theirs = them.post("/v1/search", json={**asked, "namespace": tenants.theirs}).json()
    ours = {**asked, "namespace": tenants.ours}
    mine = {result["id"] for result in us.post("/v1/search", json=ours).json()["results"]}
    foreign = {result["id"] for result in theirs["results"]}
    assert mine
    assert not mine & foreign
    refused = us.post("/v1/search", json={**ours, "collection": f"{tenants.theirs}/toy-16"})
    nowhere = us.post("/v1/search", json={**ours, "collection": "nowhere/toy-16"})
    assert refused.status_code == nowhere.status_code == 422
    assert tenants.theirs not in refused.text.replace(f"'{tenants.theirs}/toy-16'", "")
    assert nowhere.text.count(tenants.theirs) == 0
    for field, value in (
        ("source_id", theirs["results"][0]["document_id"]),
        ("document", "secret.txt"),
    ):
        filtered = {**ours, "filter": {"field": field, "op": "eq", "value": value}}
        assert us.post("/v1/search", json=filtered).json()["results"] == []
    if theirs["next"]:
        stolen = us.post("/v1/search", json={**ours, "after": theirs["next"]})
        assert stolen.status_code == 422 or {
            result["id"] for result in stolen.json()["results"]
        } <= {
            result["id"]
            for result in us.post("/v1/search", json={**ours, "top_k": 100}).json()["results"]
        }


def test_errors_name_no_namespace_but_ones_own(bearer: Client, tenants: Tenants) -> None:
    """A key that outlives its namespace meets 404, without a list of those there are."""
    admin = bearer(tenants.admin)
    for call in CALLS.values():
        answered = call(admin, "no-such-namespace")
        assert answered.status_code == 404
        assert tenants.ours not in answered.text
        assert tenants.theirs not in answered.text
