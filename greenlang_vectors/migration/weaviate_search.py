"""Searches of one namespace as Weaviate answers them, with pgvector's ids (PRD 13.1, phase 1).

Vectors by `near_vector`, words by BM25 in the passages' text, both by Weaviate's hybrid search with
ranks fused, as here. Pages, threshold and the bound on passages of a document are kept.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from greenlang_vectors.migration.asking import Condition, Found
from greenlang_vectors.migration.mapping import Mapper
from greenlang_vectors.migration.peer import MOST_RESULTS, Peer
from greenlang_vectors.migration.plan import Plan, VectorMapping
from greenlang_vectors.migration.schema import CollectionInfo
from greenlang_vectors.migration.unfit import METRICS
from greenlang_vectors.migration.weaviate_answers import Answers
from greenlang_vectors.migration.weaviate_filters import NotSayable, Translator
from greenlang_vectors.search import cursor, words
from greenlang_vectors.search.arms import Ranking, deepened, first_depth
from greenlang_vectors.search.hits import Hit, Key, eligible, score
from greenlang_vectors.search.model import SearchAnswer, SearchRequest
from greenlang_vectors.search.questions import Asked, Questions
from greenlang_vectors.search.validation import checked
from greenlang_vectors.store import collections, weaviate_passages
from greenlang_vectors.store.collections import Collection
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.index_settings import Metric


@dataclass(frozen=True, slots=True, eq=False)
class Searched:
    """What of Weaviate is searched for a namespace.

    Attributes:
        tenants: searched one after the other.
        collections: the store's, in the order of the plan's vectors.
        mapper: maps objects without their vectors, which are not asked for.
        database: tells where the passages of objects stand; while it is down, the objects
            themselves do.
    """

    peer: Peer
    plan: Plan
    info: CollectionInfo
    tenants: Sequence[str]
    collections: Sequence[Collection]
    mapper: Mapper
    questions: Questions
    database: Database


class Answered(NamedTuple):
    """An answer, and the vector that was searched with; None in a search by words."""

    answer: SearchAnswer
    vector: NDArray[np.float32] | None


def open_search(
    peer: Peer, plan: Plan, namespace: str, questions: Questions, database: Database
) -> Searched:
    """What is searched for a namespace, by the schema and the tenants that Weaviate has now.

    Raises:
        UsageError: Weaviate has no such collection.
        WeaviateUnavailable, WeaviateRefused: it gives no answer.
        UnknownCollection, DatabaseUnavailable: of the store's collections.
    """
    info = peer.describe(plan.collection)
    tenants = [
        each
        for each in peer.tenants(plan.collection)
        if plan.tenants is None or each in plan.tenants
    ]
    with database.reading() as connection:
        found = [collections.get(connection, f"{namespace}/{each.model}") for each in plan.vectors]
    mapper = Mapper(plan.model_copy(update={"vectors": ()}), namespace, info)
    return Searched(peer, plan, info, tenants, found, mapper, questions, database)


def search(searched: Searched, request: SearchRequest) -> Answered:
    """One page of the passages that answer, best first.

    Raises:
        NotSayable: Weaviate cannot be asked this as pgvector can.
        UsageError, ModelUnavailable: as of `SearchEngine.search`.
        WeaviateUnavailable, WeaviateRefused: it gives no answer.
        DatabaseUnavailable: a filter compares documents by their ids, which are known there.
    """
    began = time.perf_counter()
    request = checked(request)
    seen = cursor.decode(request)
    one = _Search(searched, request)
    if request.mode != "text":
        one.asked.make_vector()
    ranking = deepened(one.ranked, first_depth(request, seen, 1), request, seen)
    able = list(islice(eligible(ranking.hits, seen, request.per_document), request.top_k + 1))
    page = able[: request.top_k]
    shown = seen.and_also(hit.key for hit in page)
    embed_seconds = one.asked.embed_seconds
    answer = SearchAnswer(
        results=[
            one.answers.passages[hit.key].result(hit, rank)
            for rank, hit in enumerate(page, len(seen) + 1)
        ],
        asked=request.top_k,
        mode=request.mode,
        collection=one.asked.collection.name,
        plan=ranking.plan,
        next=cursor.encode(request, shown) if len(able) > len(page) else None,
        embed_ms=embed_seconds * 1000,
        search_ms=(time.perf_counter() - began - embed_seconds) * 1000,
    )
    return Answered(answer, one.asked.made_vector)


class _Search:
    """One search.

    Attributes:
        answers: the passages that were found.
    """

    def __init__(self, searched: Searched, request: SearchRequest) -> None:
        _check(request, searched.plan)
        self._searched = searched
        self._request = request
        collection, mapped = _target(searched, request)
        self._name = mapped.name
        self._metric = _metric(searched.info, mapped)
        self.asked = Asked(request, collection, searched.questions)
        self._words = _words(request)
        self._conditions = list(self._filtered())
        self.answers = Answers(
            searched.mapper, searched.collections[0].leaf, collection.leaf, searched.database
        )

    def ranked(self, depth: int) -> Ranking:
        """The best hits, so many of each tenant."""
        depth = min(depth, MOST_RESULTS)
        complete = True
        likely: dict[Key, float] = {}
        for tenant, condition in self._conditions:
            found = self._ask(tenant, condition, depth)
            complete = complete and (len(found) < depth or depth == MOST_RESULTS)
            for key, each in self.answers.carried(tenant, found):
                likely.setdefault(key, self._likeness(each))
        ordered = sorted(likely.items(), key=lambda each: -each[1])
        hits = [self._hit(key, likeness, rank) for rank, (key, likeness) in enumerate(ordered, 1)]
        least = self._request.threshold
        kept = [hit for hit in hits if least is None or hit.score >= least]
        return Ranking(kept, self._plan(), complete or len(kept) < len(hits))

    def _filtered(self) -> Iterator[tuple[str, Condition | None]]:
        """The tenants in which the filter lets anything through, and how it is said there."""
        searched, request = self._searched, self._request
        for tenant in searched.tenants:
            if request.filter is None:
                yield tenant, None
                continue
            translator = Translator(
                searched.plan, searched.info, tenant, searched.mapper.property_of, self._objects_of
            )
            said = translator.translated(request.filter)
            if said is not False:
                yield tenant, None if said is True else said

    def _objects_of(self, documents: Sequence[UUID]) -> list[UUID]:
        first = self._searched.collections[0].leaf
        with self._searched.database.reading() as connection:
            return weaviate_passages.objects_of(connection, first, documents)

    def _ask(self, tenant: str, condition: Condition | None, depth: int) -> list[Found]:
        searched, mode = self._searched, self._request.mode
        if mode == "text" and not self._words:
            return []
        by_words = mode != "vector"
        return searched.peer.find(
            searched.plan.collection,
            tenant,
            depth,
            near=None if mode == "text" else self.asked.vector,
            near_name=None if mode == "text" else self._name,
            words=(self._words or self._request.query or "") if by_words else None,
            searched=[searched.plan.content] if by_words else (),
            alpha=_alpha(self._request) if mode == "hybrid" else None,
            properties=searched.mapper.properties,
            filter=condition,
        )

    def _likeness(self, found: Found) -> float:
        if self._request.mode == "vector":
            return score(self._metric, _distance(self._metric, found.distance))
        return found.score

    def _hit(self, key: Key, likeness: float, rank: int) -> Hit:
        match self._request.mode:
            case "vector":
                return Hit(key, likeness, vector_rank=rank, vector_score=likeness)
            case "text":
                return Hit(key, likeness, text_rank=rank)
        return Hit(key, likeness)

    def _plan(self) -> str:
        request = self._request
        said = {
            "vector": "near_vector",
            "text": "bm25",
            "hybrid": f"hybrid, alpha {_alpha(request):.2f}, ranks fused",
        }[request.mode]
        many = len(self._conditions)
        tenants = f"; {many} tenants, one after the other" if many > 1 else ""
        return f"Weaviate, {said}{tenants}{self.answers.unplaced}"


def _check(request: SearchRequest, plan: Plan) -> None:
    for asked, why in (
        (request.exact, "has no exact search"),
        (request.diversity is not None, "orders by no diversity"),
        (request.rerank, "does not re-rank"),
        (request.parents, "knows no parents of passages"),
        (request.max_tokens is not None, "counts no tokens"),
        (
            request.fresh and plan.primary == "pgvector",
            "is written to after pgvector, so it has not what was written a moment ago",
        ),
    ):
        if asked:
            raise NotSayable(f"Weaviate {why}.", "Ask without it.")


def _target(searched: Searched, request: SearchRequest) -> tuple[Collection, VectorMapping]:
    """The collection that is asked, and which vector of Weaviate's objects it holds."""
    if request.collection is None:
        return searched.collections[0], searched.plan.vectors[0]
    for collection, mapped in zip(searched.collections, searched.plan.vectors, strict=True):
        if collection.name == request.collection:
            return collection, mapped
    raise NotSayable(f"Weaviate has no vectors of {request.collection}.", "Leave it out.")


def _metric(info: CollectionInfo, mapped: VectorMapping) -> Metric:
    distance = info.metrics[mapped.name]
    if distance not in METRICS:
        raise NotSayable(f"pgvector knows no score for Weaviate's distance {distance}.")
    return METRICS[distance]


def _distance(metric: Metric, distance: float) -> float:
    """Weaviate's distance as pgvector has it: Weaviate leaves Euclidean ones squared."""
    return math.sqrt(max(distance, 0.0)) if metric == "l2" else distance


def _words(request: SearchRequest) -> str:
    """The words to look for; none in a search by vectors."""
    if request.mode == "vector":
        return ""
    read = words.read(request.query or "")
    if read.required:
        raise NotSayable(
            "Weaviate's BM25 knows no phrases and no exclusions.",
            "Ask without quotes, and without a dash before a word.",
        )
    return read.wanted


def _alpha(request: SearchRequest) -> float:
    by_vector, by_words = request.weights
    return by_vector / (by_vector + by_words)
