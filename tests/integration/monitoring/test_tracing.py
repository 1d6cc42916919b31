"""Spans of a search arrive at a collector, one below the other, and say nothing of the question."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from greenlang_vectors import tracing
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.leaves import Leaf

pytestmark = pytest.mark.integration

QUESTION = "an-unmistakable-question"
CALLER = "4bf92f3577b34da6a3ce929d0e0e4736"

SCRIPT = f"""
import sys
from starlette.testclient import TestClient
from greenlang_vectors import tracing
from greenlang_vectors.api.app import create_app
from greenlang_vectors.settings import Settings
from greenlang_vectors.store.database import Database
from tests.integration.conftest import ToyModel
from greenlang_vectors.embedding.embedder import Embedder
from greenlang_vectors.embedding.embedders import Embedders

configured = tracing.configure()
toys = Embedders("toy-16", lambda model: Embedder(ToyModel(model)))
app = create_app(Database(sys.argv[1]), Settings(), authentication=False, embedders=toys)
with TestClient(app, base_url="http://localhost") as client:
    for name in (sys.argv[2], "unregistered"):
        answer = client.post(
            "/v1/search",
            json={{"namespace": name, "query": "{QUESTION}"}},
            headers={{"traceparent": "00-{CALLER}-00f067aa0ba902b7-01"}},
        )
        print(answer.status_code)
print(configured)
"""


@pytest.fixture
def collector() -> Iterator[tuple[str, list[bytes]]]:
    """Where spans are sent to, and what was."""
    received: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", received
    server.shutdown()
    thread.join()
    server.server_close()


def searched(
    database: Database, leaf: Leaf, repository: Path, data_dir: Path, **environment: str
) -> list[str]:
    """The lines that SCRIPT prints."""
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, database.url, leaf.namespace],
        cwd=repository,
        env={**os.environ, "GREENLANG_DATA_DIR": str(data_dir), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.split()


def attributes(of: Any) -> dict[str, Any]:  # noqa: ANN401 - a message of OpenTelemetry
    return {each.key: each.value.string_value or each.value.int_value for each in of.attributes}


def test_a_search_is_traced_from_request_to_embedding(
    database: Database,
    filled: Leaf,
    repository: Path,
    data_dir: Path,
    collector: tuple[str, list[bytes]],
) -> None:
    pytest.importorskip("opentelemetry.sdk", reason="needs the extra tracing")
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    url, received = collector
    printed = searched(database, filled, repository, data_dir, OTEL_EXPORTER_OTLP_ENDPOINT=url)
    assert printed == ["200", "404", "True"]
    sent = [ExportTraceServiceRequest.FromString(each) for each in received]
    resources = [each for message in sent for each in message.resource_spans]
    assert attributes(resources[0].resource)["service.name"] == "greenlang-vectors"
    spans = [s for each in resources for scope in each.scope_spans for s in scope.spans]
    assert {span.trace_id.hex() for span in spans} == {CALLER}
    answered = [each for each in spans if attributes(each).get("http.response.status_code") == 200]
    [request] = answered
    assert request.name == "POST /v1/search"
    [search] = [each for each in spans if each.parent_span_id == request.span_id]
    assert (search.name, attributes(search)["greenlang.namespace"]) == ("search", filled.namespace)
    [embedding] = [each for each in spans if each.parent_span_id == search.span_id]
    assert attributes(embedding) == {"greenlang.model": "toy-16", "greenlang.texts": 1}
    failed = [each for each in spans if "error.type" in attributes(each)]
    assert {attributes(each)["error.type"] for each in failed} == {"UnknownNamespace"}
    assert not any(span.events or span.status.message for span in spans)
    assert not any(QUESTION.encode() in each for each in received)


def test_nothing_is_set_up_unless_somebody_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in tracing.ENDPOINTS:
        monkeypatch.delenv(name, raising=False)
    assert not tracing.configure()
    with tracing.span("search", namespace="csrd") as current:
        assert not current.is_recording()


def test_without_the_extra_one_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(tracing.ENDPOINTS[0], "http://127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    assert not tracing.configure()
    assert "greenlang-vectors[tracing]" in caplog.text
