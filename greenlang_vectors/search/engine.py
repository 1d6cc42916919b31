"""Questions to one namespace at a time: vectors, words or both, in pages (PRD 8)."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

import psycopg
from psycopg import IsolationLevel

from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.errors import ModelUnavailable, UnknownCollection, UsageError
from greenlang_vectors.search import cursor, ordering, parents, passages
from greenlang_vectors.search.arms import (
    DEEPER,
    Ranking,
    by_vector,
    by_words,
    deepened,
    first_depth,
    fused,
)
from greenlang_vectors.search.cursor import Seen
from greenlang_vectors.search.hits import Hit, Key, eligible
from greenlang_vectors.search.log import SearchLog, answered, failed
from greenlang_vectors.search.model import SearchAnswer, SearchRequest
from greenlang_vectors.search.page import Page
from greenlang_vectors.search.parents import grouped
from greenlang_vectors.search.passages import CollectionChanged, Passage
from greenlang_vectors.search.questions import Asked, Questions
from greenlang_vectors.search.rerank import Reranker, reranker_of
from greenlang_vectors.search.validation import checked
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import collections, namespaces
from greenlang_vectors.store.collections import Collection
from greenlang_vectors.store.database import Database
from greenlang_vectors.tracing import span

T = TypeVar("T")

CHILDREN = 2
"""Passages that are looked for first for each parent of a page."""

TEXT_ARMS = 8
"""Searches for words that run beside their vector searches at once, in one engine."""


class SearchEngine:
    """Answers the questions to any namespace; safe to call from several threads.

    Which collection answers is remembered, and seen in the snapshot of every answer to be still so:
    one asked after a switch has committed is answered by the collection that serves then.

    Args:
        database: only read; no search needs its writer.
        log: where searches are noted; None for nowhere.
    """

    def __init__(
        self,
        database: Database,
        embedders: Embedders,
        settings: Settings,
        log: SearchLog | None = None,
    ) -> None:
        self._database = database
        self._questions = Questions(embedders)
        self._ef_search = settings.index.ef_search
        self._rerank_model = settings.rerank_model
        self._log = log
        self._known: dict[tuple[str, str | None], Collection] = {}
        self._threads = ThreadPoolExecutor(TEXT_ARMS, thread_name_prefix="text-arm")

    def search(self, request: SearchRequest, user: str | None = None) -> SearchAnswer:
        """One page of the passages that answer, best first.

        All of a search by vectors or by words is of one moment. The arms of a hybrid search run
        in parallel on connections of their own; a passage that is gone when it is shown is left
        out, and the next one takes its place.

        Args:
            user: who asks, for the log.

        Raises:
            UsageError: something that cannot be asked; an unknown collection; a question longer
                than the model reads.
            UnknownNamespace: it is not registered.
            ModelUnavailable: the model of the collection, or the re-ranker, is not on this machine.
            DatabaseUnavailable: nobody can be read from.
        """
        began = time.perf_counter()
        try:
            with span("search", namespace=request.namespace, mode=request.mode) as current:
                answer = self._search(request, user)
                current.set_attribute("greenlang.returned", answer.returned)
                return answer
        except UsageError:
            raise
        except Exception as error:
            if self._log is not None:
                self._log.record(failed(request, error, time.perf_counter() - began, user))
            raise

    def _search(self, request: SearchRequest, user: str | None) -> SearchAnswer:
        request = checked(request)
        seen = cursor.decode(request)
        reranker = reranker_of(self._rerank_model) if request.rerank else None
        wanted = request.namespace, request.collection
        known = self._known.get(wanted)
        while True:
            collection = known or self._find(request)
            if collection is None:
                answer = SearchAnswer(
                    results=[],
                    asked=request.top_k,
                    mode=request.mode,
                    collection=None,
                    plan="the namespace holds no embeddings yet",
                    next=None,
                    embed_ms=0.0,
                    search_ms=0.0,
                )
                self._note(request, None, answer, user)
                return answer
            try:
                asked = Asked(request, collection, self._questions)
                answer = self._answer(asked, seen, reranker)
            except psycopg.errors.UndefinedTable:
                unchanged = partial(collections.unchanged, collection=collection)
                if known is None and self._database.read(unchanged, fresh=request.fresh):
                    raise
            except (UsageError, ModelUnavailable):
                if known is None:
                    raise
            except CollectionChanged:
                pass
            else:
                self._known[wanted] = collection
                self._note(request, asked, answer, user)
                return answer
            known = None

    def _find(self, request: SearchRequest) -> Collection | None:
        """The collection that is asked, an error of it naming none of other namespaces."""

        def look_up(connection: psycopg.Connection) -> list[Collection]:
            found = collections.list_all(connection, request.namespace)
            if not found:
                namespaces.get(connection, request.namespace)
            return found

        known = self._database.read(look_up, fresh=request.fresh)
        for each in known:
            if each.serving if request.collection is None else each.name == request.collection:
                return each
        if request.collection is None:
            return None
        raise UnknownCollection(
            f"The namespace {request.namespace!r} has no collection {request.collection!r}.",
            f"It has {', '.join(each.name for each in known) or 'none yet'}.",
        )

    def _answer(self, asked: Asked, seen: Seen, reranker: Reranker | None) -> SearchAnswer:
        request = asked.request
        began = time.perf_counter()
        page_of = self._parents if request.parents else self._passages
        page = page_of(asked, seen, reranker).within(request.max_tokens)
        shown = seen.and_also(page.keys)
        return SearchAnswer(
            results=page.results,
            asked=request.top_k,
            mode=request.mode,
            collection=asked.collection.name,
            plan=page.plan,
            next=cursor.encode(request, shown) if page.more else None,
            embed_ms=asked.embed_seconds * 1000,
            search_ms=(time.perf_counter() - began - asked.embed_seconds) * 1000,
        )

    def _passages(self, asked: Asked, seen: Seen, reranker: Reranker | None) -> Page:
        """The passages of a page."""
        request = asked.request
        plan, hits, found = self._ranked(asked, seen, reranker)
        able = list(islice(eligible(hits, seen, request.per_document), request.top_k + 1))
        page = able[: request.top_k]
        return Page(
            [hit.key for hit in page],
            [found[hit.key].result(hit, rank) for rank, hit in enumerate(page, len(seen) + 1)],
            [found[hit.key].tokens for hit in page],
            len(able) > len(page),
            plan,
        )

    def _parents(self, asked: Asked, seen: Seen, reranker: Reranker | None) -> Page:
        """The parents of a page: passages are searched ever deeper until they are in enough."""
        request = asked.request
        if request.mode != "text":
            asked.make_vector()
        pool = ordering.pool(request)
        depth = CHILDREN * (len(seen) + request.top_k + 1)
        while True:
            depth = -(-depth // pool) * pool
            children = replace(request, top_k=depth, per_document=None)
            plan, hits, found = self._ranked(asked.again(children), Seen(), reranker)
            there = [hit for hit in hits if hit.key in found][:depth]
            groups = list(eligible(grouped(there, found), seen, request.per_document))
            if len(groups) > request.top_k or len(there) < depth:
                break
            depth *= DEEPER
        page = groups[: request.top_k]
        parts = self._read(
            request, lambda connection: parents.load(connection, asked.collection, page)
        )
        ranked = list(enumerate(page, len(seen) + 1))
        results = [parents.result(group, rank, found, parts) for rank, group in ranked]
        return Page(
            [group.key for group in page],
            results,
            [each.parent.tokens for each in results if each.parent is not None],
            len(groups) > len(page),
            f"{plan}; {len(there)} passages in {len(groups) + len(seen)} parents",
        )

    def _ranked(
        self, asked: Asked, seen: Seen, reranker: Reranker | None
    ) -> tuple[str, list[Hit], dict[Key, Passage]]:
        """How hits were found, the hits in order, and the passages of those of the page."""
        request = asked.request
        if request.mode == "hybrid":
            ranking = _deepened(asked, seen, partial(self._both, asked))
            hits, found = self._read(request, partial(_gathered, asked, seen, ranking))
        else:
            if request.mode == "vector":
                asked.make_vector()
            ranking, hits, found = self._read(request, partial(self._one, asked, seen))
        if reranker is None:
            return ranking.plan, hits, found
        hits = ordering.reranked(request.query or "", hits, found, reranker)
        return f"{ranking.plan}; re-ranked by {Path(reranker.name).name}", hits, found

    def _one(
        self, asked: Asked, seen: Seen, connection: psycopg.Connection
    ) -> tuple[Ranking, list[Hit], dict[Key, Passage]]:
        """A search by one arm."""
        arm = self._near if asked.request.mode == "vector" else by_words
        ranking = _deepened(asked, seen, partial(arm, asked, connection))
        return ranking, *_gathered(asked, seen, ranking, connection)

    def _both(self, asked: Asked, depth: int) -> Ranking:
        """Both arms, each on a connection of its own, held no longer than it searches: were one
        held while the other is waited for, searches could wait for one another."""
        words = self._threads.submit(
            self._read, asked.request, lambda connection: by_words(asked, connection, depth)
        )
        asked.make_vector()
        near = self._read(asked.request, lambda connection: self._near(asked, connection, depth))
        return fused(near, words.result(), asked.request.weights)

    def _near(self, asked: Asked, connection: psycopg.Connection, depth: int) -> Ranking:
        return by_vector(asked, connection, depth, ef_search=self._ef_search)

    def _read(self, request: SearchRequest, search: Callable[[psycopg.Connection], T]) -> T:
        """What a search of one moment finds."""

        def look(connection: psycopg.Connection) -> T:
            connection.isolation_level = IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            with connection.transaction():
                return search(connection)

        return self._database.read(look, fresh=request.fresh)

    def _note(
        self, request: SearchRequest, asked: Asked | None, answer: SearchAnswer, user: str | None
    ) -> None:
        if self._log is not None:
            vector = None if asked is None else asked.made_vector
            self._log.record(answered(request, answer, vector, user))


def _deepened(asked: Asked, seen: Seen, rank: Callable[[int], Ranking]) -> Ranking:
    """The ranking at the first depth that fills the page."""
    depth = first_depth(asked.request, seen, ordering.pool(asked.request))
    return deepened(rank, depth, asked.request, seen)


def _gathered(
    asked: Asked, seen: Seen, ranking: Ranking, connection: psycopg.Connection
) -> tuple[list[Hit], dict[Key, Passage]]:
    """The hits as they are shown, and the passages of those that the page may hold.

    Hits whose passages are gone are left out; their places go to those that follow.
    """
    request, hits = asked.request, ranking.hits
    if request.diversity is not None:
        hits = ordering.diversified(connection, asked, hits, request.diversity)
    while True:
        if request.rerank:
            wanted = ordering.to_rerank(hits, seen, request)
        else:
            wanted = list(islice(eligible(hits, seen, request.per_document), request.top_k))
        found = passages.load(connection, asked.collection, [hit.key for hit in wanted])
        if len(found) == len(wanted):
            return hits, found
        gone = {hit.key for hit in wanted} - found.keys()
        hits = [hit for hit in hits if hit.key not in gone]
