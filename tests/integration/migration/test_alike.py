"""Both sides answer alike what they both hold: vectors, words, both; filters; pages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from greenlang_vectors.migration.router import MigratingSearch
from greenlang_vectors.search.filters import parse

from .both_sides import NAMESPACE, WORDS, Both, ask, keys, shown, side

pytestmark = pytest.mark.integration

QUESTIONS = [f"{one} {other}" for one, other in pairwise(WORDS[::2])]


@pytest.fixture(scope="module")
def both(built: Both) -> Both:
    """Its callers are still answered by Weaviate, all of them and in every test here."""
    built.become()
    return built


@pytest.fixture(scope="module")
def router(both: Both) -> Iterator[MigratingSearch]:
    with both.router() as router:
        yield router


@pytest.mark.parametrize("question", QUESTIONS)
def test_both_sides_answer_a_question_alike(
    both: Both, router: MigratingSearch, question: str
) -> None:
    scores = [each.score for each in both.engine.search(ask(question)).results]
    between = (scores[4] + scores[5]) / 2
    assert router.search(ask(question, threshold=between)).returned == 5
    for request in (
        ask(question),
        ask(question, threshold=between),
        ask(question, per_document=1),
        ask(question, collection=f"{NAMESPACE}/toy-16"),
        ask(question, filter=parse({"field": "document", "op": "like", "value": "own/%"})),
    ):
        here, there = both.engine.search(request), router.search(request)
        assert (side(there), side(here)) == ("weaviate", "pgvector")
        assert shown(there) == shown(here)
        assert [each.score for each in there.results] == pytest.approx(
            [each.score for each in here.results], abs=1e-5
        )
        assert (there.collection, there.mode, there.asked) == (here.collection, "vector", 10)


def test_a_ready_vector_is_searched_with(both: Both, router: MigratingSearch) -> None:
    [vector] = both.embedders.open("toy-16").embed(["anything"]).vectors
    request = ask(None, vector=vector)
    assert shown(router.search(request)) == shown(both.engine.search(request))


@pytest.mark.parametrize("question", QUESTIONS)
def test_both_sides_find_the_same_words(both: Both, router: MigratingSearch, question: str) -> None:
    request = ask(question, mode="text", top_k=100)
    here, there = both.engine.search(request), router.search(request)
    assert side(there) == "weaviate"
    assert sorted(keys(there)) == sorted(keys(here))
    assert [each.text_rank for each in there.results] == list(range(1, there.returned + 1))


@pytest.mark.parametrize("question", QUESTIONS)
def test_both_sides_fuse_the_same_rankings(
    both: Both, router: MigratingSearch, question: str
) -> None:
    for weights in ((1.0, 1.0), (1.0, 0.0), (0.0, 1.0)):
        request = ask(question, mode="hybrid", top_k=100, weights=weights)
        here, there = both.engine.search(request), router.search(request)
        assert side(there) == "weaviate"
        assert sorted(keys(there)) == sorted(keys(here))


@pytest.mark.parametrize("mode", ["text", "hybrid"])
def test_a_question_without_words_is_answered_alike(
    both: Both, router: MigratingSearch, mode: str
) -> None:
    request = ask("?!", mode=mode)
    there = router.search(request)
    assert side(there) == "weaviate"
    assert sorted(keys(there)) == sorted(keys(both.engine.search(request)))


def test_pages_hold_every_passage_once(both: Both, router: MigratingSearch) -> None:
    for more in ({}, {"per_document": 1}, {"mode": "text"}):
        request = ask("carbon audit", top_k=7, **more)
        pages: list[tuple[str, int]] = []
        answer = router.search(request)
        while True:
            pages += keys(answer)
            if answer.next is None:
                break
            assert [each.rank for each in answer.results][-1] == len(pages)
            answer = router.search(replace(request, after=answer.next))
        whole = both.engine.search(replace(request, top_k=1000))
        assert len(pages) == len(set(pages)) == whole.returned
        assert more or pages == keys(whole)


FILTERS: list[Any] = [
    {"field": "metadata.topic", "op": "eq", "value": "emissions"},
    {"field": "metadata.topic", "op": "ne", "value": "emissions"},
    {"field": "metadata.topic", "op": "in", "value": ["emissions", "Due diligence", "x"]},
    {"field": "metadata.topic", "op": "nin", "value": ["emissions", "x"]},
    {"field": "metadata.topic", "op": "like", "value": "D_e dil%"},
    {"field": "metadata.topic", "op": "like", "value": "a\\_b\\%c"},
    {"field": "metadata.topic", "op": "exists", "value": False},
    {"field": "metadata.year", "op": "gte", "value": 2020},
    {"field": "metadata.year", "op": "lt", "value": 2017.5},
    {"field": "metadata.year", "op": "eq", "value": "2020"},
    {"field": "metadata.share", "op": "gt", "value": 1},
    {"field": "metadata.binding", "op": "eq", "value": True},
    {"field": "metadata.published", "op": "lte", "value": "2020-06-01T00:00:00Z"},
    {"field": "metadata.tags", "op": "contains", "value": "cocoa"},
    {"field": "metadata.tags", "op": "contains", "value": ["cocoa", "forest"]},
    {"field": "metadata.tags", "op": "eq", "value": "cocoa"},
    {"field": "document", "op": "in", "value": ["doc/3", "doc/4", "own/1"]},
    {"field": "document", "op": "like", "value": "doc/1%"},
    {"field": "document", "op": "ne", "value": "doc/3"},
    {"field": "source_type", "op": "eq", "value": "document"},
    {"field": "source_type", "op": "ne", "value": "document"},
    {"not": {"field": "metadata.year", "op": "gt", "value": 2020}},
    {
        "or": [
            {"field": "metadata.year", "op": "eq", "value": 2016},
            {
                "and": [
                    {"field": "metadata.binding", "op": "eq", "value": False},
                    {"not": {"field": "metadata.topic", "op": "eq", "value": "emissions"}},
                ]
            },
        ]
    },
]


@pytest.mark.parametrize("filter_", FILTERS, ids=str)
def test_both_sides_filter_alike(both: Both, router: MigratingSearch, filter_: Any) -> None:  # noqa: ANN401
    for mode in ("vector", "text"):
        request = ask("soil audit", mode=mode, top_k=200, filter=parse(filter_))
        there = router.search(request)
        assert side(there) == "weaviate"
        assert sorted(keys(there)) == sorted(keys(both.engine.search(request)))


def test_documents_are_filtered_by_their_ids(both: Both, router: MigratingSearch) -> None:
    found = both.engine.search(ask(top_k=1000)).results
    wanted = [
        str(next(each.document_id for each in found if each.document == name))
        for name in ("doc/5", "own/2")
    ]
    for op in ("in", "nin"):
        filter_ = parse({"field": "source_id", "op": op, "value": wanted})
        request = ask(top_k=200, filter=filter_)
        there = router.search(request)
        assert side(there) == "weaviate"
        assert sorted(keys(there)) == sorted(keys(both.engine.search(request)))
        assert {name for name, _ in keys(there)} >= {"doc/5", "own/2"} or op == "nin"
