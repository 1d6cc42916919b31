"""One run: idle searches, then inserts, searches, checks and maintenance at once; what came of it.

Recall counts an answer that is at least as near as the tenth nearest of all rows that were
committed before the search began, found by comparison with every one of them.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from threading import BrokenBarrierError
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import psycopg
from numpy.typing import NDArray

from benchmarks.sustained import clients
from benchmarks.sustained.clients import Check, K, Load, Search, Shared
from benchmarks.sustained.stores import Store
from greenlang_vectors.store.database import Database

READY_SECONDS = 600
SAMPLED_SEARCHES = 100
"""Searches of a window whose recall is taken."""

ROUNDING = 1e-5
"""Similarities of the server and of numpy differ by less."""


@dataclass(frozen=True, slots=True)
class Window:
    """A few seconds of a run.

    Attributes:
        rows: in the store at its end.
        p50_ms, p99_ms: of its searches.
        recall: recall@10 of a sample of them.
    """

    seconds: float
    rows: int
    searches: int
    p50_ms: float
    p99_ms: float
    recall: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run showed: idle first, then the same for each window under inserts.

    Attributes:
        rows_per_second: committed, from the first insert to the last commit.
        p50_ms, p99_ms: of all searches during the inserts.
        found: rows that were found by their own vector, of those checked.
        found_after_ms: the longest from a commit to the end of the search that found the row.
        maintained: rounds of maintenance that were finished.
        parts: what a search visits at the end.
    """

    idle: Window
    windows: list[Window]
    inserted: int
    rows_per_second: float
    p50_ms: float
    p99_ms: float
    found: int
    checked: int
    found_after_ms: float
    maintained: int
    parts: str


def run(
    server_url: str,
    store: Store,
    vectors_file: Path,
    queries_file: Path,
    rows_there: int,
    load: Load,
    *,
    idle_seconds: float,
    window_seconds: float,
    maintained: bool,
) -> Outcome:
    """Measure a store that holds the first `rows_there` vectors of the file."""
    context = clients.spawn_context()
    shared = Shared(context, rows_there)
    with ProcessPoolExecutor(
        4, mp_context=context, initializer=clients.join, initargs=(shared,)
    ) as pool:
        writing = pool.submit(clients.write, store, vectors_file, rows_there, load)
        searching = pool.submit(clients.search, store, queries_file)
        checking = pool.submit(clients.check, store, vectors_file)
        maintaining = pool.submit(clients.maintain, store) if maintained else None
        try:
            _wait_until_ready(shared, (writing, searching, checking))
            idle_from = time.perf_counter()
            time.sleep(idle_seconds)
            began = time.perf_counter()
            shared.go.set()
            commits = writing.result()
        finally:
            shared.stop.set()
            shared.go.set()
        searches, checks = searching.result(), checking.result()
        while maintaining is not None and not maintaining.done():
            _cancel(server_url, store)
            time.sleep(0.2)
        rounds = 0 if maintaining is None else maintaining.result()
    with Database(store.url).connect() as connection:
        parts = store.parts(connection)
    exact = _Exact(np.load(vectors_file, mmap_mode="r"), np.load(queries_file))
    ended = commits[-1][0]
    later = np.arange(began + window_seconds, ended - window_seconds / 2, window_seconds)
    edges = [began, *later.tolist(), ended]
    windows = [
        _window(searches, first, last, _rows_at(commits, last, rows_there), exact)
        for first, last in pairwise(edges)
    ]
    during = [s.seconds * 1000 for s in searches if began <= s.began <= ended]
    return Outcome(
        idle=_window(searches, idle_from, began, rows_there, exact),
        windows=windows,
        inserted=commits[-1][1] - rows_there,
        rows_per_second=(commits[-1][1] - rows_there) / (ended - began),
        p50_ms=float(np.percentile(during, 50)),
        p99_ms=float(np.percentile(during, 99)),
        found=sum(check.found for check in checks),
        checked=len(checks),
        found_after_ms=_longest(checks),
        maintained=rounds,
        parts=parts,
    )


def _wait_until_ready(shared: Shared, clients: Sequence[Future[Any]]) -> None:
    """Until every process is; what ended one of them before is raised here."""
    for client in clients:
        client.add_done_callback(lambda done: shared.ready.abort() if done.exception() else None)
    try:
        shared.ready.wait(READY_SECONDS)
    except BrokenBarrierError:
        for client in clients:
            error = client.exception()
            if error is not None and not isinstance(error, BrokenBarrierError):
                raise error from None
        raise


class _Exact:
    """The right answers, by comparison with every vector."""

    def __init__(self, vectors: NDArray[np.float32], queries: NDArray[np.float32]) -> None:
        self._similarities = queries @ vectors.T

    def recall(self, search: Search) -> float:
        """Of one search, among the rows it could see for certain."""
        similarities = self._similarities[search.query]
        visible = similarities[: search.visible]
        tenth = np.partition(visible, len(visible) - K)[len(visible) - K]
        return float(np.sum(similarities[search.found] >= tenth - ROUNDING)) / K


def _window(
    searches: Sequence[Search], first: float, last: float, rows: int, exact: _Exact
) -> Window:
    within = [s for s in searches if first <= s.began and s.began + s.seconds <= last]
    took = [s.seconds * 1000 for s in within] or [float("nan")]
    chance = random.Random(0)  # noqa: S311 - even steps would meet some questions again and again
    sample = chance.sample(within, min(len(within), SAMPLED_SEARCHES))
    recalls = [exact.recall(search) for search in sample] or [float("nan")]
    return Window(
        seconds=last - first,
        rows=rows,
        searches=len(within),
        p50_ms=float(np.percentile(took, 50)),
        p99_ms=float(np.percentile(took, 99)),
        recall=float(np.mean(recalls)),
    )


def _rows_at(commits: Sequence[tuple[float, int]], moment: float, before: int) -> int:
    return max((rows for when, rows in commits if when <= moment), default=before)


def _longest(checks: Sequence[Check]) -> float:
    return max((check.seconds * 1000 for check in checks), default=float("nan"))


def _cancel(server_url: str, store: Store) -> None:
    """Break off the index build that is under way."""
    with psycopg.connect(server_url, autocommit=True) as superuser:
        superuser.execute(
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity"
            " WHERE datname = %s AND query LIKE 'CREATE INDEX%%' AND state = 'active'",
            [urlsplit(store.url).path[1:]],
        )
