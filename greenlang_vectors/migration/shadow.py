"""Shadow reads: what one side answered a caller is asked of the other beside him, and compared.

A caller leaves his question in a queue and goes; a few threads ask it again. Where they cannot keep
up, questions are dropped, and counted.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from queue import Empty, Full, Queue

import psycopg

from greenlang_vectors.errors import (
    EmbeddingFailed,
    GreenLangError,
    ModelUnavailable,
    UsageError,
)
from greenlang_vectors.search.model import SearchAnswer
from greenlang_vectors.store import weaviate_shadow_reads
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.weaviate_shadow_reads import ShadowRead, Side

logger = logging.getLogger(__name__)

COMPARED = 10
"""Answers of each side that are compared, at most."""

CAPACITY = 1000
"""Questions that wait to be asked."""

THREADS = 2
MAX_ERROR = 500
"""Characters kept of what an error says."""

BATCH = 200
"""Reads written in one transaction."""

FLUSH_SECONDS = 1.0
CLOSE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Shadowed:
    """A question that one side has answered.

    Attributes:
        share: percent of callers whom pgvector answers.
        by_pgvector: whether it answered this one.
        ask_other: asks the other side.
    """

    namespace: str
    share: int
    by_pgvector: bool
    answer: SearchAnswer
    ask_other: Callable[[], SearchAnswer]


def overlap(one: Sequence[Hashable], other: Sequence[Hashable]) -> float:
    """The share of the longer list that both have in common; 1 for two that are empty."""
    longer = max(len(one), len(other))
    return len(set(one) & set(other)) / longer if longer else 1.0


def rank_distance(one: Sequence[Hashable], other: Sequence[Hashable]) -> float:
    """How differently two lists are ordered: 0 for the same order, 1 for nothing in common.

    Spearman's footrule for top-k lists: the sum of how far each element's ranks are apart, where
    one that is missing has the rank behind the longer list's last, over the most it can be.

    Source: Fagin, Kumar and Sivakumar, Comparing top k lists, 2003 (F with location parameter).
    """
    ranks = [{key: rank for rank, key in enumerate(each, 1)} for each in (one, other)]
    behind = max(len(one), len(other)) + 1
    apart = sum(
        abs(ranks[0].get(key, behind) - ranks[1].get(key, behind)) for key in {*one, *other}
    )
    most = sum(behind - rank for each in ranks for rank in each.values())
    return apart / most if most else 0.0


class ShadowReads:
    """Asks the other side, and keeps what that shows; safe to call from several threads.

    Args:
        database: written to through its writer.
    """

    def __init__(self, database: Database, capacity: int = CAPACITY) -> None:
        self._database = database
        self._queue: Queue[Shadowed | ShadowRead] = Queue(capacity)
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._closed = threading.Event()
        self._threads: list[threading.Thread] = []
        self._done: list[ShadowRead] = []
        self._flushed_at = time.monotonic()
        self._dropped = 0

    @property
    def dropped(self) -> int:
        """Reads that were not made or not kept, and never will be."""
        return self._dropped

    def compare(self, question: Shadowed | ShadowRead) -> None:
        """Have a question asked of the other side, too, or a read kept that is known already; never
        blocks, never raises."""
        if self._closing.is_set():
            self._drop(1)
            return
        try:
            self._queue.put_nowait(question)
        except Full:
            self._drop(1)
            return
        if len(self._threads) < THREADS:
            self._start()

    def close(self) -> None:
        """Ask and write what waits, for at most `CLOSE_SECONDS`; the rest is dropped."""
        self._closing.set()
        until = time.monotonic() + CLOSE_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        self._closed.set()
        self._flush()
        with suppress(Empty):
            while True:
                self._queue.get_nowait()
                self._drop(1)

    def _start(self) -> None:
        with self._lock:
            if self._closing.is_set() or len(self._threads) >= THREADS:
                return
            thread = threading.Thread(target=self._run, name="shadow-read", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the process ends, or may have no more threads
                return
            self._threads.append(thread)

    def _run(self) -> None:
        while True:
            try:
                question = self._queue.get(timeout=FLUSH_SECONDS / 4)
            except Empty:
                if self._closing.is_set():
                    return
            else:
                read = question if isinstance(question, ShadowRead) else _compared(question)
                if self._closed.is_set():  # what failed may have failed of that
                    self._drop(1)
                    return
                if read is not None:
                    with self._lock:
                        self._done.append(read)
            waited = time.monotonic() - self._flushed_at
            if self._done and (waited > FLUSH_SECONDS or len(self._done) >= BATCH):
                self._flush()

    def _flush(self) -> None:
        with self._lock:
            batch, self._done = self._done, []
            self._flushed_at = time.monotonic()
        if not batch:
            return
        written = 0
        try:
            with self._database.connection() as connection:
                written = weaviate_shadow_reads.write(connection, batch)
        except (GreenLangError, psycopg.Error) as error:
            logger.warning("Searches go on, but shadow reads are not kept: %s", error)
        self._drop(len(batch) - written)

    def _drop(self, count: int) -> None:
        with self._lock:
            self._dropped += count


def _compared(question: Shadowed) -> ShadowRead | None:
    """What both sides' answers show; None where the other cannot be asked such a question."""
    by_pgvector, first_ms = question.by_pgvector, question.answer.search_ms
    read = ShadowRead(
        question.namespace,
        question.share,
        by_pgvector,
        question.answer.mode,
        weaviate_ms=None if by_pgvector else first_ms,
        pgvector_ms=first_ms if by_pgvector else None,
    )
    try:
        answer = question.ask_other()
    except (UsageError, ModelUnavailable, EmbeddingFailed):
        return None
    except Exception as error:  # noqa: BLE001 - whatever a side fails of is what is to be known
        return failed(read, "weaviate" if by_pgvector else "pgvector", error)
    one, other = (
        [(each.document_id, each.chunk_index) for each in found.results[:COMPARED]]
        for found in (question.answer, answer)
    )
    return replace(
        read,
        overlap=overlap(one, other),
        rank_distance=rank_distance(one, other),
        weaviate_ms=answer.search_ms if by_pgvector else first_ms,
        pgvector_ms=first_ms if by_pgvector else answer.search_ms,
    )


def failed(read: ShadowRead, side: Side, error: Exception) -> ShadowRead:
    """The read, in which a side failed."""
    return replace(read, failed=side, error=str(error)[:MAX_ERROR])
