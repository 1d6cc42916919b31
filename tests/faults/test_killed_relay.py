"""A relay that is killed, and a database that goes down: both sides are alike in the end."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from greenlang_vectors.embedding.embedder import Embedder
from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.migration import phases
from greenlang_vectors.migration.peer import open_peer
from greenlang_vectors.migration.plan import Plan, VectorMapping
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import embedded, namespaces, weaviate_migrations
from greenlang_vectors.store.database import Database, open_database

pytest.importorskip("weaviate", reason="needs the extra weaviate")

from local.weaviate_server.samples import PASSAGES, sample_objects
from local.weaviate_server.server import WeaviateServer
from tests.integration.conftest import ToyModel
from tests.integration.migration.applications import DIMENSIONS, Applications

pytestmark = pytest.mark.faults

RELAY = Path(__file__).parent / "relay.py"
NAMESPACE = "moving"
KILLS = 10
SECONDS = 0.25
"""About what an undisturbed run takes."""

SOURCES = 12
PLAN = Plan(
    collection="Passages",
    vectors=(VectorMapping(model="gl-test"),),
    content="text",
    source_id="source_id",
    chunk_index="chunk_index",
    title="article",
    language="english",
)


class Worker:
    """Relays in processes of their own, which can be killed."""

    def __init__(self, apps: Applications) -> None:
        weaviate = apps.weaviate
        arguments = (apps.database.url, NAMESPACE, weaviate.url, str(weaviate.grpc_port))
        self._process = subprocess.Popen(
            [sys.executable, str(RELAY), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def begin(self) -> int:
        """Let one work; its process id."""
        assert self._process.stdin is not None
        print(file=self._process.stdin, flush=True)
        return self._read()

    def wait(self) -> int:
        """Its status when it has ended."""
        return self._read()

    def run(self, seconds: float | None = None) -> int:
        """Let one work for so long, then kill it; its status."""
        child = self.begin()
        if seconds is not None:
            time.sleep(seconds)
            os.kill(child, signal.SIGKILL)  # it stays a zombie until its status is read
        return self.wait()

    def end(self) -> None:
        self._process.communicate()

    def _read(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())


@pytest.fixture
def weaviate() -> Iterator[WeaviateServer]:
    with WeaviateServer(process=True) as server:
        server.control.create(PASSAGES)
        server.control.put("Passages", list(sample_objects(5 * SOURCES, DIMENSIONS)))
        yield server


@pytest.fixture
def begun(weaviate: WeaviateServer) -> Iterator[Callable[[Database], Applications]]:
    """Begins a move in a database, whose applications know Weaviate's sources."""
    settings = Settings(weaviate_url=weaviate.url, weaviate_grpc_port=weaviate.grpc_port)
    with open_peer(settings) as peer:

        def begin(database: Database) -> Applications:
            with database.connect() as connection:
                namespaces.register(connection, NAMESPACE)
                weaviate_migrations.save_plan(connection, NAMESPACE, PLAN.model_dump(mode="json"))
            phases.start(database, peer, NAMESPACE)
            toys = Embedders("toy-16", lambda model: Embedder(ToyModel(model)))
            return Applications(database, peer, weaviate, toys, NAMESPACE, PLAN)

        yield begin


def write(apps: Applications, chance: random.Random, count: int) -> None:
    """So many puts and deletions of a few documents."""
    sources = [*sorted({key for key, _ in apps.there()})[:SOURCES], "new-1", "new-2", "new-3"]
    for _ in range(count):
        key = chance.choice(sources)
        if chance.random() < 0.25:
            apps.delete(key)
        else:
            texts = [f"{key} {chance.random()}" for _ in range(chance.randint(1, 8))]
            apps.put(key, texts, {"jurisdiction": chance.choice(["EU", "DE"])}, f"On {key}")


def end_alike(apps: Applications) -> None:
    """Every source is one that an application wrote: nothing but that is on either side."""
    for key in {key for key, _ in apps.there()} - {key for key, _ in apps.here()}:
        apps.delete(key)


def test_killed_at_any_moment_and_run_again(
    new_database: Callable[[], str], begun: Callable[[Database], Applications]
) -> None:
    apps = begun(Database(new_database()))
    worker, chance = Worker(apps), random.Random(3)
    killed = waited = 0
    while killed < KILLS:
        write(apps, chance, 5)
        killed += worker.run(chance.uniform(0, SECONDS)) == -signal.SIGKILL
        waited += apps.lag().documents > 0
    assert waited >= 3, "it was always done before it was killed"
    end_alike(apps)
    assert worker.run() == 0
    worker.end()
    assert apps.lag().documents == 0
    apps.check_alike()
    assert len(apps.here()) > 0


def test_a_restarted_database_loses_nothing(
    own_data_dir: Path, begun: Callable[[Database], Applications]
) -> None:
    apps = begun(open_database(Settings(data_dir=own_data_dir)))
    write(apps, random.Random(5), 30)
    worker = Worker(apps)
    apps.weaviate.control.slow(0.2, "BatchObjects")
    worker.begin()
    assert embedded.stop(own_data_dir)
    assert worker.wait() == 1, "it had ended before"
    apps.weaviate.control.heal()
    embedded.start(own_data_dir)
    end_alike(apps)
    assert worker.run() == 0
    worker.end()
    apps.check_alike()
    apps.database.close()
