"""A backfill that is killed again and again ends as one that never was, and reads little twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID, uuid4

import numpy as np
import psycopg
import pytest

from greenlang_vectors.lifecycle.location import open_location
from greenlang_vectors.migration import archive, phases
from greenlang_vectors.migration.peer import open_peer
from greenlang_vectors.migration.plan import Plan, VectorMapping
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import namespaces, weaviate_migrations, weaviate_ranges
from greenlang_vectors.store.database import Database
from tests.integration.migration.moving import tables

pytest.importorskip("weaviate", reason="needs the extra weaviate")

from local.weaviate_server.faults import Page
from local.weaviate_server.samples import PASSAGES, sample_objects
from local.weaviate_server.server import WeaviateServer
from local.weaviate_server.store import Sent, Vector

pytestmark = pytest.mark.faults

WORKER = Path(__file__).parent / "backfill.py"
KILLS = 20
EXPORT_KILLS = 6
OBJECTS = 2000
DIMENSIONS = 8
PLAN = Plan(
    collection="Passages",
    vectors=(VectorMapping(model="gl-test"),),
    content="text",
    source_id="source_id",
    chunk_index="chunk_index",
    title="article",
    language="english",
    page=10,
    batch=40,
    ranges=8,
)


class Worker:
    """Processes of a script that work for its lines of input, and can be killed."""

    def __init__(self, *arguments: str, script: Path = WORKER) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(script), *arguments],
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def begin(self) -> int:
        """Let one work; its process id."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline())

    def wait(self) -> int:
        """Its status when it has ended."""
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())

    def run(self) -> float:
        """Let one work until it is done; how many seconds it took from its first landing on."""
        self._begin()
        self._until("landed")
        started = time.perf_counter()
        self._until("0")
        return time.perf_counter() - started

    def kill(self, moment: float, after: str | None) -> None:
        """Kill one so many seconds after its beginning, or after it has said something."""
        child = self._begin()
        if after is not None:
            self._until(after)
        time.sleep(moment)
        os.kill(child, signal.SIGKILL)  # until its status is read it stays, if only as a zombie
        self._until(str(-signal.SIGKILL))

    def _begin(self) -> int:
        assert self._process.stdin is not None
        print(file=self._process.stdin, flush=True)
        return int(self._read())

    def _until(self, word: str) -> None:
        while (said := self._read()) != word:
            assert said in {"reading", "landed"}, f"{said} where {word} was to come"

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def end(self) -> None:
        self._process.communicate()


@pytest.fixture
def weaviate(tmp_path: Path) -> Iterator[WeaviateServer]:
    """Passages, and some that cannot be carried."""
    with WeaviateServer(process=True, exports=tmp_path / "exports") as server:
        server.control.create(PASSAGES)
        objects = list(sample_objects(OBJECTS - 2, DIMENSIONS))
        vector = {"": Vector(np.zeros(DIMENSIONS, "<f4").tobytes())}
        objects.append(Sent(str(uuid4()), {"text": ""}, vector))
        whole = {"text": "x", "source_id": "zero", "chunk_index": 0}
        objects.append(Sent(str(uuid4()), whole, vector))
        server.control.put("Passages", objects)
        yield server


@pytest.fixture
def settings(weaviate: WeaviateServer) -> Settings:
    return Settings(weaviate_url=weaviate.url, weaviate_grpc_port=weaviate.grpc_port)


@pytest.fixture
def database(new_database: Callable[[], str], settings: Settings) -> Iterator[Database]:
    """Two namespaces that are to come from the same collection."""
    database = Database(new_database())
    with open_peer(settings) as peer:
        for name in ("killed", "whole"):
            with database.connect() as connection:
                namespaces.register(connection, name)
                weaviate_migrations.save_plan(connection, name, PLAN.model_dump(mode="json"))
            phases.start(database, peer, name)
    yield database
    database.close()


def landed(connection: psycopg.Connection, namespace: str) -> set[UUID]:
    rows = connection.execute(
        """
        SELECT object_id FROM weaviate_objects WHERE namespace = %(namespace)s
        UNION SELECT item::uuid FROM dead_letters WHERE namespace = %(namespace)s
        """,
        {"namespace": namespace},
    )
    return {each for (each,) in rows}


