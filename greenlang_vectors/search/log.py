"""The search log, written beside the searches: it never slows one down and never fails one."""

from __future__ import annotations

import atexit
import logging
import random
import threading
from collections import deque
from contextlib import closing

import numpy as np
import psycopg
from numpy.typing import NDArray

from greenlang_vectors.errors import DatabaseUnavailable
from greenlang_vectors.search import filters
from greenlang_vectors.search.model import SearchAnswer, SearchRequest
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import search_logs
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.search_logs import LoggedSearch

__all__ = ["LoggedSearch", "SearchLog", "answered", "failed"]

logger = logging.getLogger(__name__)

CAPACITY = 10_000
"""Searches that wait to be written; of those beyond, only the number is kept."""

BATCH = 200
"""Searches written in one transaction."""

FAILURE_CHARACTERS = 60
"""Of the name of an error, as its column holds."""

FLUSH_SECONDS = 1.0
MOST_SECONDS_BETWEEN_TRIES = 30.0
CLOSE_SECONDS = 5.0

_PASSES = (
    DatabaseUnavailable,
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.ReadOnlySqlTransaction,
)
"""A database that is down, or that a failover left read-only for a while."""


def answered(
    request: SearchRequest,
    answer: SearchAnswer,
    query_vector: NDArray[np.float32] | None,
    user: str | None,
) -> LoggedSearch:
    """The entry of a search that was answered."""
    return _entry(
        request,
        user,
        collection=answer.collection,
        query_vector=query_vector,
        returned=answer.returned,
        plan=answer.plan,
        latency_ms=answer.search_ms,
    )


def failed(
    request: SearchRequest, error: Exception, seconds: float, user: str | None
) -> LoggedSearch:
    """The entry of a search that failed by no fault of whoever asked, after so many seconds.

    Availability is reckoned from the log (PRD 14.1): what failed stands in it, too.
    """
    return _entry(
        request, user, latency_ms=seconds * 1000, failure=type(error).__name__[:FAILURE_CHARACTERS]
    )


def _entry(
    request: SearchRequest,
    user: str | None,
    *,
    latency_ms: float,
    collection: str | None = None,
    query_vector: NDArray[np.float32] | None = None,
    returned: int = 0,
    plan: str = "",
    failure: str | None = None,
) -> LoggedSearch:
    return LoggedSearch(
        namespace=request.namespace,
        collection=collection,
        mode=request.mode,
        query_text=request.query,
        query_vector=query_vector,
        filter=None if request.filter is None else filters.as_json(request.filter),
        top_k=request.top_k,
        threshold=request.threshold,
        returned=returned,
        plan=plan,
        latency_ms=latency_ms,
        user=user,
        failure=failure,
    )


class SearchLog:
    """Takes searches in and writes them to `vector_search_logs` from a thread of its own.

    A search leaves nothing but an entry in a queue. While the database cannot be written, the
    queue fills, and then searches go by unlogged, counted in `dropped`. What was recorded is
    written at the latest by `close`, which the end of the process calls.

    Args:
        database: written to through its writer.
        settings: `search_log_share`, the share of searches that are logged.
    """

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._share = settings.search_log_share
        self._queue: deque[LoggedSearch] = deque()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._writer: threading.Thread | None = None
        self._dropped = 0

    @property
    def dropped(self) -> int:
        """Searches of the sample that were not written and never will be."""
        return self._dropped

    def record(self, search: LoggedSearch) -> None:
        """Have a search logged, if it is in the sample; never blocks, never raises."""
        if random.random() >= self._share:  # noqa: S311 - a sample, no secret
            return
        if len(self._queue) >= CAPACITY or self._closing.is_set():
            self._drop(1)
            return
        self._queue.append(search)
        if self._writer is None or not self._writer.is_alive():
            self._start()

    def close(self) -> None:
        """Write what waits, for at most `CLOSE_SECONDS`; what comes later is dropped."""
        atexit.unregister(self.close)
        with self._lock:
            self._closing.set()
        if self._writer is not None:
            self._writer.join(CLOSE_SECONDS)

    def _start(self) -> None:
        with self._lock:
            if self._closing.is_set() or (self._writer is not None and self._writer.is_alive()):
                return
            try:
                writer = threading.Thread(target=self._run, name="search-log", daemon=True)
                writer.start()
            except RuntimeError:  # the process ends, or may have no more threads
                return
            self._writer = writer
            atexit.register(self.close)

    def _run(self) -> None:
        wait, failing = FLUSH_SECONDS, False
        while True:
            last = self._closing.wait(wait)
            fault = self._flush()
            if fault is not None and not failing:
                logger.warning("Searches go on, but they are not all logged: %s", fault)
            failing = fault is not None
            if last:
                self._drop(len(self._queue))
                return
            wait = min(2 * wait, MOST_SECONDS_BETWEEN_TRIES) if failing else FLUSH_SECONDS

    def _flush(self) -> object:
        """Write what waits; returns why not all of it was written, or None."""
        if not self._queue:
            return None
        batch: list[LoggedSearch] = []
        refused = 0
        try:
            with closing(self._database.connect()) as connection:
                while batch := self._take():
                    refused += len(batch) - search_logs.write(connection, batch)
        except _PASSES as error:
            self._queue.extendleft(reversed(batch))
            return error
        except Exception as error:  # noqa: BLE001 - the thread must live on, whatever is logged
            self._drop(len(batch))
            return error
        finally:
            self._drop(refused)
        return f"the database refused {refused} of them." if refused else None

    def _take(self) -> list[LoggedSearch]:
        return [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]

    def _drop(self, count: int) -> None:
        with self._lock:
            self._dropped += count
