"""Leaving Weaviate: how fast objects come over, beside what the client alone reads, and compared.

The stand-in for Weaviate runs in a process of its own, PostgreSQL in others, and this process does
the rest; all share the processors, so that their seconds are told, too.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from uuid import UUID

import psutil
from rich.table import Table

from benchmarks.common import (
    ROOT,
    checkpoint,
    console,
    measured,
    new_database,
    number,
    processor_seconds,
)
from benchmarks.common import server as own_server
from greenlang_vectors.lifecycle.location import open_location
from greenlang_vectors.migration import phases
from greenlang_vectors.migration.backfill import backfill
from greenlang_vectors.migration.peer import Peer, open_peer
from greenlang_vectors.migration.plan import Plan, VectorMapping
from greenlang_vectors.migration.verification import verify
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import namespaces, weaviate_migrations
from greenlang_vectors.store.database import Database

NAMESPACE = "bench"
TARGET = 10_000
"""Objects a second; or SHARE of what the client reads, if that is less."""

SHARE = 0.6
VERIFIED = 0.25
"""Seconds of a verification, of those of the backfill."""

PLAN = Plan(
    collection="Passages",
    vectors=(VectorMapping(model="bench"),),
    content="text",
    source_id="source_id",
    chunk_index="chunk_index",
    language="english",
)


@dataclass(frozen=True, slots=True)
class Way:
    """One way of reading all objects.

    Attributes:
        objects: a second.
        peak_mib: of this process.
        here, there: processor seconds of this process and of the stand-in.
    """

    name: str
    objects: float
    seconds: float
    peak_mib: float
    here: float
    there: float


@contextmanager
def stand_in(objects: int) -> Iterator[tuple[Settings, int]]:
    """A Weaviate with so many passages of 384 dimensions: its settings, and its process."""
    with subprocess.Popen(  # noqa: S603 - arguments of this file
        [sys.executable, "-m", "local.weaviate_server", "--objects", str(objects)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            ports = json.loads(process.stdout.readline())
            yield (
                Settings(
                    weaviate_url=f"http://127.0.0.1:{ports['http_port']}",
                    weaviate_grpc_port=ports["grpc_port"],
                ),
                process.pid,
            )
        finally:
            process.terminate()


def measure(server_url: str, objects: int) -> list[Way]:
    """The client alone, our pages alone, the backfill, and its verification."""
    database = new_database(server_url)
    ways: list[Way] = []
    with (
        stand_in(objects) as (settings, there),
        tempfile.TemporaryDirectory(prefix="glv-") as folder,
        open_peer(settings) as peer,
    ):

        def take(name: str, read: Callable[[], object]) -> None:
            checkpoint(server_url)
            own = psutil.Process().pid
            before = processor_seconds(own), processor_seconds(there)
            with measured() as taken:
                read()
            ways.append(
                Way(
                    name,
                    objects / taken.seconds,
                    taken.seconds,
                    taken.peak_mib,
                    processor_seconds(own) - before[0],
                    processor_seconds(there) - before[1],
                )
            )

        _pages(peer)  # the stand-in makes each reply ready once
        take("client, as it comes (100 a page)", lambda: _client(settings, None))
        take("client, 500 a page", lambda: _client(settings, PLAN.page))
        take("pages alone, 500 a page", lambda: _pages(peer))
        _start(database, peer)
        location = open_location(folder)
        take("backfill", lambda: backfill(database, NAMESPACE, peer=peer, location=location))
        compare = partial(verify, database, peer, NAMESPACE, patience=0)
        take("verification", lambda: compare(queries=0))
        take("verification and 20 exact searches of the stand-in", lambda: compare(queries=20))
    database.close()
    return ways


def _client(settings: Settings, cache_size: int | None) -> None:
    import weaviate  # noqa: PLC0415 - an extra

    url = settings.weaviate_url.removeprefix("http://")
    host, _, port = url.partition(":")
    with weaviate.connect_to_custom(
        host, int(port), False, host, settings.weaviate_grpc_port, False, skip_init_checks=True
    ) as client:
        collection = client.collections.get(PLAN.collection)
        for _ in collection.iterator(include_vector=True, cache_size=cache_size):
            pass


def _pages(peer: Peer) -> None:
    for _ in peer.pages(
        PLAN.collection,
        "",
        after=None,
        last=UUID(int=2**128 - 1),
        size=PLAN.page,
        properties=None,
        vectors=[None],
    ):
        pass


def _start(database: Database, peer: Peer) -> None:
    with database.connect() as connection:
        namespaces.register(connection, NAMESPACE)
        weaviate_migrations.save_plan(connection, NAMESPACE, PLAN.model_dump(mode="json"))
    phases.start(database, peer, NAMESPACE)


def main() -> None:
    """Print a table for each size; OBJECTS sets the largest, of which the first is a tenth."""
    most = number("OBJECTS", 100_000)
    for objects in (most // 10, most):
        with own_server() as server_url:
            began = time.perf_counter()
            ways = measure(server_url, objects)
        table = Table("way", title=f"{objects:,} objects of 384 dimensions")
        for column in ("objects/s", "seconds", "peak MiB", "processor here", "in the stand-in"):
            table.add_column(column, justify="right")
        for way in ways:
            table.add_row(
                way.name,
                f"{way.objects:,.0f}",
                f"{way.seconds:.1f}",
                f"{way.peak_mib:,.0f}",
                f"{way.here:.1f}",
                f"{way.there:.1f}",
            )
        console.print(table)
        by_name = {way.name: way for way in ways}
        client, carried = by_name["client, as it comes (100 a page)"], by_name["backfill"]
        console.print(
            f"backfill {carried.objects:,.0f} objects a second, wanted"
            f" {min(TARGET, SHARE * client.objects):,.0f};"
            f" verification {by_name['verification'].seconds / carried.seconds:.0%} of its time,"
            f" wanted {VERIFIED:.0%} ({time.perf_counter() - began:.0f} s in all)"
        )
