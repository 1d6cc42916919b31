"""The load test of PRD 14.2: `locustfile` against a running API; here its short form."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import cast

import psutil
import psycopg

from benchmarks import acceptance
from benchmarks.common import console, new_database, number
from benchmarks.common import server as own_server
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import api_keys

LOCUSTFILE = Path(__file__).with_name("locustfile.py")
FULL_SECONDS = 960
START_SECONDS = 60


def measure(server_url: str, *, rows: int, seconds: float) -> bool:
    """Fill a database with documents, serve it on a loopback port, and load it that long.

    Returns:
        whether every threshold was met; locust prints its figures, and what processor time
        each side took is printed after them.
    """
    database = new_database(server_url)
    documents = acceptance.store_documents(database, rows, Settings())
    with database.connect() as connection:
        _, key = api_keys.create(
            connection, "load", for_namespaces=[documents.namespace], scopes=["read"]
        )
    try:
        with _served(database.url) as (url, api):
            postmaster = _postmaster(server_url)
            environment = {
                "LOAD_KEY": key,
                "LOAD_NAMESPACE": documents.namespace,
                "LOAD_COLLECTION": f"{documents.namespace}/{acceptance.SUPPLIED}",
                "LOAD_DATABASE_URL": database.url,
                "LOAD_SCALE": str(seconds / FULL_SECONDS),
            }
            command = ["-f", str(LOCUSTFILE), "--headless", "--only-summary", "--host", url]
            command += ["--stop-timeout", "5", "--loglevel", "WARNING"]
            before = _processor_seconds(api, postmaster)
            ended = subprocess.run(  # noqa: S603 - locust, with arguments of our own
                [sys.executable, "-m", "locust", *command],
                env=os.environ | environment,
                check=False,
            )
            spent = {
                who: after - before[who]
                for who, after in _processor_seconds(api, postmaster).items()
            }
            console.print(
                "processor seconds: " + ", ".join(f"{who} {s:.1f}" for who, s in spent.items())
            )
            return ended.returncode == 0
    finally:
        database.close()


def main() -> None:
    """The short form: ROWS documents (20,000), SECONDS of load (30)."""
    with own_server() as server_url:
        met = measure(server_url, rows=number("ROWS", 20_000), seconds=number("SECONDS", 30))
    console.print("Every threshold is met." if met else "A threshold is missed.")


@contextmanager
def _served(database_url: str) -> Iterator[tuple[str, psutil.Process]]:
    """The address of `greenlang-vectors serve` over the database, and the process it is."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    environment = os.environ | {
        "GREENLANG_DATABASE_URL": database_url,
        "GREENLANG_API_RATE_LIMIT": "100000/second",
    }
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(  # noqa: S603 - this interpreter
            [sys.executable, "-m", "greenlang_vectors", "serve", "--port", str(port)],
            env=environment,
            stderr=log,
        )
        try:
            _wait_until_ready(process, url)
            yield url, psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait(START_SECONDS)


def _processor_seconds(api: psutil.Process, postmaster: psutil.Process) -> dict[str, float]:
    """What each side has taken so far, processes that have ended included."""
    own = os.times()
    served, kept = api.cpu_times(), postmaster.cpu_times()
    backends = []
    for backend in postmaster.children():
        with suppress(psutil.NoSuchProcess):  # it has just ended
            backends.append(backend.cpu_times())
    return {
        "users and inserts": own.children_user + own.children_system,
        "API": served.user + served.system,
        "database": kept.user
        + kept.system
        + kept.children_user
        + kept.children_system
        + sum(each.user + each.system for each in backends),
    }


def _postmaster(server_url: str) -> psutil.Process:
    with psycopg.connect(server_url) as superuser:
        row = superuser.execute("SELECT pg_read_file('postmaster.pid')").fetchone()
    return psutil.Process(int(cast("tuple[str]", row)[0].split()[0]))


def _wait_until_ready(process: subprocess.Popen[bytes], url: str) -> None:
    """Return once the API is ready.

    Raises:
        RuntimeError: it ended, or is not ready in time.
    """
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=1):  # noqa: S310 - loopback
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError("the API did not become ready")
