"""A namespace's model is changed: another collection is filled beside the one that serves."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from greenlang_vectors.embedding.embedder import Embedder
from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.errors import ModelUnavailable, UnknownCollection, UsageError
from greenlang_vectors.progress import silent
from greenlang_vectors.quality.checks import CHECKS, CheckContext, run_check
from greenlang_vectors.quality.comparison import compare
from greenlang_vectors.search import nearest
from greenlang_vectors.search.engine import SearchEngine
from greenlang_vectors.search.model import SearchRequest, SearchResult
from greenlang_vectors.settings import Settings
from greenlang_vectors.stages.embeddings import STAGE, embed_chunks, fill_collection
from greenlang_vectors.stages.pipeline import fill
from greenlang_vectors.stages.vector_index import build_index
from greenlang_vectors.store import collections, completeness, leaves, namespaces
from greenlang_vectors.store.collections import Collection
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.index_settings import IndexSettings, Metric
from greenlang_vectors.store.locks import exclusive

pytestmark = pytest.mark.integration

DOCUMENTS = 12
SETTINGS = Settings(chunk_tokens=64, quality_sample=8, embedding_batch_size=4)


@dataclass
class Corpus:
    """A namespace of some documents, and how its model is changed."""

    database: Database
    toys: Embedders
    name: str
    folder: Path
    asked: list[str] = field(default_factory=list)

    @property
    def embedders(self) -> Embedders:
        """The toy models; notes whose embedder was asked for."""

        def noted(model: str) -> Embedder:
            self.asked.append(model)
            return self.toys.open(model)

        return Embedders(self.toys.default, noted)

    def write(self, number: int, text: str) -> None:
        (self.folder / f"{number}.txt").write_text(text)

    def fill(self) -> None:
        fill(
            self.database,
            self.name,
            embedders=self.embedders,
            settings=SETTINGS,
            progress=lambda _: silent,
        )

    def create(self, model: str, index: IndexSettings = leaves.DEFAULT_INDEX) -> Collection:
        with self.database.connect() as connection:
            return self.embedders.create(connection, self.name, model, index)

    def fill_one(self, collection: Collection) -> None:
        fill_collection(self.database, collection.name, embedders=self.embedders, batch_size=4)
        build_index(self.database, collection.leaf, settings=SETTINGS)

    def switch(self, collection: Collection) -> None:
        with self.database.connect() as connection:
            fingerprint = self.embedders.fingerprint(collection)
            collections.switch(connection, collection.name, fingerprint)

    def drop(self, collection: Collection) -> None:
        with self.database.connect() as connection:
            collections.drop(connection, collection.name)

    def search(self, query: str, k: int = 5, collection: str | None = None) -> list[SearchResult]:
        engine = SearchEngine(self.database, self.embedders, SETTINGS)
        return engine.search(SearchRequest(query, self.name, k, collection=collection)).results

    def all(self) -> list[Collection]:
        with self.database.connect() as connection:
            return collections.list_all(connection, self.name)

    def missing(self) -> dict[str, int]:
        with self.database.connect() as connection:
            return {
                each.model: completeness.unfinished(
                    connection, each.leaf, self.embedders.fingerprint(each)
                )[0]
                for each in collections.list_all(connection, self.name)
            }


def text(number: int) -> str:
    return f"Duty number {number} binds every operator of class {number}."


@pytest.fixture
def corpus(
    database: Database, toys: Embedders, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Corpus]:
    name = f"t{abs(hash(request.node.nodeid)) % 10**12}"
    folder = tmp_path / "source"
    folder.mkdir()
    with database.connect() as connection:
        namespaces.register(connection, name, source_uri=str(folder))
    corpus = Corpus(database, toys, name, folder)
    for number in range(DOCUMENTS):
        corpus.write(number, text(number))
    corpus.fill()
    yield corpus
    with database.connect() as connection:
        namespaces.drop(connection, name)


def test_the_first_fill_makes_the_collection_that_serves(corpus: Corpus) -> None:
    (only,) = corpus.all()
    assert (only.model, only.serving) == ("toy-16", True)


def test_a_namespace_keeps_its_models_whatever_the_environment_says(corpus: Corpus) -> None:
    corpus.toys = Embedders("toy-99", corpus.toys.open)
    corpus.write(0, "Another text.")
    corpus.fill()
    assert corpus.missing() == {"toy-16": 0}


def test_what_is_written_reaches_every_collection(corpus: Corpus) -> None:
    corpus.create("toy-24")
    corpus.fill()
    assert corpus.missing() == {"toy-16": 0, "toy-24": 0}
    corpus.write(1, "This text is new.")
    (corpus.folder / "2.txt").unlink()
    corpus.fill()
    assert corpus.missing() == {"toy-16": 0, "toy-24": 0}
    with corpus.database.connect() as connection:
        held = {leaves.count(connection, each.leaf) for each in corpus.all()}
    assert held == {DOCUMENTS - 1}
    for each in corpus.all():
        (best, *_) = corpus.search("This text is new.", collection=each.name)
        assert (best.document, best.score) == ("1.txt", pytest.approx(1, abs=1e-3))


def test_a_question_goes_to_the_model_of_the_collection_that_is_asked(corpus: Corpus) -> None:
    other = corpus.create("toy-24")
    corpus.fill_one(other)
    first = corpus.all()[0]

    def asked(**options: str) -> str:
        corpus.asked.clear()
        assert corpus.search(text(3), **options)[0].document == "3.txt"
        return corpus.asked[-1]

    assert asked() == "toy-16"
    assert asked(collection=other.name) == "toy-24"
    corpus.switch(other)
    assert asked() == "toy-24"
    assert asked(collection=first.name) == "toy-16"
    corpus.switch(first)
    assert asked() == "toy-16"


def test_a_search_engine_follows_a_switch(corpus: Corpus) -> None:
    other = corpus.create("toy-24")
    corpus.fill_one(other)
    engine = SearchEngine(corpus.database, corpus.embedders, SETTINGS)
    before = engine.search(SearchRequest("Which duty?", corpus.name)).results
    corpus.switch(other)
    after = engine.search(SearchRequest("Which duty?", corpus.name)).results
    assert [r.document for r in before] != [r.document for r in after]
    assert (
        after
        == engine.search(SearchRequest("Which duty?", corpus.name, collection=other.name)).results
    )


def test_a_collection_of_another_namespace_is_refused(corpus: Corpus) -> None:
    engine = SearchEngine(corpus.database, corpus.embedders, SETTINGS)
    with corpus.database.connect() as connection:
        namespaces.register(connection, "elsewhere")
    with pytest.raises(UnknownCollection, match="'elsewhere' has no collection") as refused:
        engine.search(SearchRequest("x", "elsewhere", collection=corpus.all()[0].name))
    assert refused.value.remedy == "It has none yet."
    with pytest.raises(UnknownCollection, match="no collection") as refused:
        engine.search(SearchRequest("x", corpus.name, collection=f"{corpus.name}/nothing"))
    assert refused.value.remedy == f"It has {corpus.all()[0].name}."


@pytest.mark.parametrize("metric", ["cosine", "l2", "inner_product"])
def test_a_passage_put_as_question_finds_itself_by_every_metric(
    corpus: Corpus, metric: Metric
) -> None:
    other = corpus.create("toy-24", IndexSettings(metric=metric))
    corpus.fill_one(other)
    found = corpus.search(text(4), collection=other.name)
    assert found[0].document == "4.txt"
    assert found[0].score == pytest.approx(1, abs=1e-3)
    scores = [result.score for result in found]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > scores[1]
    engine = SearchEngine(corpus.database, corpus.embedders, SETTINGS)
    above = engine.search(
        SearchRequest(text(4), corpus.name, 5, threshold=scores[2] - 1e-9, collection=other.name)
    )
    assert above.results == found[:3]


def test_a_model_that_is_another_under_its_name_is_not_asked(corpus: Corpus) -> None:
    corpus.toys = Embedders.only(corpus.toys.open("toy-8"))
    with pytest.raises(ModelUnavailable, match="holds 16 dimensions of toy-16"):
        corpus.search("x")


def test_one_that_is_filled_elsewhere_holds_up_no_run(corpus: Corpus) -> None:
    other = corpus.create("toy-24")
    with corpus.database.connect() as filling, exclusive(filling, STAGE, other.name):
        reports = embed_chunks(
            corpus.database, corpus.name, embedders=corpus.embedders, batch_size=4
        )
    assert list(reports) == [corpus.all()[0].name]


def test_chunks_that_come_while_it_is_filled_are_filled_too(
    corpus: Corpus, add_document: Callable[..., object]
) -> None:
    other = corpus.create("toy-24")
    late = iter([lambda c: add_document(c, corpus.name, "late", ["It came late."])])

    def notice(done: int, total: int, unit: str) -> None:  # noqa: ARG001
        for add in late:
            with corpus.database.connect() as connection:
                add(connection)

    report = fill_collection(
        corpus.database, other.name, embedders=corpus.embedders, batch_size=4, progress=notice
    )
    assert (report.pending, report.written) == (DOCUMENTS + 1, DOCUMENTS + 1)
    assert corpus.missing()["toy-24"] == 0


def test_one_that_is_dropped_while_it_is_filled_stays_dropped(corpus: Corpus) -> None:
    other = corpus.create("toy-24")

    def drop(done: int, total: int, unit: str) -> None:  # noqa: ARG001
        if other.name in {each.name for each in corpus.all()} and done:
            corpus.drop(other)

    with pytest.raises(UsageError, match="has been dropped"):
        fill_collection(
            corpus.database, other.name, embedders=corpus.embedders, batch_size=4, progress=drop
        )
    assert [each.model for each in corpus.all()] == ["toy-16"]
    again = corpus.create("toy-24")
    embed_chunks(
        corpus.database, corpus.name, embedders=corpus.embedders, batch_size=4, progress=drop
    )
    assert again.name not in {each.name for each in corpus.all()}


def test_collections_are_compared_side_by_side(corpus: Corpus) -> None:
    evaluation = corpus.folder / "_evaluation"
    evaluation.mkdir()
    (evaluation / "queries.jsonl").write_text(f'{{"_id": "q", "text": "{text(5)}"}}')
    (evaluation / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq\t5.txt\t1\n")
    half = corpus.create("toy-24", IndexSettings(storage="halfvec"))
    empty = corpus.create("toy-8")
    corpus.fill_one(half)
    compared = compare(corpus.database, corpus.name, embedders=corpus.embedders, settings=SETTINGS)
    assert [each.state.collection.model for each in compared] == ["toy-16", "toy-24", "toy-8"]
    for each in compared[:2]:
        assert each.measured.quality is not None
        assert each.measured.quality.recall_at_10 == pytest.approx(1)
        assert each.measured.quality.latency_p99_ms >= each.measured.quality.latency_p50_ms > 0
        assert each.measured.retrieval["ndcg@10"] == pytest.approx(1)
        assert each.measured.retrieval["mrr@10"] == pytest.approx(1)
        assert (each.state.rows, each.state.missing) == (DOCUMENTS, 0)
        assert each.state.recall_at_10 == each.measured.quality.recall_at_10
        assert min(each.state.table_bytes, each.state.index_bytes) > 0
    unfilled = compared[2]
    assert (unfilled.measured.quality, unfilled.measured.retrieval) == (None, {})
    assert (unfilled.state.rows, unfilled.state.missing) == (0, DOCUMENTS)
    assert empty.name == unfilled.state.collection.name


def test_checks_judge_every_collection(corpus: Corpus) -> None:
    other = corpus.create("toy-24")
    first = corpus.all()[0]
    contexts = [CheckContext(each.leaf, SETTINGS, 512) for each in (first, other)]
    check = next(check for check in CHECKS if check.name == "embeddings_match_chunks")
    with corpus.database.connect() as connection:
        outcome = run_check(connection, check, *contexts)
        assert not outcome.passed
        assert outcome.message.startswith(f"toy-24: {DOCUMENTS} of {DOCUMENTS} chunks")
        assert {example["model"] for example in outcome.examples} == {"toy-24"}
        assert outcome.numbers["embeddings"] == DOCUMENTS
        assert outcome.numbers["toy-24 embeddings"] == 0
        corpus.fill_one(other)
        assert run_check(connection, check, *contexts).passed


class DroppedMeanwhile:
    """The embedders of a corpus; while a question is embedded for a collection, that is dropped."""

    def __init__(self, corpus: Corpus, dropped: Collection, serving_then: Collection) -> None:
        self.corpus, self.dropped, self.serving_then = corpus, dropped, serving_then

    def of(self, collection: Collection) -> Embedder:
        if collection.id == self.dropped.id:
            self.corpus.switch(self.serving_then)
            self.corpus.drop(self.dropped)
        return self.corpus.embedders.of(collection)


def test_a_search_whose_collection_is_dropped_is_answered_by_the_next(corpus: Corpus) -> None:
    first, other = corpus.all()[0], corpus.create("toy-24")
    corpus.fill_one(other)
    embedders = DroppedMeanwhile(corpus, first, other)
    engine = SearchEngine(corpus.database, embedders, SETTINGS)
    assert engine.search(SearchRequest(text(3), corpus.name)).results[0].document == "3.txt"
    assert [each.name for each in corpus.all()] == [other.name]


def test_a_search_of_a_named_collection_that_is_dropped_says_so(corpus: Corpus) -> None:
    first, other = corpus.all()[0], corpus.create("toy-24")
    corpus.fill_one(other)
    embedders = DroppedMeanwhile(corpus, first, other)
    engine = SearchEngine(corpus.database, embedders, SETTINGS)
    with pytest.raises(UsageError, match=f"has no collection '{first.name}'"):
        engine.search(SearchRequest(text(3), corpus.name, collection=first.name))


def test_a_search_sees_one_moment(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    search = nearest.nearest

    def then_all_changes(*arguments: object, **options: object) -> object:
        found = search(*arguments, **options)
        for number in range(DOCUMENTS):
            (corpus.folder / f"{number}.txt").unlink()
        corpus.fill()
        return found

    monkeypatch.setattr(nearest, "nearest", then_all_changes)
    found = corpus.search(text(3), 5)
    assert len(found) == 5
    assert found[0].content == text(3)


class Searching(threading.Thread):
    """Asks until it is stopped; keeps what was wrong."""

    def __init__(self, corpus: Corpus) -> None:
        super().__init__()
        self.corpus, self.stopped, self.wrong, self.answered = corpus, False, [], 0

    def run(self) -> None:
        engine = SearchEngine(self.corpus.database, self.corpus.embedders, SETTINGS)
        while not self.stopped:
            try:
                found = engine.search(
                    SearchRequest(f"What is asked now? {self.answered}", self.corpus.name, 5)
                ).results
            except Exception as error:  # noqa: BLE001 - any is a failure of the test
                self.wrong.append(repr(error))
            else:
                if len(found) != 5:
                    self.wrong.append(f"{len(found)} results")
            self.answered += 1


class Writing(threading.Thread):
    """Runs the stages over documents that change, until it is stopped."""

    def __init__(self, corpus: Corpus) -> None:
        super().__init__()
        self.corpus, self.stopped, self.wrong, self.rounds = corpus, False, [], 0

    def run(self) -> None:
        while not self.stopped:
            self.rounds += 1
            self.corpus.write(self.rounds % 3, f"Version {self.rounds} of a text.")
            self.corpus.write(DOCUMENTS + self.rounds, text(DOCUMENTS + self.rounds))
            try:
                self.corpus.fill()
            except Exception as error:  # noqa: BLE001
                self.wrong.append(repr(error))


def until_done(change: Callable[[], None]) -> None:
    """A switch waits for a moment in which all that is cut is embedded."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return change()
        except UsageError:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_the_model_is_changed_and_changed_back_under_traffic(corpus: Corpus) -> None:
    first = corpus.all()[0]
    threads: Sequence[Searching | Writing] = [Searching(corpus), Searching(corpus), Writing(corpus)]
    for thread in threads:
        thread.start()
    try:
        other = corpus.create("toy-24")
        corpus.fill_one(other)
        until_done(lambda: corpus.switch(other))
        until_done(lambda: corpus.switch(first))
        corpus.drop(other)
        again = corpus.create("toy-24")
        corpus.fill_one(again)
        until_done(lambda: corpus.switch(again))
        corpus.drop(first)
    finally:
        for thread in threads:
            thread.stopped = True
        for thread in threads:
            thread.join()
    assert [thread.wrong for thread in threads] == [[], [], []]
    assert all(thread.answered > 10 for thread in threads[:2])
    corpus.fill()
    assert corpus.missing() == {"toy-24": 0}
    assert [each.serving for each in corpus.all()] == [True]
