"""Pages: put together they are one search, and none repeats another, whatever happens between."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.errors import UsageError
from greenlang_vectors.search.filters import Comparison
from greenlang_vectors.search.model import Mode
from greenlang_vectors.store.database import Database

from ..conftest import AddDocument
from .library import Library, build, embed, keys

pytestmark = pytest.mark.integration

DOCUMENTS, PLACES = 150, 8
EVEN = Comparison("metadata.number", "lt", 40)

WAYS: dict[str, dict[str, Any]] = {
    "vector": {},
    "exact": {"exact": True},
    "text": {"mode": "text"},
    "hybrid": {"mode": "hybrid"},
    "filtered": {"filter": EVEN},
    "filtered exactly": {"filter": EVEN, "exact": True},
    "filtered text": {"mode": "text", "filter": EVEN},
    "filtered hybrid": {"mode": "hybrid", "filter": EVEN},
    "threshold": {"threshold": 0.1},
    "by document": {"per_document": 1},
    "exactly by document": {"per_document": 1, "exact": True},
    "hybrid by document": {"mode": "hybrid", "per_document": 2},
    "diverse": {"diversity": 0.5},
    "diverse hybrid": {"mode": "hybrid", "diversity": 0.3},
    "diverse text by document": {"mode": "text", "diversity": 0.3, "per_document": 1},
}


@pytest.fixture(scope="module")
def library(database: Database, toys: Embedders, add_document: AddDocument) -> Library:
    return build(database, toys, add_document, "library", DOCUMENTS, PLACES)


@pytest.mark.parametrize(
    "way", [pytest.param(way, id=name) for name, way in WAYS.items() if name != "by document"]
)
@pytest.mark.parametrize("size", [7, 30])
def test_pages_put_together_are_one_search(
    library: Library, way: dict[str, Any], size: int
) -> None:
    """As far as an approximate index looks at once (ef_search is 40 here): where pages go on
    beyond, deeper searches find passages that the earlier ones missed, and they come late."""
    exactly = way.get("exact") or way.get("mode", "vector") != "vector" or "diversity" in way
    whole = library.ask(top_k=90 if exactly else 38, **way)
    pages, after = [], None
    while len(pages) < whole.returned:
        answer = library.ask(top_k=size, after=after, **way)
        pages += answer.results
        after = answer.next
        if after is None:
            break
    pages = pages[: whole.returned]
    assert keys(pages) == keys(whole.results)
    assert [result.rank for result in pages] == list(range(1, whole.returned + 1))
    assert [result.score for result in pages] == [result.score for result in whole.results]


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_the_last_page_ends_and_all_of_them_hold_every_passage_once(
    library: Library, way: dict[str, Any]
) -> None:
    way = way | {"filter": EVEN}
    found = keys(library.pages("cement price", 60, **way))
    assert len(set(found)) == len(found)
    whole = keys(library.ask(top_k=1000, **way).results)
    assert len(found) == len(whole)
    if "per_document" not in way:
        assert set(found) == set(whole)
    if way.get("mode") != "text" and not {"per_document", "threshold"} & way.keys():
        assert len(found) == 40 * PLACES
    if "per_document" in way:
        assert max(Counter(document for document, _ in found).values()) <= way["per_document"]


@pytest.mark.parametrize("mode", ["vector", "text", "hybrid"])
def test_what_is_written_between_two_pages_makes_none_repeat_a_passage(
    database: Database, toys: Embedders, add_document: AddDocument, mode: Mode
) -> None:
    changing = build(database, toys, add_document, f"changing-{mode}", 12, 5)
    question = "cement price forest"
    found: list[str] = []
    after = None
    for number in range(8):
        answer = changing.ask(question, 6, mode=mode, after=after)
        found += [result.content for result in answer.results]
        after = answer.next
        assert after is not None
        with database.connect() as connection:
            text = f"{question} {number}"
            add_document(connection, changing.leaf.namespace, f"new{number}", [text, question])
            embed(connection, changing.leaf, toys)
    assert len(found) == 48
    assert len(set(found) - {question}) == len(found) - found.count(question)


def test_a_cursor_serves_its_own_search_only(library: Library) -> None:
    cursor = library.ask("cement price", 5).next
    assert cursor is not None
    assert library.ask("cement price", 9, after=cursor).results[0].rank == 6
    for other in (
        {"query": "cement"},
        {"query": "cement price", "mode": "hybrid"},
        {"query": "cement price", "exact": True},
        {"query": "cement price", "filter": EVEN},
        {"query": "cement price", "threshold": 0.5},
        {"query": "cement price", "after": cursor[:-4] + "AAAA"},
        {"query": "cement price", "after": "nonsense!"},
        {"query": "cement price", "after": ""},
    ):
        with pytest.raises(UsageError, match="`after` is not the cursor"):
            library.ask(**{"top_k": 5, "after": cursor} | other)


def test_there_is_no_next_page_where_nothing_is_left(library: Library) -> None:
    few = Comparison("metadata.number", "eq", 3)
    assert library.ask(top_k=PLACES, filter=few).next is None
    first = library.ask(top_k=PLACES - 1, filter=few)
    last = library.ask(top_k=PLACES - 1, filter=few, after=first.next)
    assert (last.returned, last.next) == (1, None)