def test_killed_at_any_moment_and_run_again(
    database: Database, weaviate: WeaviateServer, tmp_path: Path
) -> None:
    moments = random.Random(11)

    def worker(name: str) -> Worker:
        folder = str(tmp_path / name)
        return Worker(database.url, name, folder, weaviate.url, str(weaviate.grpc_port))

    undisturbed = worker("whole")
    seconds = undisturbed.run()
    undisturbed.end()
    disturbed = worker("killed")
    with database.connect() as connection:
        for kill in range(KILLS):
            weaviate.control.forget()
            before = landed(connection, "killed")
            after, longest = (
                (None, 0.3),
                ("reading", 0.3),
                ("landed", seconds / 20),
                ("landed", seconds / 20),
            )[kill % 4]
            disturbed.kill(moments.uniform(0, longest), after)
            _check_reads(connection, weaviate.control.forget().pages, before)
        before = landed(connection, "killed")
        assert 0 < len(before) < OBJECTS
        disturbed.run()
        _check_reads(connection, weaviate.control.forget().pages, before)
        assert tables(connection, "killed") == tables(connection, "whole")
        assert len(landed(connection, "killed")) == OBJECTS
        assert weaviate_migrations.get(connection, "killed").phase == "backfilled"
    disturbed.end()
    _check_archive(tmp_path / "killed")


def test_one_that_reads_the_servers_export_ends_as_one_that_reads_pages(
    database: Database, weaviate: WeaviateServer, tmp_path: Path
) -> None:
    moments = random.Random(12)
    server = weaviate.url, str(weaviate.grpc_port)
    undisturbed = Worker(database.url, "whole", str(tmp_path / "whole"), *server)
    seconds = undisturbed.run()
    undisturbed.end()
    exports = tmp_path / "exports"
    disturbed = Worker(database.url, "killed", str(tmp_path / "killed"), *server, str(exports))
    with database.connect() as connection:
        for kill in range(EXPORT_KILLS):
            after, longest = ((None, 0.3), ("reading", 0.3), ("landed", seconds / 8))[kill % 3]
            disturbed.kill(moments.uniform(0, longest), after)
        assert 0 < len(landed(connection, "killed")) < OBJECTS
        disturbed.run()
        killed, whole = tables(connection, "killed"), tables(connection, "whole")
        assert killed | {"ranges": None} == whole | {"ranges": None}
        assert sum(each.objects for each in weaviate_ranges.list_all(connection, "killed")) == (
            OBJECTS
        )
    disturbed.end()
    assert len(list(exports.iterdir())) == 1, "the export is made once"
    _check_archive(tmp_path / "killed")


def _check_archive(folder: Path) -> None:
    """It is whole, holds each object once, and nothing that a killed run left."""
    location = open_location(str(folder))
    manifest = archive.load(location, "killed")
    assert manifest is not None
    archive.verify(location, manifest)
    kept = Counter(
        each.id
        for part in manifest.parts
        for page in archive.objects_of(location, manifest, part)
        for each in page
    )
    assert (len(kept), set(kept.values())) == (OBJECTS, {1})
    names = {part.name for part in manifest.parts}
    stored = {key.rpartition("/")[2] for key in location.keys("weaviate/killed")}
    assert {name for name in stored if name.endswith(".parquet")} == names


def _check_reads(connection: psycopg.Connection, pages: list[Page], before: set[UUID]) -> None:
    """What a run read that was here or did not land is a page of each range at most.

    A page at the end of a range reads into the next one: that is this page. Pages of one object
    only ask where ranges are to be split.
    """
    reads = Counter(UUID(each) for page in pages if len(page.ids) > 1 for each in page.ids)
    ranges = weaviate_ranges.list_all(connection, "killed")
    now = landed(connection, "killed")
    for part in ranges:
        inside = {each: times for each, times in reads.items() if part.first <= each <= part.last}
        again = sum(times - (each not in before) for each, times in inside.items())
        assert again <= PLAN.page, "read again"
        assert len(inside.keys() - now) <= PLAN.page, "read for nothing"
