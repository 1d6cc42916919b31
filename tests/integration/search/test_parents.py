"""Passages are searched and their parents are shown: each once, with all that was found in it."""

from __future__ import annotations

from collections import Counter
from typing import Any
from unittest.mock import patch
from uuid import UUID

import numpy as np
import pytest

from greenlang_vectors.chunking.model import Chunk, content_hash
from greenlang_vectors.documents.model import ExtractedDocument
from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.errors import UsageError
from greenlang_vectors.search import parents
from greenlang_vectors.search.engine import SearchEngine
from greenlang_vectors.search.filters import Comparison
from greenlang_vectors.search.model import SearchResult
from greenlang_vectors.settings import Settings, get_settings
from greenlang_vectors.store import chunks, documents, namespaces
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.encryption import administration

from ..conftest import AddDocument
from .library import Library, build, embed, keys, passage

pytestmark = pytest.mark.integration

Texts = dict[UUID, str]

WAYS: dict[str, dict[str, Any]] = {
    "exact": {"exact": True},
    "text": {"mode": "text"},
    "hybrid": {"mode": "hybrid", "exact": True},
    "filtered": {"filter": Comparison("document", "like", "%1.txt"), "exact": True},
    "threshold": {"threshold": 0.0, "exact": True},
    "diverse": {"diversity": 0.4},
}


def hierarchy(sections: list[list[str]]) -> tuple[str, list[Chunk]]:
    """The text of these sections, and its chunks: a parent each, with a child a passage."""
    text, made = "", []
    for number, section in enumerate(sections):
        text += "\n\n" if text else ""
        parent, start = len(made), len(text)
        content = " ".join(section)
        page = (number + 1, number + 1, ("Report", f"Section {number}"))
        tokens = len(content.split()) + 2
        made.append(Chunk(parent, start, start + len(content), content, tokens, *page, level=1))
        for each in section:
            at = start + content.index(each)
            tokens = len(each.split()) + 2
            made.append(
                Chunk(len(made), at, at + len(each), each, tokens, *page, parent_index=parent)
            )
        text += content
    return text, made


def family(
    database: Database, toys: Embedders, namespace: str, count: int
) -> tuple[Library, Texts]:
    """Documents of four sections of one to six passages."""
    texts: Texts = {}
    with database.connect() as connection:
        namespaces.register(connection, namespace)
        [collection] = toys.collections(connection, namespace)
        for number in range(count):
            sizes = np.random.default_rng(number).integers(1, 7, 4)
            text, cut = hierarchy(
                [[passage(number, 10 * s + n) for n in range(size)] for s, size in enumerate(sizes)]
            )
            identity = documents.save(
                connection,
                namespace,
                f"{number}.txt",
                ExtractedDocument(text, title=f"{number}.txt", media_type="text/plain"),
                file_hash=content_hash(text),
                size_bytes=len(text),
                extraction_version="1",
            )
            chunks.replace(
                connection,
                namespace,
                identity,
                cut,
                text_hash=content_hash(text),
                fingerprint="cut",
                cache_seconds=3600,
            )
            texts[identity] = text
        embed(connection, collection.leaf, toys)
    return Library(database, SearchEngine(database, toys, Settings()), collection.leaf), texts


@pytest.fixture(scope="module")
def families(database: Database, toys: Embedders) -> tuple[Library, Texts]:
    return family(database, toys, "families", 14)


@pytest.fixture(scope="module")
def flat(database: Database, toys: Embedders, add_document: AddDocument) -> Library:
    return build(database, toys, add_document, "flat", 14, 9)


def best_by_parent(library: Library, way: dict[str, Any]) -> list[SearchResult]:
    """The best passage of each parent in a search for passages.

    Ranks of a hybrid search are fused of the 100 best of each arm, or of more on deeper pages.
    """
    best: dict[tuple[str, str], SearchResult] = {}
    for each in library.ask(top_k=90 if way.get("mode") == "hybrid" else 1000, **way).results:
        best.setdefault((each.document, each.heading_path[1]), each)
    return list(best.values())[: 20 if way.get("mode") == "hybrid" else None]


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_every_parent_comes_once_with_its_best_child_and_its_whole_text(
    families: tuple[Library, Texts], way: dict[str, Any]
) -> None:
    library, texts = families
    best = best_by_parent(library, way)
    pages = library.pages("cement price", 5, parents=True, **way)
    assert keys(pages)[: len(best)] == keys(best)
    assert [each.score for each in pages[: len(best)]] == [each.score for each in best]
    assert [each.rank for each in pages] == list(range(1, len(pages) + 1))
    assert len({(each.document, each.heading_path[1]) for each in pages}) == len(pages)
    assert way.get("mode") == "hybrid" or len(pages) == len(best)
    for each in pages:
        assert each.parent is not None
        text = texts[each.document_id]
        assert each.parent.content == text[each.parent.start : each.parent.end]
        assert (each.parent.page, each.parent.heading_path) == (each.page, each.heading_path)
        assert each.parent.children[0].content == each.content
        for child in each.parent.children:
            assert text[child.start : child.end] == child.content
            assert child.content in each.parent.content


