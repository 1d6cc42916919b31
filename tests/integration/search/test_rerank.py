"""Re-ranking by a cross-encoder, a tiny one of random weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.errors import ModelUnavailable, UsageError
from greenlang_vectors.search.engine import SearchEngine
from greenlang_vectors.search.ordering import RERANKED
from greenlang_vectors.search.rerank import Reranker
from greenlang_vectors.settings import Settings
from greenlang_vectors.store.database import Database

from ..conftest import AddDocument
from ..rerankers import tiny_cross_encoder
from .library import Library, build, keys

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_cross_encoder(tmp_path_factory.mktemp("reranker"))


@pytest.fixture(scope="module")
def library(database: Database, toys: Embedders, add_document: AddDocument, model: Path) -> Library:
    library = build(database, toys, add_document, "reranked", 20, 4)
    library.engine = SearchEngine(database, toys, Settings(rerank_model=str(model)))
    return library


def test_the_best_come_in_the_order_of_the_cross_encoder(library: Library, model: Path) -> None:
    plain = library.ask("cement price", RERANKED, exact=True)
    again = library.ask("cement price", RERANKED, exact=True, rerank=True)
    assert keys(again.results) != keys(plain.results)
    assert set(keys(again.results)) == set(keys(plain.results))
    passages = [result.content for result in again.results]
    scores = Reranker(str(model)).scores("cement price", passages)
    assert [result.score for result in again.results] == pytest.approx(scores, abs=1e-5)
    assert scores == sorted(scores, reverse=True)
    assert {r.id: r.vector_rank for r in again.results} == {
        r.id: r.vector_rank for r in plain.results
    }
    assert again.plan.endswith(f"re-ranked by {model.name}")


@pytest.mark.parametrize("mode", ["vector", "text", "hybrid"])
@pytest.mark.parametrize("per_document", [None, 1])
def test_pages_put_together_are_one_search(
    library: Library, mode: str, per_document: int | None
) -> None:
    way = {
        "mode": mode,
        "exact": mode == "vector",
        "per_document": per_document,
        "rerank": True,
    }
    whole = library.ask("cement price", 1000, **way).results
    pages = library.pages("cement price", 17, **way)
    assert len(set(keys(pages))) == len(pages) == len(whole)
    if per_document is None:
        assert keys(pages)[:RERANKED] == keys(whole)[:RERANKED]


def test_parents_come_in_the_order_of_their_re_ranked_passages(library: Library) -> None:
    whole = library.ask("cement price", 1000, exact=True, rerank=True).results
    pages = library.pages("cement price", 9, exact=True, rerank=True, parents=True)
    best = [each for each in pages if each.rank <= 9]
    shown: set[tuple[str, int]] = set()
    expected = []
    for each in whole:
        if (each.document, each.chunk_index) not in shown:
            expected.append((each.document, each.chunk_index))
            near = range(each.chunk_index - 1, each.chunk_index + 2)
            shown |= {(each.document, place) for place in near}
    assert keys(best) == expected[:9]
    assert len(set(keys(pages))) == len(pages)


def test_a_model_that_is_none_or_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="GREENLANG_RERANK_MODEL"):
        Reranker(str(tmp_path / "nothing")).scores("a", ["b"])
    two = Reranker(str(tiny_cross_encoder(tmp_path, labels=2)))
    with pytest.raises(ModelUnavailable, match="gives 2 numbers a pair"):
        two.scores("a", ["b"])
    assert Reranker("nothing").scores("a", []) == []


def test_without_a_model_nothing_can_be_re_ranked(library: Library, toys: Embedders) -> None:
    bare = Library(library.database, SearchEngine(library.database, toys, Settings()), library.leaf)
    with pytest.raises(UsageError, match="Set GREENLANG_RERANK_MODEL"):
        bare.ask(rerank=True)
