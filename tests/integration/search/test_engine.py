"""Questions to a small corpus, by the real model on a real server."""

from __future__ import annotations

from typing import Any

import pytest

from greenlang_vectors.embedding.embedder import Embedder
from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.errors import UnknownNamespace, UsageError
from greenlang_vectors.progress import silent
from greenlang_vectors.search.engine import SearchEngine
from greenlang_vectors.search.model import SearchRequest, SearchResult
from greenlang_vectors.settings import Settings
from greenlang_vectors.stages.pipeline import fill
from greenlang_vectors.store import namespaces
from greenlang_vectors.store.database import Database

pytestmark = pytest.mark.integration

CORPUS = {
    "importers.md": "# Importers\n\nOnly an authorised declarant may import cement and steel.",
    "prices.md": "# Prices\n\n## Weekly price\n\nA certificate costs the weekly auction average.",
    "recipes.md": "# Recipes\n\nKnead the dough for ten minutes and let it rest overnight.",
}


@pytest.fixture(scope="module")
def engine(
    database: Database, embedder: Embedder, tmp_path_factory: pytest.TempPathFactory
) -> SearchEngine:
    folder = tmp_path_factory.mktemp("cbam")
    for name, text in CORPUS.items():
        (folder / name).write_text(text)
    settings = Settings()
    with database.connect() as connection:
        namespaces.register(connection, "cbam", source_uri=str(folder))
        namespaces.register(connection, "empty")
    embedders = Embedders.only(embedder)
    fill(database, "cbam", embedders=embedders, settings=settings, progress=lambda _: silent)
    return SearchEngine(database, embedders, settings)


def ask(engine: SearchEngine, query: str, top_k: int = 10, **more: Any) -> list[SearchResult]:  # noqa: ANN401
    return engine.search(SearchRequest(query, "cbam", top_k, **more)).results


def test_the_passage_that_answers_comes_first_and_says_where_it_stands(
    engine: SearchEngine,
) -> None:
    results = ask(engine, "How much do I pay for one certificate?", 3)
    best = results[0]
    assert [result.rank for result in results] == [1, 2, 3]
    assert best.document == "prices.md"
    assert best.title == "Prices"
    assert best.heading_path == ["Prices"]
    assert "A certificate costs the weekly auction average." in best.content
    assert best.page is None
    scores = [result.score for result in results]
    assert scores == sorted(scores, reverse=True)
    assert 1 >= scores[0] > scores[-1] >= -1


def test_a_passage_put_as_question_finds_itself_with_score_one(engine: SearchEngine) -> None:
    [found] = ask(engine, "recipes", 1)
    [again] = ask(engine, found.content, 1)
    assert again.content == found.content
    assert again.score == pytest.approx(1, abs=1e-4)


def test_fewer_results_when_there_are_fewer_or_the_threshold_is_high(
    engine: SearchEngine,
) -> None:
    assert len(ask(engine, "steel", 100)) == len(CORPUS)
    high = ask(engine, "Who may import steel?", 100, threshold=0.5)
    assert [result.document for result in high] == ["importers.md"]
    answer = engine.search(SearchRequest("anything", "empty"))
    assert (answer.results, answer.collection, answer.next) == ([], None, None)


@pytest.mark.parametrize(
    ("query", "namespace", "top_k", "error", "says"),
    [
        ("steel", "nowhere", 5, UnknownNamespace, "Known: cbam, empty"),
        ("steel", "cbam", 0, UsageError, "between 1 and 1000"),
        ("steel", "cbam", 1001, UsageError, "between 1 and 1000"),
        ("  \n", "cbam", 5, UsageError, "empty"),
        ("steel " * 600, "cbam", 5, UsageError, "reads 512"),
        ("\ud800", "cbam", 5, UsageError, "surrogate"),
    ],
)
def test_wrong_questions_are_refused_by_name(
    engine: SearchEngine, query: str, namespace: str, top_k: int, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        engine.search(SearchRequest(query, namespace, top_k))


@pytest.mark.parametrize("query", ["a\x00b", "'; DROP TABLE documents; --", "% _ \\ {}", "🌍" * 40])
def test_odd_characters_are_only_text(engine: SearchEngine, query: str) -> None:
    assert len(ask(engine, query, 3)) == 3
