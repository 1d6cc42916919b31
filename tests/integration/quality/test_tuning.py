"""A namespace is promised a recall: its searches are as wide as that takes; if broken, it shows."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import numpy as np
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from greenlang_vectors.documents.model import JSON
from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.quality import comparison, tuning
from greenlang_vectors.quality.checks import CHECKS, CheckContext, CheckOutcome, run_check
from greenlang_vectors.quality.comparison import Measurement
from greenlang_vectors.quality.recall import Answered
from greenlang_vectors.quality.workload import MAX_FILTERS, workload
from greenlang_vectors.search import ways
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import collections, leaves, maintenance, namespaces, search_logs
from greenlang_vectors.store.collections import Collection
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.index_settings import IndexSettings
from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.records import SearchQuality, newest_search_quality
from greenlang_vectors.store.search_logs import LoggedSearch

from ..conftest import Cli

pytestmark = pytest.mark.integration

DIMENSIONS = 32
ROWS = 3000
SPARSE = IndexSettings(m=4, ef_construction=16)
RARE: JSON = {"field": "metadata.kind", "op": "eq", "value": "rare"}
COMMON: JSON = {"field": "metadata.kind", "op": "eq", "value": "common"}
UNKNOWN: JSON = {"field": "no such field", "op": "eq", "value": 1}
SETTINGS = Settings(quality_sample=40)


def stored_vectors(rng: np.random.Generator) -> NDArray[np.float64]:
    vectors = rng.normal(size=(ROWS, DIMENSIONS))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def filled(
    database: Database, namespace: str, index: IndexSettings, target: float | None = None
) -> Collection:
    """3,000 random vectors, each tenth of them of the kind "rare", under an index."""
    leaf = Leaf(namespace, "test-model", DIMENSIONS)
    with database.connect() as connection:
        namespaces.register(connection, namespace, recall_target=target)
        leaves.ensure_leaf(connection, leaf, index)
        with (
            connection.cursor() as cursor,
            cursor.copy(
                "COPY vector_embeddings (id, source_type, source_id, content_hash, embedding,"
                " embedding_model, embedding_fingerprint, namespace, metadata) FROM STDIN"
            ) as copy,
        ):
            for number, vector in enumerate(stored_vectors(np.random.default_rng(1))):
                kind = "rare" if number % 10 == 0 else "common"
                listed = "[" + ",".join(map(str, vector)) + "]"
                row = (uuid4(), "document", uuid4(), "0" * 64, listed, leaf.model, "f", namespace)
                copy.write_row((*row, f'{{"kind": "{kind}"}}'))
        leaves.analyze(connection, leaf)
    maintenance.maintain(database, leaf, SETTINGS)
    return current(database, leaf)


def current(database: Database, leaf: Leaf) -> Collection:
    with database.connect() as connection:
        return collections.get(connection, f"{leaf.namespace}/{leaf.model}")


def measured(
    database: Database, collection: Collection, toys: Embedders, *, tune: bool = True
) -> SearchQuality:
    found: Measurement = comparison.measure(
        database, collection, embedders=toys, settings=SETTINGS, tune=tune
    )
    assert found.quality is not None
    return found.quality


def judged(database: Database, leaf: Leaf) -> CheckOutcome:
    [check] = [check for check in CHECKS if check.name == "recall_reached"]
    with database.connect() as connection:
        return run_check(connection, check, CheckContext(leaf, SETTINGS, 512))


def log_searches(
    connection: psycopg.Connection, leaf: Leaf, filter_: JSON, vectors: NDArray[np.float32]
) -> None:
    search_logs.write(
        connection,
        [
            LoggedSearch(
                leaf.namespace, f"{leaf.namespace}/{leaf.model}", "vector", None, vector, filter_,
                10, None, 10, "", 1.0, None,
            )
            for vector in vectors
        ],
    )  # fmt: skip


@pytest.fixture
def by_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are too expensive to be compared one by one, as in a leaf of a million."""
    monkeypatch.setattr(ways, "SCAN_US", 1000.0)
    monkeypatch.setattr(ways, "FETCH_US", 1000.0)


