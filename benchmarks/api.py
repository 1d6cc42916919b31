"""What HTTP adds to a search: the same ready vectors through the SDK and through the API.

The service runs in a process of its own over loopback, asks for a key, logs and counts as always;
the client keeps its connection.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

from rich.table import Table

from benchmarks.common import ROOT, console, new_database, number
from benchmarks.common import server as own_server
from benchmarks.search import EF_SEARCH, K, Sizes, Times, prepare
from benchmarks.vectors import VectorSource
from greenlang_vectors.embedding.embedders import embedders_of
from greenlang_vectors.search.engine import SearchEngine
from greenlang_vectors.search.log import SearchLog
from greenlang_vectors.search.model import SearchRequest
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import api_keys
from greenlang_vectors.store.database import Database

STARTING_SECONDS = 60
WARM_UP = 50


@contextmanager
def served(database: Database) -> Iterator[tuple[str, int]]:
    """Host and port of a service over the database."""
    with tempfile.TemporaryDirectory(prefix="glv-") as folder:
        log = Path(folder) / "log"
        environment = {
            **os.environ,
            "GREENLANG_DATABASE_URL": database.url,
            "GREENLANG_DATA_DIR": folder,
            "GREENLANG_PROFILE": "staging",
            "GREENLANG_API_RATE_LIMIT": "1000000/second",
        }
        command = [sys.executable, "-m", "greenlang_vectors", "serve", "--port", "0"]
        with log.open("w") as file:
            process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=file)  # noqa: S603
        try:
            deadline = time.monotonic() + STARTING_SECONDS
            while not (found := re.search(r"Serving http://([\d.]+):(\d+)", log.read_text())):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"The service did not start: {log.read_text()}")
                time.sleep(0.1)
            yield found[1], int(found[2])
        finally:
            process.terminate()
            process.wait()


def measure(server_url: str, sizes: Sizes) -> tuple[Times, Times]:
    """Milliseconds of each search through the SDK and through the API, in turn."""
    database = new_database(server_url)
    leaf = prepare(database, sizes, server_url)
    with database.connect() as connection:
        _, key = api_keys.create(
            connection, "benchmark", for_namespaces=[leaf.namespace], scopes=["read"]
        )
    settings = Settings(profile="staging")
    log = SearchLog(database, settings)
    embedders = embedders_of(database, settings, cache_seconds=None)
    engine = SearchEngine(database, embedders, settings, log)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    sdk, api = Times([]), Times([])
    with served(database) as (host, port):
        connection_ = HTTPConnection(host, port)
        vectors = VectorSource(3, dimensions=sizes.dimensions).take(sizes.queries + WARM_UP)
        for place, vector in enumerate(vectors):
            asked = {"namespace": leaf.namespace, "vector": vector.tolist(), "top_k": K}
            body = json.dumps(asked).encode()
            request = SearchRequest(None, leaf.namespace, K, vector=vector)
            began = time.perf_counter()
            found = engine.search(request)
            between = time.perf_counter()
            connection_.request("POST", "/v1/search", body, headers)
            answer = json.loads(connection_.getresponse().read())
            ended = time.perf_counter()
            if [str(each.id) for each in found.results] != [e["id"] for e in answer["results"]]:
                raise SystemExit("The API answers otherwise than the SDK.")
            if place >= WARM_UP:
                sdk.ms.append((between - began) * 1000)
                api.ms.append((ended - between) * 1000)
        connection_.close()
    log.close()
    database.close()
    return sdk, api


def main() -> None:
    """Print what was measured; QUERIES, SEARCH_ROWS set the sizes."""
    sizes = Sizes(rows=number("SEARCH_ROWS", 20_000), queries=number("QUERIES", 500))
    with own_server() as server_url:
        sdk, api = measure(server_url, sizes)
    table = Table(
        "a search by a ready vector",
        "p50 ms",
        "p99 ms",
        title=f"{sizes.rows:,} x {sizes.dimensions}, HNSW, ef_search {EF_SEARCH}, top {K}",
    )
    for name, times in (("SDK", sdk), ("HTTP API, one connection", api)):
        table.add_row(name, f"{times.p50:.2f}", f"{times.p99:.2f}")
    table.add_row("the API adds (target: 3 ms at p50)", f"{api.p50 - sdk.p50:.2f}", "")
    console.print(table)
