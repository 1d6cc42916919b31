"""What every answer keeps to: problems, ids, headers, sizes, figures, readiness."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from httpx2 import Response
from starlette.testclient import TestClient

from greenlang_vectors.api.app import create_app
from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.errors import (
    DatabaseUnavailable,
    EmbeddingFailed,
    ModelUnavailable,
    SourceUnavailable,
)
from greenlang_vectors.search.engine import SearchEngine
from greenlang_vectors.settings import Settings
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.encryption.errors import KeyUnavailable

from .conftest import Client, Tenants
from .test_uploads import upload

pytestmark = pytest.mark.integration

MEMBERS = {"type", "title", "status", "detail", "request_id"}


def check_problem(answered: Response, status: int) -> None:
    assert answered.status_code == status
    assert answered.headers["content-type"] == "application/problem+json"
    problem = answered.json()
    assert problem.keys() - {"errors"} == MEMBERS
    assert problem["status"] == status
    assert problem["request_id"] == answered.headers["x-request-id"]


def test_every_error_is_a_problem(us: TestClient, service: TestClient, tenants: Tenants) -> None:
    search = {"namespace": tenants.ours, "query": "x"}
    check_problem(service.get("/nothing"), 404)
    check_problem(us.get("/v1/nothing"), 404)
    check_problem(us.get("/v1/search"), 405)
    check_problem(service.delete("/healthz"), 405)
    check_problem(service.post("/v1/search", json=search), 401)
    check_problem(us.post("/v1/search", json={**search, "namespace": tenants.theirs}), 403)
    check_problem(us.post("/v1/search", content=b"{", headers={"Content-Type": "text/plain"}), 422)
    for body in (b"{", b"\xff", b'{"a":' * 100_000, b"[" * 100_000, b"1" * 5_000):
        answered = us.post("/v1/search", content=body, headers={"Content-Type": "application/json"})
        check_problem(answered, 400 if answered.status_code == 400 else 422)
    check_problem(us.get("/v1/jobs/not-an-id"), 422)
    check_problem(
        us.post("/v1/documents", content=b"--x", headers={"Content-Type": "multipart/form-data"}),
        400,
    )


@pytest.mark.parametrize(
    ("error", "status", "retry"),
    [
        (DatabaseUnavailable("host db-7.internal refused secret-word"), 503, True),
        (psycopg.OperationalError("connection to db-7.internal lost"), 503, True),
        (psycopg.errors.InsufficientPrivilege("SELECT secret-word"), 503, True),
        (ModelUnavailable("/srv/models/secret-word"), 503, True),
        (EmbeddingFailed("secret-word"), 503, True),
        (SourceUnavailable("/srv/secret-word"), 503, True),
        (KeyUnavailable("secret-word"), 503, True),
        (psycopg.errors.SyntaxError("SELECT secret-word FROM db-7.internal"), 500, False),
        (RuntimeError("secret-word"), 500, False),
        (UnicodeEncodeError("utf-8", "\ud800secret-word", 0, 1, "no"), 422, False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_fails_inside_is_logged_and_not_told(
    us: TestClient,
    tenants: Tenants,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    status: int,
    retry: bool,
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(SearchEngine, "search", fail)
    with caplog.at_level(logging.INFO, "greenlang_vectors.api"):
        answered = us.post("/v1/search", json={"namespace": tenants.ours, "query": "x"})
    check_problem(answered, status)
    assert ("retry-after" in answered.headers) == retry
    for told in ("secret-word", "db-7", "SELECT", "Traceback", "/srv"):
        assert told not in answered.text
    assert answered.headers["x-request-id"] in caplog.text
    if status >= 500:
        assert "secret-word" in caplog.text or "db-7" in caplog.text


def test_a_database_that_is_gone_is_503_and_not_ready(
    toys: Embedders, api_settings: Settings
) -> None:
    gone = Database("postgresql://nobody@127.0.0.1:9/nothing")
    app = create_app(gone, api_settings, embedders=toys)
    with TestClient(app, headers={"X-API-Key": f"glv_{'0' * 16}_{'A' * 43}"}) as client:
        check_problem(client.get("/v1/namespaces"), 503)
        answered = client.get("/readyz")
        assert client.get("/healthz").status_code == 200
    assert answered.status_code == 503
    assert answered.json() == {
        "ready": False,
        "checks": {"database": False, "schema": False, "endpoint": False},
    }


def test_ready_means_reachable_with_this_schema_or_a_newer_one(
    service: TestClient, database: Database
) -> None:
    assert service.get("/readyz").json()["ready"]
    with database.connect() as connection:
        version = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        try:
            connection.execute("UPDATE alembic_version SET version_num = '0001'")
            answered = service.get("/readyz")
            connection.execute("UPDATE alembic_version SET version_num = '9999'")
            amid_an_upgrade = service.get("/readyz")
        finally:
            connection.execute("UPDATE alembic_version SET version_num = %s", version)
    assert answered.status_code == 503
    assert answered.json()["checks"] == {"database": True, "schema": False, "endpoint": True}
    assert amid_an_upgrade.json()["ready"]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("abc-123.X:y_z", True),
        ("a" * 64, True),
        ("a" * 65, False),
        ("two words", False),
        ("x\ty", False),
        ("é", False),
        ("<script>", False),
        ("", False),
    ],
)
def test_a_request_keeps_its_id_where_that_is_harmless(
    service: TestClient, given: str, kept: bool
) -> None:
    answered = service.get("/healthz", headers={"X-Request-ID": given.encode("latin-1")})
    assert (answered.headers["x-request-id"] == given) == kept
    assert answered.headers["x-request-id"].isascii()


def test_the_log_has_one_clean_line_a_request(
    us: TestClient, tenants: Tenants, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "greenlang_vectors.api"):
        us.get("/v1/documents/x/%0Aforged%20line", headers={"X-Request-ID": "my-id"})
    [line] = [record.getMessage() for record in caplog.records if "my-id" in record.getMessage()]
    assert "\n" not in line
    assert tenants.our_key.split("_")[1] in line
    assert tenants.our_key.split("_", 2)[2] not in caplog.text


def test_every_answer_says_what_a_browser_may_do_with_it(
    us: TestClient, service: TestClient
) -> None:
    for answered in (us.get("/v1/namespaces"), service.get("/v1/x"), service.get("/healthz")):
        assert answered.headers["x-content-type-options"] == "nosniff"
        assert answered.headers["content-security-policy"].startswith("default-src 'none'")
        assert answered.headers["cache-control"] == "no-store"
    page = service.get("/").headers["content-security-policy"]
    assert "unsafe" not in page
    assert "script-src 'self'" in page


def test_other_sites_are_let_in_by_name_alone(
    database: Database, toys: Embedders, api_settings: Settings, service: TestClient
) -> None:
    asks = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    assert "access-control-allow-origin" not in service.get("/healthz", headers=asks).headers
    settings = api_settings.model_copy(update={"api_cors_origins": "https://app.example"})
    with TestClient(create_app(database, settings, embedders=toys)) as client:
        asked = client.options("/v1/search", headers=asks)
        assert asked.status_code == 200
        assert asked.headers["access-control-allow-origin"] == "https://app.example"
        evil = client.options("/v1/search", headers={**asks, "Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in evil.headers


# Sizes


@pytest.fixture
def small(
    database: Database, toys: Embedders, api_settings: Settings, tenants: Tenants
) -> Iterator[TestClient]:
    settings = api_settings.model_copy(
        update={"api_max_request_bytes": 2_000, "max_document_bytes": 5_000}
    )
    app = create_app(database, settings, embedders=toys)
    headers = {"Authorization": f"Bearer {tenants.our_key}"}
    with TestClient(app, headers=headers, raise_server_exceptions=False) as client:
        yield client


def test_a_body_is_measured_as_it_comes(small: TestClient, tenants: Tenants) -> None:
    """By what it announces, and where it announces nothing or too little, by what comes."""
    body = json.dumps({"namespace": tenants.ours, "query": "x" * 3_000}).encode()
    kind = {"Content-Type": "application/json"}
    check_problem(small.post("/v1/search", content=body, headers=kind), 413)
    streamed = (body[start : start + 100] for start in range(0, len(body), 100))
    check_problem(small.post("/v1/search", content=streamed, headers=kind), 413)
    untold = {**kind, "Content-Length": "10"}
    check_problem(small.post("/v1/search", content=body, headers=untold), 413)
    short = json.dumps({"namespace": tenants.ours, "query": "x", "mode": "text"})
    assert small.post("/v1/search", content=short, headers=kind).status_code == 200


def test_an_upload_has_a_limit_of_its_own(small: TestClient, tenants: Tenants) -> None:
    assert upload(small, tenants.ours, "middle.txt", b"x" * 4_000).status_code == 202
    assert upload(small, tenants.ours, "large.txt", b"x" * 6_000).status_code == 422
    check_problem(upload(small, tenants.ours, "huge.txt", b"x" * 80_000), 413)
    assert small.delete(f"/v1/documents/{tenants.ours}/middle.txt").status_code == 204


# Figures


def test_the_figures_are_for_admins_with_labels_that_stay_few(
    bearer: Client, us: TestClient, tenants: Tenants
) -> None:
    us.post("/v1/search", json={"namespace": tenants.ours, "query": "x", "mode": "text"})
    us.post("/v1/search", json={"namespace": "z" * 30, "query": "x"})
    bearer(tenants.admin).post("/v1/search", json={"namespace": "unregistered", "query": "x"})
    us.get("/v1/documents/x/some-random-path")
    us.request("BREW", "/v1/pot-of-tea")
    assert us.get("/metrics").status_code == 403
    answered = bearer(tenants.admin).get("/metrics")
    assert answered.headers["content-type"].startswith("text/plain")
    for line in (
        f'pgvector_search_total{{mode="text",model="toy-16",namespace="{tenants.ours}"}}',
        f'pgvector_search_latency_ms_count{{mode="text",model="toy-16",namespace="{tenants.ours}"}}',
        'http_requests_total{method="POST",route="/v1/search",status="403"}',
        'http_requests_total{method="other",route="unmatched",status="404"}',
        "pgvector_pool_connections_in_use{",
        "pgvector_pool_connections_limit{endpoint=",
        'pgvector_search_failures_total{mode="hybrid",reason="DatabaseBusy"} 0.0',
        "pgvector_search_log_dropped_total 0.0",
        "weaviate_shadow_reads_dropped_total 0.0",
    ):
        assert line in answered.text
    for unbounded in ("zzzz", "unregistered", "some-random-path", "BREW", "pot-of-tea"):
        assert unbounded not in answered.text


def test_figures_can_be_opened_to_whoever_reaches_the_port(
    database: Database, toys: Embedders, api_settings: Settings
) -> None:
    settings = api_settings.model_copy(update={"api_metrics": "open"})
    with TestClient(create_app(database, settings, embedders=toys)) as client:
        assert client.get("/metrics").status_code == 200


def test_importing_the_api_loads_no_model(repository: Path) -> None:
    code = (
        "import sys, greenlang_vectors.api.app;"
        "print(sorted({'torch', 'sentence_transformers', 'dagster', 'pandas'} & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"


def test_the_command_line_loads_no_fastapi(repository: Path) -> None:
    code = "import sys, greenlang_vectors.cli; print('fastapi' in sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "False"
