"""`greenlang-vectors notify test`: each channel that is set says what it answered."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from greenlang_vectors.notifications import delivery

from ..conftest import Cli

pytestmark = pytest.mark.integration


class Hook(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.send_response(200 if self.path == "/good" else 410)
        self.end_headers()
        self.wfile.write(b"thanks" if self.path == "/good" else b"[gone]")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hooks() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "LONGEST_WAIT", 0.001)


def test_it_says_what_to_set_where_nothing_is(cli: Cli) -> None:
    refused = cli("notify", "test")
    assert refused.code == 2
    assert "No channel is set" in refused.said
    assert "GREENLANG_NOTIFY_SLACK_URL" in refused.said


def test_it_fails_where_one_channel_does(
    cli: Cli, hooks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GREENLANG_NOTIFY_WEBHOOK_URL", f"{hooks}/good")
    sent = cli("notify", "test")
    assert sent.code == 0
    assert "delivered" in sent.out
    assert "200 thanks" in sent.out


def test_a_program_reads_what_each_answered(
    cli: Cli, hooks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GREENLANG_NOTIFY_WEBHOOK_URL", f"{hooks}/good")
    monkeypatch.setenv("GREENLANG_NOTIFY_SLACK_URL", f"{hooks}/gone")
    sent = cli("notify", "test", "--json")
    assert sent.code == 1
    slack, webhook = sent.json["deliveries"]
    assert webhook == {"channel": "webhook", "delivered": True, "said": "200 thanks"}
    assert (slack["channel"], slack["delivered"]) == ("slack", False)
    assert "answers 410 [gone]" in slack["said"]
    assert "/gone" not in sent.err + sent.out
