"""As many rows as are asked and pass, the nearest of them, the same every time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from uuid import UUID

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from psycopg import sql

from greenlang_vectors.errors import UsageError
from greenlang_vectors.search import layouts, nearest, selectivity
from greenlang_vectors.search.filters import Filter, parse, parse_text
from greenlang_vectors.search.model import Candidate, Found
from greenlang_vectors.search.selectivity import Selectivity
from greenlang_vectors.search.ways import Plan
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import filter_indexes, leaves, maintenance, namespaces, segments
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.index_settings import IndexSettings, Metric
from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.writing import EmbeddingRow, write

pytestmark = pytest.mark.integration

DIMENSIONS = 16
INDEXED, TAIL = 3_000, 200
ROWS = INDEXED + TAIL
METRICS: tuple[Metric, ...] = ("cosine", "l2", "inner_product")
EF_SEARCH = 45
CHUNKS = 10


def document_of(number: int) -> UUID:
    """Documents in the order of their numbers' remainders: not in the order of rows."""
    return UUID(int=(number // CHUNKS) * 7919 % 100_003)


def metadata_of(number: int) -> dict[str, object]:
    return {"n": number, "tenth": number % 10, "hundredth": number % 100}


def leaf_of(metric: Metric) -> Leaf:
    return Leaf(f"near-{metric}".replace("_", "-"), "m", DIMENSIONS)


@pytest.fixture(scope="module")
def vectors() -> NDArray[np.float32]:
    made: NDArray[np.float32] = np.random.default_rng(1).normal(size=(ROWS, DIMENSIONS))
    return made.astype(np.float32)


@pytest.fixture(scope="module")
def leaf_vectors(database: Database, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The vectors, in a leaf for each metric: most under a graph, some in the open tail."""
    for metric in METRICS:
        leaf = leaf_of(metric)
        with database.connect() as connection:
            namespaces.register(connection, leaf.namespace)
            leaves.ensure_leaf(connection, leaf, IndexSettings(metric=metric))
            add(connection, leaf, vectors, 0, INDEXED)
            maintenance.maintain(database, leaf, Settings(profile="staging"))
            layout = segments.cover(segments.on_leaf(connection, leaf))
            filter_indexes.follow(connection, leaf, layout)
            add(connection, leaf, vectors, INDEXED, ROWS)
            leaves.analyze(connection, leaf)
    return vectors


def add(
    connection: psycopg.Connection,
    leaf: Leaf,
    vectors: NDArray[np.float32],
    first: int,
    stop: int,
) -> None:
    rows = [
        EmbeddingRow("document", document_of(n), n % CHUNKS, "0" * 64, None, metadata_of(n))
        for n in range(first, stop)
    ]
    write(connection, leaf, rows, vectors[first:stop], fingerprint="f")


@pytest.fixture
def connection(
    database: Database,
    leaf_vectors: NDArray[np.float32],  # noqa: ARG001 - fills the leaves
) -> Iterator[psycopg.Connection]:
    selectivity.forget()
    with database.connect() as connection:
        yield connection


@pytest.fixture(scope="module")
def queries() -> NDArray[np.float32]:
    made: NDArray[np.float32] = np.random.default_rng(2).normal(size=(30, DIMENSIONS))
    return made.astype(np.float32)


def ask(
    connection: psycopg.Connection,
    query: NDArray[np.float32],
    k: int = 10,
    *,
    metric: Metric = "cosine",
    plan: Plan = "auto",
    filter: Filter | None = None,
) -> Found:
    return nearest.nearest(
        connection,
        leaf_of(metric),
        query,
        k,
        index=IndexSettings(metric=metric),
        ef_search=EF_SEARCH,
        plan=plan,
        filter=filter,
    )


def distances(
    metric: Metric, vectors: NDArray[np.float32], query: NDArray[np.float32]
) -> NDArray[np.float64]:
    wide, asked = vectors.astype(np.float64), query.astype(np.float64)
    if metric == "l2":
        return np.linalg.norm(wide - asked, axis=1)
    if metric == "inner_product":
        return -(wide @ asked)
    return 1 - (wide @ asked) / np.linalg.norm(wide, axis=1) / np.linalg.norm(asked)


def truth(
    metric: Metric,
    vectors: NDArray[np.float32],
    query: NDArray[np.float32],
    k: int,
    numbers: list[int],
) -> list[tuple[UUID, int]]:
    """The keys of the k nearest of these rows."""
    order = np.argsort(distances(metric, vectors[numbers], query))[:k]
    return [(document_of(numbers[i]), numbers[i] % CHUNKS) for i in order]


def keys(found: Found) -> list[tuple[UUID, int]]:
    return [(each.document_id, each.chunk_index) for each in found.candidates]


FILTERS: dict[str, list[int]] = {
    "metadata.n >= 0": [*range(ROWS)],
    "metadata.n < 1600": [*range(1600)],
    "metadata.tenth = 3": [*range(3, ROWS, 10)],
    "metadata.tenth in 3,4": [n for n in range(ROWS) if n % 10 in {3, 4}],
    "metadata.hundredth = 42": [*range(42, ROWS, 100)],
    "metadata.n = 17": [17],
    f"metadata.n = {INDEXED}": [INDEXED],
    f"metadata.n >= {INDEXED - 3}": [*range(INDEXED - 3, ROWS)],
    "metadata.n < 0": [],
    f"source_id = {document_of(50)}": [*range(50, 60)],
}


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("text", FILTERS)
def test_the_nearest_that_pass_are_found_and_none_is_missing(
    connection: psycopg.Connection,
    vectors: NDArray[np.float32],
    queries: NDArray[np.float32],
    metric: Metric,
    text: str,
) -> None:
    passing, filter = FILTERS[text], parse_text(text)
    hits = 0
    for query in queries:
        expected = truth(metric, vectors, query, 10, passing)
        exact = ask(connection, query, metric=metric, plan="exact", filter=filter)
        assert keys(exact) == expected
        found = ask(connection, query, metric=metric, filter=filter)
        assert len(set(keys(found))) == min(10, len(passing))
        assert {*keys(found)} <= {(document_of(n), n % CHUNKS) for n in passing}
        values = [each.value for each in found.candidates]
        assert values == sorted(values)
        hits += len({*keys(found)} & {*expected})
    assert hits >= 0.95 * len(queries) * min(10, len(passing))


@given(
    share=st.sampled_from(["half", "tenth", "hundredth"]),
    k=st.integers(1, 400),
    plan=st.sampled_from(["auto", "index"]),
    seed=st.integers(0, 1000),
)
@hypothesis_settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_as_many_as_asked_come_back_where_as_many_pass(
    connection: psycopg.Connection, share: str, k: int, plan: Plan, seed: int
) -> None:
    query = np.random.default_rng(seed).normal(size=DIMENSIONS).astype(np.float32)
    text, passing = {
        "half": ("metadata.n < 1600", 1600),
        "tenth": ("metadata.tenth = 7", ROWS // 10),
        "hundredth": ("metadata.hundredth = 7", ROWS // 100),
    }[share]
    found = ask(connection, query, k, plan=plan, filter=parse_text(text))
    assert len({*keys(found)}) == len(found.candidates) == min(k, passing)


@pytest.mark.parametrize(("text", "k"), [(None, 2500), ("metadata.tenth = 1", 200)])
def test_a_graph_is_searched_on_until_enough_pass(
    connection: psycopg.Connection, queries: NDArray[np.float32], text: str | None, k: int
) -> None:
    for query in queries[:5]:
        filter = None if text is None else parse_text(text)
        found = ask(connection, query, k, plan="index", filter=filter)
        assert found.plan.startswith("hnsw, ef_search 1000")
        assert "one by one" not in found.plan
        assert len(found.candidates) == k


@pytest.mark.parametrize("k", [1000, 1001, 2500, ROWS, ROWS + 1])
def test_more_than_a_graph_gives_at_once_is_found_too(
    connection: psycopg.Connection, queries: NDArray[np.float32], k: int
) -> None:
    for plan in ("index", "auto"):
        found = ask(connection, queries[0], k, plan=plan)  # type: ignore[arg-type]
        assert len({*keys(found)}) == len(found.candidates) == min(k, ROWS)


def test_the_plan_follows_how_many_pass_and_is_said(
    connection: psycopg.Connection, queries: NDArray[np.float32]
) -> None:
    def said(text: str, plan: Plan = "auto") -> str:
        return ask(connection, queries[0], plan=plan, filter=parse_text(text)).plan

    assert ask(connection, queries[0]).plan == "hnsw, ef_search 45 and cells"
    assert ask(connection, queries[0], plan="exact").plan == "exact, every row compared"
    about = r"about [\d,]+ of 3,[0-4]\d\d rows pass the filter"
    assert re.fullmatch(f"hnsw, ef_search 45 and cells; {about}", said("metadata.n < 1600"))
    for text in ("metadata.hundredth = 1", "metadata.n < 0"):
        assert re.fullmatch(f"exact; {about}, each compared", said(text))
    assert said("metadata.n < 0", "exact") == "exact, every row that passes the filter compared"


def test_a_graph_that_yields_too_little_is_finished_exactly(
    connection: psycopg.Connection,
    vectors: NDArray[np.float32],
    queries: NDArray[np.float32],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The estimate says half of the rows pass; in truth the 30 farthest do."""
    query = queries[0]
    far = np.argsort(distances("cosine", vectors, query))[-30:].tolist()
    filter = parse({"field": "metadata.n", "op": "in", "value": far})
    monkeypatch.setattr(selectivity, "estimate", lambda *_: Selectivity(ROWS, ROWS / 2, ROWS))
    found = ask(connection, query, filter=filter)
    assert "hnsw" in found.plan
    assert "rows were compared one by one" in found.plan
    assert keys(found) == truth("cosine", vectors, query, 10, far)


def test_equal_searches_get_equal_answers(
    database: Database, connection: psycopg.Connection, queries: NDArray[np.float32]
) -> None:
    def answers(connection: psycopg.Connection) -> list[list[Candidate]]:
        selectivity.forget()
        return [
            ask(connection, query, plan=plan, filter=filter).candidates
            for query in queries[:5]
            for plan in ("auto", "index", "exact")
            for filter in (None, parse_text("metadata.tenth = 3"))
        ]

    first = answers(connection)
    assert answers(connection) == first
    with database.connect() as another:
        assert answers(another) == first


def test_of_equally_near_ones_the_first_by_document_and_chunk_are_found(
    database: Database, leaf: Leaf
) -> None:
    """In a graph, in a tail and by comparison alike."""
    equal = np.ones((60, leaf.dimensions), np.float32)
    other = np.random.default_rng(4).normal(size=(900, leaf.dimensions)).astype(np.float32)
    other[:, 0] = -abs(other[:, 0])
    documents = [UUID(int=n * 31 % 61) for n in range(60)]
    rows = [EmbeddingRow("document", each, 0, "0" * 64, None, {"a": 1}) for each in documents]
    rest = [EmbeddingRow("document", UUID(int=n), 1, "0" * 64, None) for n in range(900)]
    query = np.ones(leaf.dimensions, np.float32)
    with database.connect() as connection:
        write(connection, leaf, [*rest, *rows[:40]], [*other, *equal[:40]], fingerprint="f")
        maintenance.maintain(database, leaf, Settings())
        write(connection, leaf, rows[40:], equal[40:], fingerprint="f")
        for plan in ("index", "exact"):
            for filter in (None, parse_text("metadata.a = 1")):
                found = nearest.nearest(
                    connection,
                    leaf,
                    query,
                    10,
                    index=IndexSettings(),
                    plan=plan,  # type: ignore[arg-type]
                    filter=filter,
                )
                assert [each.document_id for each in found.candidates] == sorted(documents)[:10]


def test_a_search_is_planned_once_a_connection_and_answers_as_before(
    connection: psycopg.Connection, queries: NDArray[np.float32]
) -> None:
    """The plan that is kept serves every vector and every k; under a filter none is kept."""
    first = {k: ask(connection, queries[0], k, plan="index").candidates for k in (3, 60)}
    for query in queries[:10]:
        ask(connection, query, 10, plan="index")
        ask(connection, query, 10, plan="index", filter=parse_text("metadata.tenth = 1"))
    rows = connection.execute(
        "SELECT generic_plans, custom_plans FROM pg_prepared_statements"
        " WHERE statement LIKE '%WITH TIES%'"
    ).fetchall()
    assert rows
    assert all(generic > 0 and custom == 0 for generic, custom in rows)
    for k, candidates in first.items():
        assert ask(connection, queries[0], k, plan="index").candidates == candidates


def test_settings_end_with_the_search(
    connection: psycopg.Connection, queries: NDArray[np.float32]
) -> None:
    def settings() -> list[tuple[str, str]]:
        return connection.execute(
            "SELECT name, setting FROM pg_settings WHERE name ~ '^(hnsw|ivfflat|enable_|jit|plan_)'"
            " ORDER BY name"
        ).fetchall()

    connection.execute("SELECT '[1]'::vector")  # its library brings its settings
    before = settings()
    assert ("hnsw.ef_search", "40") in before
    ask(connection, queries[0], 7, plan="index", filter=parse_text("metadata.tenth = 1"))
    assert settings() == before


def test_a_search_notices_indexes_that_come_and_go(
    database: Database, leaf: Leaf, queries: NDArray[np.float32]
) -> None:
    query = queries[0][: leaf.dimensions]

    def plan() -> str:
        return nearest.nearest(connection, leaf, query, 5, index=IndexSettings(), plan="index").plan

    rows = [EmbeddingRow("document", UUID(int=n), 0, "0" * 64, None) for n in range(50)]
    vectors = np.random.default_rng(1).normal(size=(50, leaf.dimensions)).astype(np.float32)
    with database.connect() as connection:
        write(connection, leaf, rows, vectors, fingerprint="f")
        assert plan() == "exact, every row compared"
        [name] = maintenance.maintain(database, leaf, Settings()).built
        assert plan() == "hnsw, ef_search 100"
        assert layouts.kept(connection, leaf) is not None
        connection.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))
        assert plan() == "exact, every row compared"


def test_metadata_that_is_encrypted_is_not_compared(
    connection: psycopg.Connection, queries: NDArray[np.float32]
) -> None:
    namespace = leaf_of("cosine").namespace
    asked = {"or": [{"not": {"field": "metadata.n.x", "op": "eq", "value": 1}}]}
    ask(connection, queries[0], filter=parse(asked))
    with connection.transaction(force_rollback=True):
        connection.execute(
            "INSERT INTO encrypted_namespaces (namespace, metadata_keys) VALUES (%s, %s)",
            [namespace, ["n", "other"]],
        )
        ask(connection, queries[0], filter=parse_text("metadata.tenth = 1"))
        with pytest.raises(UsageError, match="encrypts the metadata n:"):
            ask(connection, queries[0], filter=parse(asked))
    assert ask(connection, queries[0], filter=parse_text("metadata.n < 10")).candidates


@pytest.mark.parametrize("text", FILTERS)
def test_how_many_pass_is_estimated(
    connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """From a sample of a tenth of the leaf, within what its size allows."""
    monkeypatch.setattr(selectivity, "SAMPLE_ROWS", 160)
    held = selectivity.estimate(connection, leaf_of("l2"), parse_text(text))
    assert held.rows == pytest.approx(ROWS, rel=0.25)
    share = len(FILTERS[text]) / ROWS
    assert held.passing / held.rows == pytest.approx(share, abs=0.16)
    again = selectivity.estimate(connection, leaf_of("l2"), parse_text(text))
    assert again == held
