"""PRD 17.3's acceptance tests, as it writes them; slow, since they fill a database first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from pytest_bdd import given, parsers, scenarios, then, when

from benchmarks import acceptance
from benchmarks.acceptance import Documents, Inserted, Searched, Stored
from benchmarks.rows import new_leaf
from greenlang_vectors.search.model import SearchAnswer
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import leaves
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.leaves import Leaf

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(1200)]

scenarios("vector_search.feature")

RRF_K = 60
DOCUMENTS = 5_000


def whole(text: str) -> int:
    return int(text.replace(",", ""))


@pytest.fixture
def own(new_database: Callable[[], str]) -> Iterator[Database]:
    """A database of the scenario's own."""
    database = Database(new_database())
    yield database
    database.close()


@given(
    parsers.parse("{count} embeddings are stored"),
    converters={"count": whole},
    target_fixture="stored",
)
def embeddings_are_stored(own: Database, count: int) -> Stored:
    return acceptance.store(own, count, Settings())


@given("a query embedding is generated")
def a_query_embedding(stored: Stored) -> None:
    """Those of `stored`: they are of the same distribution as what is stored, and none of it."""
    assert stored.queries.shape == (acceptance.QUERIES, stored.leaf.dimensions)


@when("I search for top-10 similar vectors", target_fixture="searched")
def search(own: Database, stored: Stored) -> Searched:
    with own.connect() as connection:
        stored.search(connection)  # PRD 14.1 speaks of a service that runs: warm caches
        return stored.search(connection)


@then(parsers.parse("the response time is less than {limit:d}ms"))
def response_time_of_the_search(searched: Searched, limit: int) -> None:
    assert np.percentile(searched.milliseconds, 99) < limit


@then(parsers.parse("the recall rate is above {limit:f}"))
def recall(searched: Searched, limit: float) -> None:
    assert searched.recall > limit


@given("documents with embeddings and full text", target_fixture="documents")
def documents_with_embeddings_and_full_text(own: Database) -> Documents:
    return acceptance.store_documents(own, DOCUMENTS, Settings())


@dataclass
class Hybrid:
    answers: list[SearchAnswer]
    milliseconds: list[float]


@when("I perform a hybrid search", target_fixture="hybrid")
def hybrid_search(documents: Documents) -> Hybrid:
    documents.search()
    return Hybrid(*documents.search())


@then("results are ranked by RRF score")
def ranked_by_reciprocal_rank_fusion(hybrid: Hybrid) -> None:
    both = 0
    for answer in hybrid.answers:
        assert answer.returned == acceptance.K
        scores = [result.score for result in answer.results]
        assert scores == sorted(scores, reverse=True)
        for result in answer.results:
            ranks = [rank for rank in (result.vector_rank, result.text_rank) if rank is not None]
            assert result.score == pytest.approx(sum(1 / (RRF_K + rank) for rank in ranks))
            both += len(ranks) == 2
    assert both > 0


@then(parsers.parse("response time is less than {limit:d}ms"))
def response_time_of_the_hybrid_search(hybrid: Hybrid, limit: int) -> None:
    assert np.percentile(hybrid.milliseconds, 99) < limit


@given(
    parsers.parse("{count} embeddings to insert"),
    converters={"count": whole},
    target_fixture="count",
)
def embeddings_to_insert(count: int) -> int:
    return count


@when("I perform a batch insert", target_fixture="inserted")
def batch_insert(own: Database, count: int) -> tuple[Leaf, Inserted]:
    with own.connect() as connection:
        leaf = new_leaf(connection, acceptance.DIMENSIONS)
        return leaf, acceptance.insert(connection, leaf, 0, count)


@then("all embeddings are stored")
def all_are_stored(own: Database, count: int, inserted: tuple[Leaf, Inserted]) -> None:
    leaf, result = inserted
    with own.connect() as connection:
        assert leaves.count(connection, leaf) == result.report.inserted == count
    assert result.report.failures == {}


@then(parsers.parse("throughput exceeds {limit}/second"), converters={"limit": whole})
def throughput(inserted: tuple[Leaf, Inserted], limit: int) -> None:
    assert inserted[1].rows_per_second > limit
