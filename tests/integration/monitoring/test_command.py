"""`greenlang-vectors metrics serve`, as an operator meets it."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
from urllib.request import urlopen

import pytest

from greenlang_vectors.store.database import Database

from ..conftest import Cli, Launch

pytestmark = pytest.mark.integration


@pytest.fixture
def start(launch: Launch) -> Launch:
    """Starts the exporter of a database on a port of its own."""
    return lambda url: launch(url, "metrics", "serve", "--port", "0")


def scraped(process: subprocess.Popen[str]) -> str:
    """What it answers where it says it serves."""
    assert process.stderr is not None
    for line in process.stderr:
        if matched := re.search(r"Serving (http://\S+/metrics)", line):
            with urlopen(matched[1], timeout=30) as answer:  # noqa: S310 - loopback
                assert answer.status == 200
                return str(answer.read().decode())
    raise AssertionError(f"it ended with {process.wait()}")


def test_it_serves_until_it_is_told_to_stop(database: Database, start: Launch) -> None:
    process = start(database.url)
    said = scraped(process)
    assert "greenlang_vectors_up 1.0" in said
    assert "pg_database_size_bytes" in said
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=10) == 0


def test_it_serves_while_the_database_is_down(start: Launch) -> None:
    password = "never-to-be-seen"  # noqa: S105
    process = start(f"postgresql://nobody:{password}@127.0.0.1:1/nowhere")
    said = scraped(process)
    assert "greenlang_vectors_up 0.0" in said
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=10)
    assert process.returncode == 0
    assert "cannot be asked" in errors
    assert "Traceback" not in errors
    assert password not in said + errors


def test_a_port_that_is_taken_is_a_mistake(cli: Cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = cli("metrics", "serve", "--port", str(taken.getsockname()[1]))
    assert result.code == 2
    assert "cannot be served" in result.said
