"""Embedding jobs over HTTP: one's own alone, page by page, and what only operators may read."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from starlette.testclient import TestClient

from greenlang_vectors.errors import EmbeddingFailed
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.embedding_jobs import embedding_job

from .conftest import Client, Tenants

pytestmark = pytest.mark.integration

JOBS = "/v1/embedding-jobs"


@pytest.fixture(scope="module")
def failed(database: Database, tenants: Tenants) -> None:
    """An import of ours that failed."""

    def fail() -> None:
        with (
            database.connect() as connection,
            embedding_job(connection, tenants.ours, None, "import", source="/srv/a.jsonl") as job,
        ):
            job.add(source=3, processed=1)
            raise EmbeddingFailed("The host db-7 failed.")

    with pytest.raises(EmbeddingFailed):
        fail()


@pytest.mark.usefixtures("failed")
def test_a_reader_sees_the_jobs_of_its_namespace_and_no_path_or_host(
    bearer: Client, tenants: Tenants
) -> None:
    def listed(key: str, **asked: Any) -> list[dict[str, Any]]:  # noqa: ANN401
        answered = bearer(key).get(JOBS, params=asked)
        assert answered.status_code == 200, answered.text
        return list(answered.json()["jobs"])

    ours = listed(tenants.reader)
    assert {job["namespace"] for job in ours} == {tenants.ours}
    assert [job["source_type"] for job in ours] == ["import", "document"]
    assert (ours[0]["status"], ours[0]["source_count"], ours[0]["processed_count"]) == (
        *("failed", 3),
        1,
    )
    assert (ours[0]["source"], ours[0]["error_message"]) == (None, None)
    [whole] = listed(tenants.admin, namespace=tenants.ours, status="failed")
    assert whole == {
        **ours[0],
        "source": "/srv/a.jsonl",
        "error_message": "The host db-7 failed.",
    }
    assert listed(tenants.reader, status="stuck") == []
    assert {job["namespace"] for job in listed(tenants.their_key)} == {tenants.theirs}


@pytest.mark.usefixtures("failed")
def test_jobs_come_page_by_page(us: TestClient) -> None:
    whole = us.get(JOBS).json()
    assert whole["next"] is None
    pages, after = [], {}
    while True:
        page = us.get(JOBS, params={"limit": 1, **after}).json()
        pages += page["jobs"]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert pages == whole["jobs"]
    assert len(pages) > 1
    assert us.get(JOBS, params={"limit": 101}).status_code == 422


def test_the_job_of_another_is_told_like_one_that_does_not_exist(
    bearer: Client, us: TestClient, tenants: Tenants
) -> None:
    [theirs] = bearer(tenants.their_key).get(JOBS).json()["jobs"]
    assert bearer(tenants.their_key).get(f"{JOBS}/{theirs['id']}").json() == theirs
    answers = [us.get(f"{JOBS}/{identity}") for identity in (theirs["id"], uuid4())]
    assert [answered.status_code for answered in answers] == [404, 404]
    assert answers[0].json()["detail"] == answers[1].json()["detail"]
    assert us.get(JOBS, params={"after": theirs["id"]}).json()["jobs"] == []
