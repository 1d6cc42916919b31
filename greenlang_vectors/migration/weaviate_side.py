"""Weaviate as searches reach it: connected when it is first needed, left alone while it is down."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Executor
from functools import partial

from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.errors import DatabaseUnavailable, GreenLangError
from greenlang_vectors.migration import weaviate_search
from greenlang_vectors.migration.moves import Move
from greenlang_vectors.migration.peer import Peer, WeaviateRefused, WeaviateUnavailable, open_peer
from greenlang_vectors.migration.plan import Plan
from greenlang_vectors.migration.remembered import Remembered
from greenlang_vectors.migration.weaviate_search import Answered, Searched
from greenlang_vectors.search.model import SearchRequest
from greenlang_vectors.search.questions import Questions
from greenlang_vectors.settings import Settings
from greenlang_vectors.store.database import Database

SCHEMA_SECONDS = 30.0
"""How old what is known of schema and tenants may be."""

DOWN_SECONDS = 1.0
"""How long nobody asks again after there was no answer."""


class WeaviateSide:
    """Answers the searches of any namespace that is moving; safe to call from several threads.

    Args:
        executor: looks up schema and tenants beside the searches.
    """

    def __init__(
        self, database: Database, embedders: Embedders, settings: Settings, executor: Executor
    ) -> None:
        self._database = database
        self._questions = Questions(embedders)
        self._settings = settings
        self._executor = executor
        self._lock = threading.Lock()
        self._peer: Peer | None = None
        self._searched: dict[str, tuple[Plan, Remembered[Searched]]] = {}
        self._down: WeaviateUnavailable | None = None
        self._down_until = 0.0

    def search(self, move: Move, request: SearchRequest) -> Answered:
        """One page of the passages that answer; raises as `weaviate_search.search`, and

        Raises:
            WeaviateUnavailable: it cannot be reached, or could not be a moment ago; its client is
                not installed; it has no such collection.
        """
        down = self._down
        if down is not None and time.monotonic() < self._down_until:
            raise WeaviateUnavailable(down.message, down.remedy, passing=down.passing)
        try:
            return weaviate_search.search(self._remembered(move).get(), request)
        except WeaviateUnavailable as error:
            self._down, self._down_until = error, time.monotonic() + DOWN_SECONDS
            raise

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            if self._peer is not None:
                self._peer.close()
            self._peer = None

    def _remembered(self, move: Move) -> Remembered[Searched]:
        with self._lock:
            plan, known = self._searched.get(move.namespace, (None, None))
            if known is None or plan != move.plan:
                open_ = partial(self._open, move)
                known = Remembered(open_, self._executor, fresh=SCHEMA_SECONDS, stale=float("inf"))
                self._searched[move.namespace] = move.plan, known
            return known

    def _open(self, move: Move) -> Searched:
        """What is searched of a namespace; that it cannot be is no mistake of a caller."""
        try:
            return weaviate_search.open_search(
                self._connected(), move.plan, move.namespace, self._questions, self._database
            )
        except (WeaviateUnavailable, WeaviateRefused, DatabaseUnavailable):
            raise
        except GreenLangError as error:
            raise WeaviateUnavailable(error.message, error.remedy) from error

    def _connected(self) -> Peer:
        with self._lock:
            if self._peer is None:
                self._peer = open_peer(self._settings)
            return self._peer
