"""Who works on the store at once, each in a process of its own: they share no interpreter lock."""

from __future__ import annotations

import multiprocessing
import queue
import random
import time
from dataclasses import dataclass
from multiprocessing.context import SpawnContext
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psycopg

from benchmarks.rows import rows
from benchmarks.sustained.stores import Store
from greenlang_vectors.errors import GreenLangError
from greenlang_vectors.store.database import Database

K = 10
WARM_UP_SEARCHES = 300
PAUSE_SECONDS = 0.25
"""Between two rounds of maintenance."""


class Shared:
    """What the processes of one run have in common.

    Attributes:
        ready: all have prepared what they need.
        go: writing and maintenance begin.
        stop: all end.
        committed: rows that are there: those of lower numbers.
        fresh: (number, when it was committed) of rows to look for.
    """

    def __init__(self, context: SpawnContext, rows_there: int) -> None:
        self.ready = context.Barrier(4)
        self.go = context.Event()
        self.stop = context.Event()
        self.committed = context.Value("q", rows_there)
        self.fresh = context.Queue()


@dataclass(frozen=True, slots=True)
class Load:
    """What is inserted: rows up to a number, in batches; at most so many a second."""

    rows: int
    batch: int
    seconds: float
    rows_per_second: int | None = None


class Search(NamedTuple):
    """One search: when it began, seconds, which query, rows there before it, what it found."""

    began: float
    seconds: float
    query: int
    visible: int
    found: list[int]


class Check(NamedTuple):
    """Whether a row was found by its own vector, and how long after its commit (seconds)."""

    found: bool
    seconds: float


_shared: Shared


def join(shared: Shared) -> None:
    """Run in each process as it starts."""
    global _shared  # noqa: PLW0603 - synchronization objects are only inherited, never sent
    _shared = shared
    shared.fresh.cancel_join_thread()  # what is left unread keeps no process


def write(store: Store, vectors_file: Path, first: int, load: Load) -> list[tuple[float, int]]:
    """Insert batch after batch; return (when, rows there) of each commit."""
    vectors = np.load(vectors_file, mmap_mode="r")
    numbered = rows(first, first + load.rows)
    pick = random.Random(0)  # noqa: S311 - a sample
    commits = []
    with Database(store.url).connect() as connection:
        _shared.ready.wait()
        _shared.go.wait()
        began = time.perf_counter()
        for done in range(0, load.rows, load.batch):
            if load.rows_per_second is not None:
                time.sleep(max(0, began + done / load.rows_per_second - time.perf_counter()))
            if time.perf_counter() - began > load.seconds:
                break
            end = min(done + load.batch, load.rows)
            store.insert(connection, numbered[done:end], vectors[first + done : first + end])
            now = time.perf_counter()
            commits.append((now, first + end))
            if store.found_at_once:
                _shared.committed.value = first + end
                _shared.fresh.put((pick.randrange(first + done, first + end), now))
    return commits


def search(store: Store, queries_file: Path) -> list[Search]:
    """Search without a pause until all stop."""
    queries = np.load(queries_file)
    done: list[Search] = []
    with Database(store.url).connect() as connection:
        for i in range(WARM_UP_SEARCHES):
            store.search(connection, queries[i % len(queries)], K)
        _shared.ready.wait()
        while not _shared.stop.is_set():
            query = len(done) % len(queries)
            visible = _shared.committed.value
            began = time.perf_counter()
            found = store.search(connection, queries[query], K)
            done.append(Search(began, time.perf_counter() - began, query, visible, found))
    return done


def check(store: Store, vectors_file: Path) -> list[Check]:
    """Look for one row of each batch as soon as it is committed."""
    vectors = np.load(vectors_file, mmap_mode="r")
    checks = []
    with Database(store.url).connect() as connection:
        _shared.ready.wait()
        while not _shared.stop.is_set():
            try:
                number, committed = _shared.fresh.get(timeout=0.1)
            except queue.Empty:
                continue
            found = store.search(connection, vectors[number], K)
            checks.append(Check(number in found, time.perf_counter() - committed))
    return checks


def maintain(store: Store) -> int:
    """Round after round until all stop; how many were finished."""
    _shared.go.wait()
    finished = 0
    while not _shared.stop.is_set():
        try:
            store.maintain()
        except (GreenLangError, psycopg.Error):
            if not _shared.stop.is_set():
                raise
        else:
            finished += 1
        _shared.stop.wait(PAUSE_SECONDS)
    return finished


def spawn_context() -> SpawnContext:
    """Processes that inherit nothing but what they are given."""
    return multiprocessing.get_context("spawn")
