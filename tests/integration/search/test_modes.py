"""What every search keeps to, in each mode and with each option."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any, NoReturn
from uuid import uuid4

import numpy as np
import psycopg
import pytest
from numpy.typing import NDArray

from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.errors import UsageError
from greenlang_vectors.search import nearest
from greenlang_vectors.search.engine import SearchEngine
from greenlang_vectors.search.filters import And, Comparison, Not
from greenlang_vectors.search.log import LoggedSearch
from greenlang_vectors.search.model import Found, SearchRequest
from greenlang_vectors.settings import Settings
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.encryption import administration
from greenlang_vectors.store.endpoints import Limits

from ..conftest import AddDocument
from .library import Library, build, embed, keys, passage

pytestmark = pytest.mark.integration

DOCUMENTS, PLACES = 30, 5


@pytest.fixture(scope="module")
def library(database: Database, toys: Embedders, add_document: AddDocument) -> Library:
    return build(database, toys, add_document, "modes", DOCUMENTS, PLACES)


def test_a_hybrid_hit_has_both_ranks_and_their_fused_score(library: Library) -> None:
    near = keys(library.ask("cement price", 100).results)
    words = keys(library.ask("cement price", 100, mode="text").results)
    answer = library.ask("cement price", 100, mode="hybrid", weights=(2.0, 1.0))
    assert answer.returned == 100
    for result in answer.results:
        [key] = keys([result])
        fused = 0.0
        for rank, ranking, weight in (
            (result.vector_rank, near, 2.0),
            (result.text_rank, words, 1.0),
        ):
            if rank is None:
                assert key not in ranking
            else:
                assert ranking[rank - 1] == key
                fused += weight / (60 + rank)
        assert result.score == pytest.approx(fused)
        assert (result.vector_score is None) == (result.vector_rank is None)
    scores = [result.score for result in answer.results]
    assert scores == sorted(scores, reverse=True)
    assert answer.plan.startswith("vector: ")
    assert "; text: " in answer.plan


def test_a_weight_of_zero_leaves_an_arm_out(library: Library) -> None:
    for weights, mode in (((1.0, 0.0), "vector"), ((0.0, 1.0), "text")):
        only = library.ask("cement price", 20, mode=mode)
        fused = library.ask("cement price", 20, mode="hybrid", weights=weights)
        assert keys(fused.results) == keys(only.results)


def test_scores_of_each_mode(library: Library) -> None:
    vector = library.ask(passage(3, 2), 1).results[0]
    assert (vector.score, vector.vector_score) == (pytest.approx(1, abs=1e-4), vector.score)
    assert (vector.vector_rank, vector.text_rank) == (1, None)
    text = library.ask("cement price", 1, mode="text").results[0]
    assert (text.vector_rank, text.vector_score, text.text_rank) == (None, None, 1)
    assert text.score > 0


def test_a_ready_vector_takes_the_place_of_the_question(library: Library, toys: Embedders) -> None:
    vector = toys.open("toy-16").embed(["cement price"]).vectors[0]
    by_question = library.ask("cement price")
    by_vector = library.ask(None, vector=vector)
    assert by_vector.results == by_question.results
    assert by_vector.embed_ms == 0
    assert library.ask("cement price", mode="hybrid", vector=vector).results == (
        library.ask("cement price", mode="hybrid").results
    )


@pytest.mark.parametrize(
    ("vector", "says"),
    [(np.ones(8, np.float32), "has 8 dimensions"), (np.zeros(16, np.float32), "is zero")],
)
def test_a_vector_that_cannot_be_compared_is_refused(
    library: Library, vector: NDArray[np.float32], says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        library.ask(None, vector=vector)


@pytest.mark.parametrize("mode", ["vector", "text", "hybrid"])
def test_filters_hold_in_every_mode(library: Library, mode: str) -> None:
    kept = And(
        (Comparison("metadata.number", "lt", 20), Not(Comparison("document", "eq", "3.txt")))
    )
    answer = library.ask("cement price in passage", 200, mode=mode, filter=kept)
    found = {result.document for result in answer.results}
    assert found == {f"{number}.txt" for number in range(20) if number != 3}
    assert answer.returned == 19 * PLACES
    assert all(r.metadata == {"number": int(r.document[:-4])} for r in answer.results)


@pytest.mark.parametrize("mode", ["vector", "text", "hybrid"])
def test_no_document_has_more_passages_than_asked(library: Library, mode: str) -> None:
    answer = library.ask("cement price in passage", 40, mode=mode, per_document=2)
    counts = Counter(result.document for result in answer.results)
    assert answer.returned == 40
    assert max(counts.values()) == 2
    everything = library.ask("cement price in passage", 1000, mode=mode, per_document=2)
    assert everything.returned == DOCUMENTS * 2


def test_a_diverse_answer_differs_within(library: Library, toys: Embedders) -> None:
    def likeness(diversity: float | None) -> float:
        results = library.ask("cement price", 8, exact=True, diversity=diversity).results
        vectors = toys.open("toy-16").embed([result.content for result in results]).vectors
        return float(np.triu(vectors @ vectors.T, 1).sum())

    plain = library.ask("cement price", 8, exact=True)
    assert library.ask("cement price", 8, exact=True, diversity=0.0).results == plain.results
    assert likeness(0.7) < likeness(0.3) < likeness(None)


def test_exact_answers_are_equal_and_right(library: Library, toys: Embedders) -> None:
    answers = [library.ask("cement price", 50, exact=True) for _ in range(2)]
    assert answers[0].results == answers[1].results
    embedder = toys.open("toy-16")
    texts = [passage(document, place) for document in range(DOCUMENTS) for place in range(PLACES)]
    similarities = embedder.embed(texts).vectors @ embedder.embed(["cement price"]).vectors[0]
    best = np.sort(similarities)[::-1][:50]
    assert [r.score for r in answers[0].results] == pytest.approx(best.tolist(), abs=1e-5)


def test_passages_of_equal_score_come_in_the_order_of_their_keys(
    database: Database, toys: Embedders, add_document: AddDocument
) -> None:
    twins = build(database, toys, add_document, "twins", 0, 0)
    with database.connect() as connection:
        for number in range(6):
            add_document(connection, "twins", f"{number}", ["cement steel", "cement steel"])

    with database.connect() as connection:
        embed(connection, twins.leaf, toys)
    for way in ({}, {"exact": True}, {"mode": "text"}):
        found = twins.ask("cement steel", 12, **way).results
        places = [(result.document_id, result.chunk_index) for result in found]
        assert len(places) == 12
        assert places == sorted(places)


def test_a_search_needs_no_writer(library: Library, toys: Embedders) -> None:
    class Reading(Database):
        def connection(self) -> NoReturn:
            raise AssertionError("a search asked for the writer")

        connect = connection

    reading = Reading(library.database.url)
    engine = SearchEngine(reading, toys, Settings())
    for mode in ("vector", "text", "hybrid"):
        request = SearchRequest(
            f"never asked before {uuid4()} cement", library.leaf.namespace, mode=mode
        )
        assert engine.search(request).returned > 0
    reading.close()


def test_many_hybrid_searches_over_few_connections_do_not_wait_for_one_another(
    library: Library, toys: Embedders
) -> None:
    few = Database(library.database.url, limits=Limits(pool_size=2, wait_seconds=20))
    engine = SearchEngine(few, toys, Settings())
    wanted = keys(library.ask("cement price", mode="hybrid").results)
    start = threading.Barrier(12)

    def ask(_: int) -> list[tuple[str, int]]:
        start.wait()
        request = SearchRequest("cement price", library.leaf.namespace, mode="hybrid")
        return keys(engine.search(request).results)

    with ThreadPoolExecutor(12) as threads:
        assert list(threads.map(ask, range(12))) == [wanted] * 12
    few.close()


def test_what_vanishes_between_the_arms_and_the_answer_is_replaced(
    database: Database,
    toys: Embedders,
    add_document: AddDocument,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    library = build(database, toys, add_document, "vanishing", 20, 2)
    before = library.ask("cement price", 5, mode="hybrid").results
    search = nearest.nearest

    def then_the_best_go(*arguments: Any, **options: Any) -> Found:  # noqa: ANN401
        found = search(*arguments, **options)
        with database.connect() as connection:
            connection.execute(
                "DELETE FROM documents WHERE namespace = 'vanishing' AND id = ANY(%s)",
                [[result.document_id for result in before]],
            )
        return found

    monkeypatch.setattr(nearest, "nearest", then_the_best_go)
    after = library.ask("cement price", 5, mode="hybrid")
    assert after.returned == 5
    assert not {r.document for r in before} & {r.document for r in after.results}


class Noted:
    """A search log that keeps what is recorded."""

    def __init__(self) -> None:
        self.searches: list[LoggedSearch] = []
        self.record: Callable[[LoggedSearch], None] = self.searches.append


def test_each_search_is_noted_with_who_asked_and_how_it_went(
    library: Library, toys: Embedders
) -> None:
    log = Noted()
    engine = SearchEngine(library.database, toys, Settings(), log)  # type: ignore[arg-type]
    kept = Comparison("metadata.number", "lt", 2)
    answer = engine.search(
        SearchRequest("cement", "modes", 20, filter=kept, threshold=-1.0), user="anna"
    )
    engine.search(SearchRequest("cement", "modes", mode="text"))
    first, second = log.searches
    assert first.query_vector is not None
    assert first.query_vector.shape == (16,)
    noted = asdict(first) | {"query_vector": None, "id": None, "at": None}
    assert noted == {
        "namespace": "modes",
        "collection": "modes/toy-16",
        "mode": "vector",
        "query_text": "cement",
        "query_vector": None,
        "filter": {"field": "metadata.number", "op": "lt", "value": 2},
        "top_k": 20,
        "threshold": -1.0,
        "returned": 2 * PLACES,
        "plan": answer.plan,
        "latency_ms": answer.search_ms,
        "user": "anna",
        "failure": None,
        "id": None,
        "at": None,
    }
    assert (second.mode, second.query_vector, second.user) == ("text", None, None)


def test_an_encrypted_namespace_is_searched_by_vectors_alone(
    database: Database, toys: Embedders, add_document: AddDocument, settings: Settings
) -> None:

    sealed = build(database, toys, add_document, "sealed", 4, 2)
    with database.connect() as connection:
        administration.enable(connection, "sealed", settings, metadata_keys=["number"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GREENLANG_ENCRYPTION_KEY_FILE", str(settings.encryption_key_path))
        from greenlang_vectors.settings import get_settings

        get_settings.cache_clear()
        found = sealed.ask(passage(2, 1), 1).results[0]
        assert (found.content, found.title) == (passage(2, 1), "2.txt")
        assert found.metadata == {"number": 2}
        for mode in ("text", "hybrid"):
            with pytest.raises(UsageError, match="encrypted"):
                sealed.ask("cement", mode=mode)
    get_settings.cache_clear()


def test_a_search_that_fails_fails_with_its_own_error(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> Found:
        raise psycopg.errors.UndefinedTable("gone")

    monkeypatch.setattr(nearest, "nearest", broken)
    with pytest.raises(psycopg.errors.UndefinedTable):
        library.ask()
