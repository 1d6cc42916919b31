"""`make ui`: the UI answers with the code location loaded, and Ctrl-C ends it all."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from greenlang_vectors.store.database import ensure_database
from local import ui

pytestmark = pytest.mark.integration

QUERY = "{ workspaceOrError { ... on Workspace { locationEntries { name loadStatus } } } }"


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind((ui.HOST, 0))
        listener.listen()
        yield int(listener.getsockname()[1])


@pytest.fixture
def free_port(taken_port: int) -> int:
    with socket.socket() as probe:
        probe.bind((ui.HOST, 0))
        port = int(probe.getsockname()[1])
    assert port != taken_port
    return port


@pytest.fixture
def served(
    free_port: int,
    server: str,
    new_database: Callable[[], str],
    tmp_path: Path,
    repository: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[subprocess.Popen[str]]:
    runs = ensure_database(server, f"runs_{uuid4().hex[:12]}")
    monkeypatch.setenv("GREENLANG_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("GREENLANG_DATABASE_URL", new_database())
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", runs.replace("postgresql", "postgresql+psycopg2", 1))
    process = subprocess.Popen(
        [sys.executable, "-m", "local", "ui", "--port", str(free_port)],
        cwd=repository,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    yield process
    process.kill()


def loaded_locations(port: int) -> list[dict[str, str]]:
    request = urllib.request.Request(
        f"http://{ui.HOST}:{port}/graphql",
        json.dumps({"query": QUERY}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        data = json.load(answer)["data"]["workspaceOrError"]["locationEntries"]
    assert isinstance(data, list)
    return data


def test_the_ui_serves_the_code_location_until_ctrl_c(
    served: subprocess.Popen[str], free_port: int
) -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            locations = loaded_locations(free_port)
            break
        except OSError:
            assert served.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.5)
    assert locations == [{"name": "greenlang_vectors", "loadStatus": "LOADED"}]
    children = psutil.Process(served.pid).children(recursive=True)
    served.send_signal(signal.SIGINT)
    out, _ = served.communicate(timeout=60)
    assert served.returncode == 0
    assert "Traceback" not in out
    assert "SupersessionWarning" not in out
    assert not psutil.wait_procs(children, timeout=30)[1]


def test_a_taken_port_is_a_mistake_in_one_line(
    taken_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ui.main(["--port", str(taken_port)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"Port {taken_port} is taken. Choose another: make ui PORT={taken_port + 1}."