@pytest.fixture
def sparse(database: Database, request: pytest.FixtureRequest) -> Collection:
    """A collection whose graph is too sparse for a narrow search."""
    name = f"s{abs(hash(request.node.nodeid)) % 10**12}"
    return filled(database, name, SPARSE)


@pytest.mark.usefixtures("by_graph")
def test_the_narrowest_search_that_keeps_the_promise_is_found_and_used(
    database: Database, sparse: Collection, toys: Embedders
) -> None:
    assert sparse.searched.width is None
    narrow = measured(
        database,
        replace(sparse, index_settings={**SPARSE.as_json(), "ef_search": 10}),
        toys,
        tune=False,
    )
    assert narrow.recall_at_10 < 0.8
    quality = measured(database, sparse, toys)
    assert quality.recall_at_10 >= 0.95
    assert quality.recall_before is None, "before the first tuning nothing was promised"
    tuned = current(database, sparse.leaf)
    assert tuned.searched.ef_search == tuned.search_width == quality.ef_search
    assert judged(database, sparse.leaf).passed
    widths = {point["width"]: point for point in quality.curve}
    assert widths[quality.ef_search]["recall_at_10"] == pytest.approx(quality.recall_at_10)
    missed = [w for w, point in widths.items() if w < quality.ef_search]
    assert missed, "a narrower one was tried"
    assert quality.ef_search - max(missed) <= max(1, max(missed) // tuning.RESOLUTION)
    with database.connect() as connection:
        kept = newest_search_quality(connection, sparse.leaf)
    assert kept == quality


@pytest.mark.usefixtures("by_graph")
def test_tuning_again_changes_nothing(
    database: Database, sparse: Collection, toys: Embedders
) -> None:
    first = measured(database, sparse, toys)
    again = measured(database, current(database, sparse.leaf), toys)
    assert again.ef_search == first.ef_search
    assert again.recall_before is None


@pytest.mark.usefixtures("by_graph")
def test_a_higher_promise_takes_a_wider_search(
    database: Database, sparse: Collection, toys: Embedders
) -> None:
    usual = measured(database, sparse, toys).ef_search
    with database.connect() as connection:
        namespaces.register(connection, sparse.namespace, recall_target=0.98)
    outcome = judged(database, sparse.leaf)
    assert not outcome.passed, "what was measured is held against what is promised now"
    wider = measured(database, current(database, sparse.leaf), toys)
    assert wider.ef_search > usual
    assert wider.recall_before is None, "nothing has fallen below what was promised"
    assert judged(database, sparse.leaf).passed


@pytest.mark.usefixtures("by_graph")
def test_filters_that_searches_use_must_keep_the_promise_too(
    database: Database, sparse: Collection, toys: Embedders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ways, "WIDENED", 0)
    plain = measured(database, sparse, toys)
    with database.connect() as connection:
        queries = stored_vectors(np.random.default_rng(2))[:20].astype(np.float32)
        log_searches(connection, sparse.leaf, COMMON, queries[:5])
        log_searches(connection, sparse.leaf, RARE, queries)
        log_searches(connection, sparse.leaf, UNKNOWN, queries)
    inside = measured(database, current(database, sparse.leaf), toys)
    assert [each["filter"] for each in inside.filtered] == [RARE, COMMON]
    assert [each["queries"] for each in inside.filtered] == [40, 25]
    assert inside.ef_search > plain.ef_search
    assert inside.recall_before is not None
    assert inside.recall_before < 0.95, "inside the filter the promise had not been kept"
    assert inside.lowest[0] >= 0.95
    assert not judged(database, sparse.leaf).passed
    assert measured(database, current(database, sparse.leaf), toys).recall_before is None
    assert judged(database, sparse.leaf).passed


@pytest.mark.usefixtures("by_graph")
def test_a_width_that_was_made_too_small_is_found(
    database: Database, sparse: Collection, toys: Embedders
) -> None:
    tuned = measured(database, sparse, toys)
    assert judged(database, sparse.leaf).passed
    with database.connect() as connection:
        collections.remember_width(connection, sparse, 10)
    unmeasured = judged(database, sparse.leaf)
    assert not unmeasured.passed
    assert "Searches use ef_search 10, which has not been measured." in unmeasured.message
    mended = measured(database, current(database, sparse.leaf), toys)
    assert mended.recall_before is not None
    assert mended.recall_before < 0.95
    assert abs(mended.ef_search - tuned.ef_search) <= tuned.ef_search // tuning.RESOLUTION + 1
    fallen = judged(database, sparse.leaf)
    assert not fallen.passed
    assert f"It had fallen to {mended.recall_before:.4f}" in fallen.message
    measured(database, current(database, sparse.leaf), toys)
    assert judged(database, sparse.leaf).passed


@pytest.mark.usefixtures("by_graph")
def test_rows_that_outgrow_the_width_are_found(
    database: Database, sparse: Collection, toys: Embedders
) -> None:
    """Recall falls when the vectors do: the stored width is that of an easier time."""
    with database.connect() as connection:
        easier = np.ones(DIMENSIONS)
        connection.execute(
            "CREATE TEMP TABLE hard AS SELECT id, embedding FROM vector_embeddings"
            " WHERE namespace = %s",
            [sparse.namespace],
        )
        connection.execute(
            "UPDATE vector_embeddings SET embedding = %s WHERE namespace = %s",
            [easier, sparse.namespace],
        )
        assert measured(database, sparse, toys).ef_search == 10
        connection.execute(
            "UPDATE vector_embeddings e SET embedding = hard.embedding FROM hard"
            " WHERE e.namespace = %s AND e.id = hard.id",
            [sparse.namespace],
        )
    quality = measured(database, current(database, sparse.leaf), toys)
    assert quality.recall_before is not None
    assert quality.ef_search > 10
    assert not judged(database, sparse.leaf).passed


def test_a_search_that_compares_all_rows_keeps_any_promise(
    database: Database, sparse: Collection, toys: Embedders
) -> None:
    with database.connect() as connection:
        namespaces.register(connection, sparse.namespace, recall_target=1.0)
    quality = measured(database, sparse, toys)
    assert quality.recall_at_10 == 1
    assert quality.ef_search <= 150 * (1 + 1 / tuning.RESOLUTION), "from 150 on all are compared"


@pytest.mark.usefixtures("by_graph")
def test_a_promise_that_no_width_keeps_is_said_to_be_broken(
    database: Database, sparse: Collection, toys: Embedders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "HNSW_WIDTHS", (10, 15))
    quality = measured(database, sparse, toys)
    assert quality.ef_search == 15
    assert current(database, sparse.leaf).search_width == 15
    outcome = judged(database, sparse.leaf)
    assert not outcome.passed
    assert "but at least 0.95 is wanted" in outcome.message


@pytest.mark.usefixtures("by_graph")
def test_the_width_of_a_person_stays(database: Database, toys: Embedders) -> None:
    collection = filled(database, "own-width", replace(SPARSE, ef_search=10))
    quality = measured(database, collection, toys)
    assert (quality.ef_search, quality.curve) == (10, [])
    with database.connect() as connection:
        collections.remember_width(connection, collection, 300)
    assert current(database, collection.leaf).searched.ef_search == 10
    assert not judged(database, collection.leaf).passed


@pytest.mark.usefixtures("by_graph")
def test_probes_of_lists_are_tuned_alike(database: Database, toys: Embedders) -> None:
    collection = filled(database, "lists", IndexSettings(kind="ivfflat", lists=50))
    quality = measured(database, collection, toys)
    assert 1 < quality.ef_search < 50
    assert quality.recall_at_10 >= 0.95
    assert current(database, collection.leaf).searched.probes == quality.ef_search
    outcome = judged(database, collection.leaf)
    assert (outcome.passed, outcome.numbers["probes"]) == (True, quality.ef_search)


def test_few_rows_are_measured_and_left_alone(
    database: Database, leaf: Leaf, toys: Embedders
) -> None:
    with database.connect() as connection:
        connection.execute(
            """
            INSERT INTO vector_embeddings (id, source_type, source_id, content_hash, embedding,
                embedding_model, embedding_fingerprint, namespace)
            SELECT gen_random_uuid(), 'document', gen_random_uuid(), repeat('0', 64),
                   ('[' || n || ',1,0,0,0,0,0,0]')::vector, %s, 'f', %s
            FROM generate_series(1, 50) n
            """,
            [leaf.model, leaf.namespace],
        )
    maintenance.maintain(database, leaf, SETTINGS)
    quality = measured(database, current(database, leaf), toys)
    assert (quality.recall_at_10, quality.curve) == (1, [])
    assert current(database, leaf).search_width is None
    assert judged(database, leaf).passed


def test_the_workload_is_what_was_asked_last_and_each_vector_once(
    database: Database, leaf: Leaf
) -> None:
    def one(number: float) -> NDArray[np.float32]:
        return np.full((1, leaf.dimensions), number, np.float32)

    judged_vectors = one(7)
    with database.connect() as connection:
        log_searches(connection, leaf, None, np.concatenate([one(1), one(2), one(1)]))
        log_searches(connection, leaf, None, np.ones((1, 3), np.float32))
        for number in range(MAX_FILTERS + 2):
            asked: JSON = {"field": "metadata.n", "op": "eq", "value": number}
            log_searches(connection, leaf, asked, np.repeat(one(number + 1), 10 - number, axis=0))
        sets = workload(connection, leaf, judged_vectors, Settings(quality_sample=2))
        everything = workload(connection, leaf, judged_vectors, Settings(search_log_days=1))
        connection.execute(
            "UPDATE vector_search_logs SET created_at = now() - interval '2 days'"
            " WHERE namespace = %s",
            [leaf.namespace],
        )
        nothing = workload(connection, leaf, judged_vectors, Settings(search_log_days=1))
    assert [[v[0] for v in each.vectors] for each in sets] == [
        [7, 1, 2], [1], [2], [3], [4], [5]
    ]  # fmt: skip
    assert len(everything) == 1 + MAX_FILTERS
    assert [len(each.vectors) for each in nothing] == [1]


@given(st.integers(0, 1200), st.integers(1, 1000), st.integers(1, 50), st.integers(50, 1000))
def test_the_width_found_reaches_and_one_an_eighth_narrower_does_not(
    needed: int, start: int, lowest: int, highest: int
) -> None:
    tried = set()

    def reaches(width: int) -> bool:
        tried.add(width)
        return width >= needed

    widths = tuning.ladder(lowest, highest)
    width, reached = tuning.narrowest(reaches, min(max(start, lowest), highest), widths)
    assert all(lowest <= each <= highest for each in tried)
    assert reached == (needed <= highest)
    assert width in tried
    if not reached:
        assert width == highest
    else:
        assert width >= needed
        assert width == lowest or width - needed < max(1, needed // tuning.RESOLUTION) + 1
    assert len(tried) <= 20
    from_elsewhere = tuning.narrowest(lambda each: each >= needed, lowest, widths)
    assert from_elsewhere == (width, reached), "where it begins plays no part"


def test_the_margin_is_larger_where_questions_disagree() -> None:
    def point(*recall: float) -> tuning.Point:
        answered = Answered(np.array(recall), np.ones(len(recall)))
        return tuning.measured(10, [answered])

    assert point(*[1.0] * 20).bound == 1
    few, many = point(*[1.0] * 9, 0.5), point(*([1.0] * 9 + [0.5]) * 10)
    assert few.recall == pytest.approx(many.recall) == pytest.approx(0.95)
    assert few.bound < many.bound < 0.95
    # mean - 1.645 s / sqrt(n) with s = sqrt(0.225 / 9)
    assert few.bound == pytest.approx(0.95 - 1.645 * (0.225 / 9) ** 0.5 / 10**0.5)


def test_the_command_line_tunes(cli: Cli, sparse: Collection) -> None:
    told = cli("collections", "tune", sparse.name, "--json").json
    assert told["rows"] == ROWS
    assert told["quality"]["recall_at_10"] >= 0.95
    [listed] = [
        each
        for each in cli("collections", "list", "--json").json["collections"]
        if each["name"] == sparse.name
    ]
    assert listed["search_width"] == told["quality"]["ef_search"]
    shown = cli("collections", "tune", sparse.name)
    assert f"searched at width {listed['search_width']}" in shown.out
    assert "0.95 is kept" in shown.out
    assert cli("collections", "tune", "no/such").code == 2
