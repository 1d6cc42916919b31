"""Shadow reads compare both sides beside the caller, who never waits for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from greenlang_vectors.errors import UsageError
from greenlang_vectors.migration import shadow
from greenlang_vectors.migration.shadow import Shadowed, ShadowReads
from greenlang_vectors.search.model import SearchAnswer, SearchResult
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.identity import document_id

from .both_sides import NAMESPACE, Both, ask

if TYPE_CHECKING:
    pass

pytestmark = pytest.mark.integration

SLOW_SECONDS = 0.5


def answer(*documents: str, ms: float = 1.0) -> SearchAnswer:
    """An answer of these documents, each by its own id."""
    results = [
        SearchResult(
            rank=rank,
            score=1.0,
            id=uuid4(),
            document_id=document_id(NAMESPACE, "document", name),
            source_type="document",
            document=name,
            title=name,
            page=None,
            heading_path=[],
            chunk_index=0,
            content=name,
            metadata={},
        )
        for rank, name in enumerate(documents, 1)
    ]
    return SearchAnswer(results, 10, "vector", "c", "plan", None, 0.0, ms)


def read_of(
    both: Both, first: SearchAnswer, other: Callable[[], SearchAnswer], by_pgvector: bool = False
) -> list[dict[str, Any]]:
    reads = ShadowReads(both.database)
    reads.compare(Shadowed(NAMESPACE, 10, by_pgvector, first, other))
    reads.close()
    assert reads.dropped == 0
    return both.reads()


@pytest.mark.parametrize("share", [0, 100])
def test_the_other_side_is_asked_and_agrees(both: Both, share: int) -> None:
    both.become(share=share)
    with both.router() as router:
        for mode in ("vector", "text", "hybrid"):
            router.search(ask("number7", mode=mode))
    reads = both.reads()
    assert sorted(read["mode"] for read in reads) == ["hybrid", "text", "vector"]
    for read in reads:
        assert (read["share"], read["by_pgvector"]) == (share, share == 100)
        assert read["failed"] is read["error"] is None
        assert read["weaviate_ms"] > 0
        assert read["pgvector_ms"] > 0
        assert read["overlap"] == 1
    assert min(read["rank_distance"] for read in reads) == 0


@pytest.mark.parametrize("by_pgvector", [True, False])
def test_both_answers_are_measured(both: Both, by_pgvector: bool) -> None:
    first, other = answer("a", "b", "c", ms=5), answer("b", "a", "x", "y", ms=7)
    [read] = read_of(both, first, lambda: other, by_pgvector)
    assert read["overlap"] == 0.5
    assert read["rank_distance"] == pytest.approx((1 + 1 + 2 + 2 + 1) / (4 + 3 + 2 + 4 + 3 + 2 + 1))
    times = (5.0, 7.0) if by_pgvector else (7.0, 5.0)
    assert (read["pgvector_ms"], read["weaviate_ms"]) == times


@pytest.mark.parametrize("by_pgvector", [True, False])
def test_the_other_sides_failure_is_kept(both: Both, by_pgvector: bool) -> None:
    def fail() -> SearchAnswer:
        raise RuntimeError("it broke")

    [read] = read_of(both, answer("a", ms=5), fail, by_pgvector)
    assert read["failed"] == ("weaviate" if by_pgvector else "pgvector")
    assert read["error"] == "it broke"
    assert read["overlap"] is None
    assert (read["pgvector_ms"], read["weaviate_ms"]) == ((5, None) if by_pgvector else (None, 5))


def test_what_the_other_side_cannot_be_asked_says_nothing_of_it(both: Both) -> None:
    def refuse() -> SearchAnswer:
        raise UsageError("It cannot be asked so.")

    assert read_of(both, answer("a"), refuse) == []


def test_a_slow_weaviate_keeps_no_caller_of_pgvector_waiting(both: Both) -> None:
    both.become(share=100)
    with both.router() as router:
        router.search(ask())
        both.weaviate.control.slow(SLOW_SECONDS)
        began = time.perf_counter()
        for _ in range(5):
            router.search(ask())
        assert time.perf_counter() - began < SLOW_SECONDS
    assert sum(read["weaviate_ms"] > SLOW_SECONDS * 1000 for read in both.reads()) >= 5


def test_where_threads_cannot_keep_up_questions_are_dropped_and_counted(both: Both) -> None:
    go_on, begun = threading.Event(), threading.Semaphore(0)

    def wait() -> SearchAnswer:
        begun.release()
        go_on.wait()
        return answer("a")

    reads = ShadowReads(both.database, capacity=3)
    question = Shadowed(NAMESPACE, 10, True, answer("a"), wait)
    for _ in range(shadow.THREADS):
        reads.compare(question)
        assert begun.acquire(timeout=5)
    began = time.perf_counter()
    for _ in range(10):
        reads.compare(question)
    assert time.perf_counter() - began < 0.2
    assert reads.dropped == 10 - 3
    go_on.set()
    reads.close()
    assert len(both.reads()) == shadow.THREADS + 3
    reads.compare(question)
    assert reads.dropped == 8, "after the end nothing is taken in"


def test_what_is_not_done_when_the_end_comes_is_dropped(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadow, "CLOSE_SECONDS", 0.1)
    go_on = threading.Event()

    def fail_late() -> SearchAnswer:
        go_on.wait()
        raise RuntimeError("the connection is closed")

    reads = ShadowReads(both.database)
    for _ in range(5):
        reads.compare(Shadowed(NAMESPACE, 10, True, answer("a"), fail_late))
    reads.close()
    go_on.set()
    until = time.monotonic() + 5
    while reads.dropped < 5:
        assert time.monotonic() < until
        time.sleep(0.01)
    assert not both.reads()


def test_reads_are_written_while_searches_go_on(both: Both) -> None:
    with both.router() as router:
        router.search(ask())
        until = time.monotonic() + 5
        while not both.reads():
            assert time.monotonic() < until
            time.sleep(0.05)


def test_a_database_that_takes_nothing_harms_no_search() -> None:
    reads = ShadowReads(Database("postgresql://127.0.0.1:9/none"))
    reads.compare(Shadowed(NAMESPACE, 10, True, answer("a"), lambda: answer("a")))
    reads.close()
    assert reads.dropped == 1


def test_reads_of_a_namespace_that_is_gone_keep_no_others_out(both: Both) -> None:
    reads = ShadowReads(both.database)
    for namespace in ("gone", NAMESPACE):
        reads.compare(Shadowed(namespace, 10, True, answer("a"), lambda: answer("a")))
    reads.close()
    assert reads.dropped == 1
    assert len(both.reads()) == 1
