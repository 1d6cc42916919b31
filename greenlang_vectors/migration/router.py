"""Searches while namespaces are moving: each caller on his side, the other asked beside him."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import psycopg

from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.errors import DatabaseUnavailable, GreenLangError
from greenlang_vectors.migration import moves, shadow
from greenlang_vectors.migration.callers import reads_pgvector
from greenlang_vectors.migration.moves import Move
from greenlang_vectors.migration.peer import WeaviateRefused, WeaviateUnavailable
from greenlang_vectors.migration.remembered import Remembered
from greenlang_vectors.migration.shadow import Shadowed, ShadowReads
from greenlang_vectors.migration.weaviate_filters import NotSayable
from greenlang_vectors.migration.weaviate_side import WeaviateSide
from greenlang_vectors.search.engine import SearchEngine
from greenlang_vectors.search.log import SearchLog, answered
from greenlang_vectors.search.model import SearchAnswer, SearchRequest
from greenlang_vectors.settings import Settings
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.weaviate_shadow_reads import ShadowRead, Side

FRESH_SECONDS = 1.0
"""How old what is known of moves may be; and where nobody searches for a while, at most:"""
STALE_SECONDS = 5.0


class MigratingSearch:
    """`SearchEngine.search` for every namespace, moving or not; safe to call from several threads.

    A search of a namespace that does not move costs one look into a dict. Of one that moves, the
    share of callers decides who answers (`callers.reads_pgvector`). Where Weaviate is to, and gives
    no answer or cannot be asked so, pgvector answers if both sides were found to hold the same, and
    the answer's `plan` says it; else that is an error.

    Args:
        engine: pgvector.
        log: where searches that Weaviate answered are noted; None for nowhere.
    """

    def __init__(
        self,
        engine: SearchEngine,
        database: Database,
        embedders: Embedders,
        settings: Settings,
        log: SearchLog | None = None,
    ) -> None:
        self._engine = engine
        self._log = log
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="moves")
        self._moves = Remembered(
            lambda: database.read(moves.under_way),
            self._beside,
            fresh=FRESH_SECONDS,
            stale=STALE_SECONDS,
        )
        self._weaviate = WeaviateSide(database, embedders, settings, self._beside)
        self._shadows = ShadowReads(database)
        # Shadow reads are no searches that anybody asked: they are not logged.
        self._shadow_engine = SearchEngine(database, embedders, settings)

    @property
    def shadow_reads_dropped(self) -> int:
        """Shadow reads that were not made or not kept."""
        return self._shadows.dropped

    def search(self, request: SearchRequest, user: str | None = None) -> SearchAnswer:
        """One page of the passages that answer, best first (see `SearchEngine.search`).

        Args:
            user: who asks: he is on one side or the other, and in the log.

        Raises:
            UsageError, UnknownNamespace, ModelUnavailable: as of `SearchEngine.search`; and of a
                search that only Weaviate could answer, and cannot.
            GreenLangError: the plan of the namespace's move cannot be read.
            DatabaseUnavailable: whoever is to answer gives no answer.
        """
        move = self._moves.get().get(request.namespace)
        if move is None:
            return self._engine.search(request, user)
        if isinstance(move, GreenLangError):
            raise move.with_traceback(None)
        if request.collection is None:
            request = replace(request, collection=move.collection)
        if reads_pgvector(move.namespace, user, move.share):
            return self._by_pgvector(move, request, user)
        return self._by_weaviate(move, request, user)

    def close(self) -> None:
        """Write what shadow reads are left, and close the connection to Weaviate."""
        self._shadows.close()
        self._beside.shutdown()
        self._weaviate.close()

    def _by_pgvector(self, move: Move, request: SearchRequest, user: str | None) -> SearchAnswer:
        try:
            answer = self._engine.search(request, user)
        except (DatabaseUnavailable, psycopg.Error) as error:
            self._note_failure(move, request, "pgvector", error)
            raise
        self._compare(
            move, request, answer, True, lambda: self._weaviate.search(move, request).answer
        )
        return answer

    def _by_weaviate(self, move: Move, request: SearchRequest, user: str | None) -> SearchAnswer:
        try:
            answer, vector = self._weaviate.search(move, request)
        except NotSayable as error:
            return self._instead(move, request, user, error)
        except (WeaviateUnavailable, WeaviateRefused) as error:
            self._note_failure(move, request, "weaviate", error)
            return self._instead(move, request, user, error)
        if self._log is not None:
            self._log.record(answered(request, answer, vector, user))
        asked = request if vector is None else replace(request, vector=vector)
        self._compare(move, request, answer, False, partial(self._shadow_engine.search, asked))
        return answer

    def _instead(
        self, move: Move, request: SearchRequest, user: str | None, why: GreenLangError
    ) -> SearchAnswer:
        """What pgvector answers in Weaviate's place.

        Raises:
            NotSayable, DatabaseUnavailable: it may not hold all of it.
        """
        if move.complete:
            answer = self._engine.search(request, user)
            return replace(answer, plan=f"{answer.plan}; pgvector instead: {why.message}")
        remedy = "Until the backfill is done and verified, only Weaviate can answer."
        if isinstance(why, NotSayable):
            raise NotSayable(why.message, f"{why.remedy} {remedy}".strip()) from why
        raise DatabaseUnavailable(why.message, remedy) from why

    def _compare(
        self,
        move: Move,
        request: SearchRequest,
        answer: SearchAnswer,
        by_pgvector: bool,
        ask_other: Callable[[], SearchAnswer],
    ) -> None:
        """Have the other side asked, too; of first pages, because later ones follow from them."""
        if move.compared and request.after is None:
            self._shadows.compare(
                Shadowed(move.namespace, move.share, by_pgvector, answer, ask_other)
            )

    def _note_failure(
        self, move: Move, request: SearchRequest, side: Side, error: Exception
    ) -> None:
        if move.compared:
            read = ShadowRead(move.namespace, move.share, side == "pgvector", request.mode)
            self._shadows.compare(shadow.failed(read, side, error))
