"""Whatever AWS answers in place of an answer is one clear line, and nothing is deleted."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from greenlang_vectors.backup.aurora import snapshots
from greenlang_vectors.backup.aurora.deployment import deployment
from greenlang_vectors.backup.aurora.errors import AuroraNotConfigured, AuroraUnavailable
from greenlang_vectors.backup.aurora.rds import Rds
from greenlang_vectors.settings import Settings

from .conftest import CLUSTER, HOME

pytestmark = pytest.mark.integration

ERROR = """<ErrorResponse xmlns="http://rds.amazonaws.com/doc/2014-10-31/">
<Error><Type>Sender</Type><Code>{code}</Code><Message>{said}</Message></Error>
<RequestId>1</RequestId></ErrorResponse>"""


@contextmanager
def answering(body: bytes, status: int) -> Iterator[tuple[str, list[int]]]:
    """An endpoint that always answers so; also how often it was asked."""
    asked: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(status)
            self.send_response(status)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("code", "status", "remedy"),
    [
        ("ExpiredToken", 403, "Renew the credentials"),
        ("InvalidClientTokenId", 403, "Renew the credentials"),
        ("AccessDenied", 403, "docs/aurora-backups.md"),
        ("Throttling", 400, "raise AWS_MAX_ATTEMPTS"),
    ],
)
def test_a_refusal_names_what_was_asked_and_what_helps(
    aws_server: None,  # noqa: ARG001 - it sets credentials
    monkeypatch: pytest.MonkeyPatch,
    code: str,
    status: int,
    remedy: str,
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    error = ERROR.format(code=code, said="No more\n of it").encode()
    with answering(error, status) as (url, asked):
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        with pytest.raises(AuroraUnavailable, match="describe db cluster snapshots") as refused:
            snapshots.all_of(Rds(HOME), CLUSTER)
    assert refused.value.code == code
    assert f"No more of it ({code})" in refused.value.message
    assert remedy in refused.value.remedy
    assert "\n" not in str(refused.value)
    assert len(asked) == (2 if code == "Throttling" else 1)


def test_an_answer_that_is_none_of_awss_is_said(
    aws_server: None,  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with answering(b"<!doctype html><h1>502 Bad Gateway</h1>", 502) as (url, _):
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        with pytest.raises(AuroraUnavailable, match="Check the network"):
            snapshots.all_of(Rds(HOME), CLUSTER)


def test_nobody_at_the_endpoint_is_said(
    aws_server: None,  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(AuroraUnavailable, match="Could not connect") as refused:
        snapshots.all_of(Rds(HOME), CLUSTER)
    assert "AWS_ENDPOINT_URL" in refused.value.remedy


def test_no_credentials_and_no_region_are_said(
    aws_server: None,  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, "/nowhere")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)  # it remembers credentials
    with pytest.raises(AuroraUnavailable, match="Renew the credentials"):
        snapshots.all_of(Rds(HOME), CLUSTER)
    with pytest.raises(AuroraUnavailable, match="GREENLANG_AURORA_REGION"):
        Rds()


def test_without_boto3_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(AuroraUnavailable, match=r"greenlang-vectors\[aws\]"):
        Rds(HOME)


def test_without_a_cluster_the_setting_is_named() -> None:
    with pytest.raises(AuroraNotConfigured, match="GREENLANG_AURORA_CLUSTER"):
        deployment(Settings())
