"""What the benchmarks share: a database of their own, corpora, a clock with a memory gauge."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import psutil
import psycopg
from rich.console import Console

from greenlang_vectors.store import embedded, schema
from greenlang_vectors.store.database import Database

Q = TypeVar("Q")

console = Console(width=110)
ROOT = Path(__file__).resolve().parent.parent
MIB = 2**20
CRANFIELD = ROOT.parent / "shared" / "data" / "retrieval" / "cranfield"
"""A judged retrieval set, where it is: corpus.jsonl, queries.jsonl, qrels.tsv."""


def corpora() -> dict[str, Path]:
    """The folders to measure with: the samples, and the real regulations where they are."""
    found = {"samples": ROOT / "samples"}
    regulations = ROOT.parent / "shared" / "data" / "regulations"
    if regulations.is_dir():
        found["regulations"] = regulations
    return found


def namespaces_of(corpus: Path) -> list[Path]:
    """The folders of a corpus that are namespaces."""
    return sorted(
        folder for folder in corpus.iterdir() if folder.is_dir() and folder.name[0] not in "._"
    )


def number(name: str, default: int) -> int:
    """A size from the environment, as in `ROWS=2000 make bench BENCH=write_path`."""
    return int(os.environ.get(name, default))


@contextmanager
def server() -> Iterator[str]:
    """URL of an embedded PostgreSQL of the benchmark's own, as `make run` would configure it."""
    with tempfile.TemporaryDirectory(prefix="glv-") as folder:
        try:
            yield embedded.start(Path(folder))
        finally:
            embedded.stop(Path(folder))


def new_database(server_url: str) -> Database:
    """An empty database with the current schema."""
    url = embedded.owned_database(server_url, f"bench_{uuid4().hex[:8]}")
    with psycopg.connect(url, autocommit=True) as connection:
        schema.migrate(connection)
    return Database(url)


def checkpoint(server_url: str) -> None:
    """Have everything on disk, so that what is timed next does not pay for it."""
    with psycopg.connect(server_url, autocommit=True) as superuser:
        superuser.execute("CHECKPOINT")


@dataclass
class Measurement:
    """Seconds a block took, and how much memory this process had at most meanwhile (MiB)."""

    seconds: float = 0.0
    peak_mib: float = 0.0


@contextmanager
def measured() -> Iterator[Measurement]:
    """Measure the block; memory is sampled every 10 ms."""
    measurement = Measurement()
    process, done = psutil.Process(), threading.Event()

    def watch() -> None:
        while True:
            rss = process.memory_info().rss / MIB
            measurement.peak_mib = max(measurement.peak_mib, rss)
            if done.wait(0.01):
                return

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    began = time.perf_counter()
    try:
        yield measurement
    finally:
        measurement.seconds = time.perf_counter() - began
        done.set()
        watcher.join()


def processor_seconds(pid: int) -> float:
    """Processor time a process of this machine has had, in steps of 10 ms."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def timed(questions: Sequence[Q], *ways: Callable[[Q], object], warming: int) -> list[list[float]]:
    """Milliseconds of each way, by question, after so many questions that are not counted.

    Every question is put in all ways, each of them first in its turn: what comes second finds the
    pages in the caches.
    """
    taken: list[list[float]] = [[] for _ in ways]
    first = questions[:warming]
    for place, question in enumerate([*first, *questions]):
        for turn in range(len(ways)):
            which = (place + turn) % len(ways)
            began = time.perf_counter()
            ways[which](question)
            if place >= len(first):
                taken[which].append((time.perf_counter() - began) * 1000)
    return taken