def test_all_that_was_found_in_a_parent_is_named_best_first(
    families: tuple[Library, Texts],
) -> None:
    library, _ = families
    passages = library.ask(top_k=1000, exact=True).results
    shown = library.ask(top_k=1000, exact=True, parents=True).results
    assert len(shown) == 14 * 4
    found = []
    for each in shown:
        assert each.parent is not None
        scores = [child.score for child in each.parent.children]
        assert scores == sorted(scores, reverse=True)
        found += [child.id for child in each.parent.children]
    assert sorted(found) == sorted(each.id for each in passages)


def test_the_bound_of_a_document_counts_parents(families: tuple[Library, Texts]) -> None:
    pages = families[0].pages("cement price", 5, parents=True, per_document=2, exact=True)
    assert set(Counter(each.document for each in pages).values()) == {2}
    assert len(pages) == 14 * 2


@pytest.mark.parametrize("mode", ["vector", "hybrid"])
def test_the_parents_of_a_page_are_read_at_once(families: tuple[Library, Texts], mode: str) -> None:
    with patch.object(parents, "load", wraps=parents.load) as load:
        answer = families[0].ask(top_k=20, mode=mode, parents=True)
    assert answer.returned == 20
    assert load.call_count == 1
    assert "passages in" in answer.plan


def test_without_parents_a_passage_stands_between_its_neighbours_and_no_text_comes_twice(
    flat: Library,
) -> None:
    pages = flat.pages("cement price", 4, parents=True, exact=True)
    shown = [
        (each.document, place)
        for each in pages
        if each.parent is not None
        for place in each.parent.chunk_indexes
    ]
    assert sorted(shown) == sorted((f"{d}.txt", place) for d in range(14) for place in range(9))
    best = pages[0]
    assert best.parent is not None
    near = [n for n in range(best.chunk_index - 1, best.chunk_index + 2) if 0 <= n < 9]
    number = int(best.document.removesuffix(".txt"))
    assert best.parent.content == "\n\n".join(passage(number, n) for n in near)
    assert best.parent.end - best.parent.start == len(best.parent.content)


@pytest.mark.parametrize("more", [{}, {"parents": True}])
def test_pages_of_so_many_tokens_are_together_one_search(
    families: tuple[Library, Texts], more: dict[str, Any]
) -> None:
    library, _ = families
    whole = library.ask(top_k=30, exact=True, **more).results
    pages: list[SearchResult] = []
    after = None
    while len(pages) < len(whole):
        answer = library.ask(top_k=9, exact=True, max_tokens=110, after=after, **more)
        texts = [each.parent.content if each.parent else each.content for each in answer.results]
        assert 0 < sum(len(text.split()) + 2 for text in texts) <= 110
        assert answer.returned < 9 or not more
        pages += answer.results
        after = answer.next
    assert keys(pages)[: len(whole)] == keys(whole)


def test_where_not_even_the_best_fits_the_answer_is_empty_and_says_why(
    families: tuple[Library, Texts],
) -> None:
    answer = families[0].ask(parents=True, max_tokens=2)
    assert (answer.results, answer.next) == ([], None)
    assert "do not fit into 2" in answer.plan
    with pytest.raises(UsageError, match="max_tokens"):
        families[0].ask(max_tokens=0)


def test_the_cursor_of_passages_is_none_of_parents(families: tuple[Library, Texts]) -> None:
    after = families[0].ask(top_k=2, exact=True).next
    with pytest.raises(UsageError, match="not the cursor"):
        families[0].ask(top_k=2, exact=True, parents=True, after=after)


def test_an_encrypted_namespace_shows_its_parents_in_clear(
    database: Database, toys: Embedders, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    library, texts = family(database, toys, "sealed-families", 2)
    clear = library.ask(exact=True, parents=True).results
    with database.connect() as connection:
        administration.enable(connection, "sealed-families", settings)
        stored = connection.execute(
            "SELECT content FROM document_chunks WHERE namespace = %s AND level = 1",
            [library.leaf.namespace],
        ).fetchall()
    assert not any(content in text for (content,) in stored for text in texts.values())
    monkeypatch.setenv("GREENLANG_ENCRYPTION_KEY_FILE", str(settings.encryption_key_path))
    get_settings.cache_clear()
    try:
        assert library.ask(exact=True, parents=True).results == clear
    finally:
        get_settings.cache_clear()
