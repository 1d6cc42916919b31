"""Documents over HTTP: uploaded, followed, opened, deleted."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from httpx2 import Response
from starlette.testclient import TestClient

from greenlang_vectors.documents.source import FolderSource
from greenlang_vectors.store import documents, namespaces
from greenlang_vectors.store.database import Database

from ..conftest import AddDocument
from .conftest import Client, Refill, Tenants

pytestmark = pytest.mark.integration


def upload(
    client: TestClient, namespace: str, filename: str, content: bytes, **form: str
) -> Response:
    return client.post(
        "/v1/documents", data={"namespace": namespace, **form}, files={"file": (filename, content)}
    )


def job(client: TestClient, answered: Response) -> Any:  # noqa: ANN401 - what JSON holds
    assert answered.status_code == 202, answered.text
    return client.get(answered.headers["location"]).json()


def found(client: TestClient, namespace: str, query: str) -> list[str]:
    asked = {"namespace": namespace, "query": query, "mode": "text"}
    results = client.post("/v1/search", json=asked).json()["results"]
    return [result["document"] for result in results]


def test_an_upload_is_followed_until_it_is_found(
    us: TestClient, tenants: Tenants, refill: Refill
) -> None:
    content = b"Aluminium smelters emit perfluorocarbons."
    answered = upload(us, tenants.ours, "aluminium.txt", content, name="metals/aluminium.txt")
    waiting = job(us, answered)
    assert answered.json() == {
        "job": waiting["id"],
        "namespace": tenants.ours,
        "document": "metals/aluminium.txt",
        "size_bytes": len(content),
    }
    assert waiting["state"] == "waiting"
    assert (tenants.folder / "metals" / "aluminium.txt").read_bytes() == content
    refill(tenants.ours)
    done = job(us, answered)
    assert (done["state"], done["chunks"], done["embeddings"]) == ("succeeded", 1, 1)
    assert found(us, tenants.ours, "perfluorocarbons") == ["metals/aluminium.txt"]


def test_reading_it_is_running_until_it_is_embedded(
    us: TestClient, tenants: Tenants, refill: Refill, database: Database
) -> None:
    answered = upload(us, tenants.ours, "glass.txt", b"Glass furnaces melt sand.")
    refill(tenants.ours)
    with database.connect() as connection:
        connection.execute(
            "DELETE FROM vector_embeddings WHERE namespace = %s AND source_id = (SELECT id FROM"
            " documents WHERE namespace = %s AND source_key = 'glass.txt')",
            [tenants.ours, tenants.ours],
        )
    assert job(us, answered)["state"] == "running"
    refill(tenants.ours)
    assert job(us, answered)["state"] == "succeeded"


def test_what_cannot_be_read_fails_with_the_reason(
    us: TestClient, tenants: Tenants, refill: Refill
) -> None:
    answered = upload(us, tenants.ours, "broken.pdf", b"PK\x03\x04 a ZIP archive in truth")
    refill(tenants.ours)
    failed = job(us, answered)
    assert (failed["state"], failed["reason"]) == ("failed", "mislabelled")
    assert "ZIP" in failed["message"]
    assert us.delete(f"/v1/documents/{tenants.ours}/broken.pdf").status_code == 204


def test_a_new_version_takes_the_place_of_the_old(
    us: TestClient, tenants: Tenants, refill: Refill
) -> None:
    old = upload(us, tenants.ours, "paper.txt", b"Paper mills dry pulp.")
    refill(tenants.ours)
    new = upload(us, tenants.ours, "paper.txt", b"Paper mills recover liquor.")
    assert job(us, old)["reason"] == "superseded"
    assert job(us, new)["state"] == "waiting"
    refill(tenants.ours)
    assert job(us, new)["state"] == "succeeded"
    assert found(us, tenants.ours, "pulp") == []
    assert found(us, tenants.ours, "liquor") == ["paper.txt"]


@pytest.mark.parametrize(
    "name",
    [
        "../evil.txt",
        "a/../../evil.txt",
        "/etc/evil.txt",
        "a//b.txt",
        ".hidden.txt",
        "a/.hidden/b.txt",
        "_evaluation/queries.txt",
        "back\\slash.txt",
        "bell\x07.txt",
        "evil.exe",
        "no-ending",
        " blank.txt",
        "a" * 252 + ".txt",
        "a/" * 250 + "b.txt",
        "C:evil.txt",
        "",
    ],
)
def test_a_name_that_leads_astray_is_refused(us: TestClient, tenants: Tenants, name: str) -> None:
    before = sorted(tenants.folder.parent.rglob("*"))
    answered = upload(us, tenants.ours, name or ".txt", b"text", **({"name": name} if name else {}))
    assert answered.status_code == 422
    assert sorted(tenants.folder.parent.rglob("*")) == before


def test_links_are_not_followed(us: TestClient, tenants: Tenants, tmp_path: Path) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text("untouched")
    (tenants.folder / "link.txt").symlink_to(outside)
    (tenants.folder / "linked").symlink_to(tmp_path)
    try:
        assert upload(us, tenants.ours, "link.txt", b"new").status_code == 422
        into = upload(us, tenants.ours, "x.txt", b"new", name="linked/outside.txt")
        assert into.status_code == 422
        through = us.delete(f"/v1/documents/{tenants.ours}/linked/outside.txt")
        assert through.status_code == 422
        assert us.get(f"/v1/documents/{tenants.ours}/linked/outside.txt").status_code == 404
        assert outside.read_text() == "untouched"
        assert sorted(each.name for each in tmp_path.iterdir()) == ["outside.txt"]
    finally:
        (tenants.folder / "link.txt").unlink()
        (tenants.folder / "linked").unlink()


def test_a_file_is_where_it_belongs_or_not_there_at_all(us: TestClient, tenants: Tenants) -> None:
    """Too large, onto a folder, below a file: nothing of it stays, not even what began."""
    before = {item.key for item in FolderSource(tenants.folder).list()}
    hidden = set(tenants.folder.rglob(".*"))
    assert upload(us, tenants.ours, "large.txt", b"x" * 200_001).status_code == 422
    assert upload(us, tenants.ours, "x.txt", b"x", name="cement.txt/x.txt").status_code == 422
    (tenants.folder / "folder.txt").mkdir()
    assert upload(us, tenants.ours, "folder.txt", b"x").status_code == 422
    (tenants.folder / "folder.txt").rmdir()
    assert {item.key for item in FolderSource(tenants.folder).list()} == before
    assert set(tenants.folder.rglob(".*")) == hidden


@pytest.mark.parametrize("source", [None, "corpus.jsonl"])
def test_a_namespace_without_a_folder_takes_no_uploads(
    database: Database, bearer: Client, tenants: Tenants, tmp_path: Path, source: str | None
) -> None:
    name = f"u{uuid4().hex[:8]}"
    with database.connect() as connection:
        namespaces.register(connection, name, source_uri=source and str(tmp_path / source))
    client = bearer(tenants.admin)
    assert upload(client, name, "a.txt", b"text").status_code == 409
    shown = client.get("/v1/namespaces").json()["namespaces"]
    assert [each["uploads"] for each in shown if each["namespace"] == name] == [False]


def test_a_document_opens_as_it_came_and_as_text(us: TestClient, tenants: Tenants) -> None:
    source = us.get(f"/v1/documents/{tenants.ours}/page.html")
    assert source.text.startswith("<html>")
    assert source.headers["content-type"].startswith("text/html")
    assert source.headers["content-security-policy"].startswith("sandbox;")
    text = us.get(f"/v1/documents/{tenants.ours}/page.html", params={"form": "text"})
    assert text.headers["content-type"] == "text/plain; charset=utf-8"
    assert "<" not in text.text
    assert "electrolysis" in text.text
    for missing in ("nothing.txt", "../secret.txt", "%2e%2e/secret.txt", ".hidden"):
        answered = us.get(f"/v1/documents/{tenants.ours}/{missing}")
        assert answered.status_code == 404, missing


def test_deleting_removes_file_and_rows_at_once(
    us: TestClient, tenants: Tenants, refill: Refill
) -> None:
    answered = upload(us, tenants.ours, "lime.txt", b"Lime kilns calcine limestone.")
    refill(tenants.ours)
    assert found(us, tenants.ours, "limestone") == ["lime.txt"]
    assert us.delete(f"/v1/documents/{tenants.ours}/lime.txt").status_code == 204
    assert found(us, tenants.ours, "limestone") == []
    assert not (tenants.folder / "lime.txt").exists()
    assert us.get(answered.headers["location"]).status_code == 404
    assert us.delete(f"/v1/documents/{tenants.ours}/lime.txt").status_code == 404
    refill(tenants.ours)
    assert found(us, tenants.ours, "limestone") == []


def test_a_document_of_an_application_goes_by_its_source_type(
    us: TestClient, tenants: Tenants, database: Database, add_document: AddDocument
) -> None:
    with database.connect() as connection:
        identity = add_document(connection, tenants.ours, "note-1", ["A note on ammonia."])
        connection.execute(
            "UPDATE documents SET origin = 'sdk' WHERE namespace = %s AND id = %s",
            [tenants.ours, identity],
        )
        assert us.get(f"/v1/documents/{tenants.ours}/note-1").text == "A note on ammonia."
        assert (
            us.delete(
                f"/v1/documents/{tenants.ours}/note-1", params={"source_type": "other"}
            ).status_code
            == 404
        )
        assert us.delete(f"/v1/documents/{tenants.ours}/note-1").status_code == 204
        assert documents.load(connection, tenants.ours, identity) is None
