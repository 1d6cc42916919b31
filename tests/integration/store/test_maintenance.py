"""Indexes follow the rows: sealed, built, merged, mended and exchanged while the leaf serves."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import numpy as np
import psycopg
import pytest
from numpy.typing import NDArray
from psycopg import sql

from greenlang_vectors.errors import IndexBuildFailed
from greenlang_vectors.search.nearest import nearest
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import indexes, leaves, maintenance, namespaces, segments
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.index_settings import IndexSettings
from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.writing import EmbeddingRow, write

pytestmark = pytest.mark.integration

DIMENSIONS = 8
EXACT = 50

Insert = Callable[[int], NDArray[np.float32]]


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tails of tens of rows behave as those of thousands do."""
    monkeypatch.setattr(maintenance, "EXACT_ROWS", EXACT)
    monkeypatch.setattr(maintenance, "OBSERVED_SECONDS", 0.01)


@pytest.fixture
def settings() -> Settings:
    return Settings(index_build_memory_mb=64, index_build_workers=0)


@pytest.fixture
def insert(connection: psycopg.Connection, leaf: Leaf) -> Insert:
    """Writes so many new rows; returns their vectors."""
    made = np.random.default_rng(3)

    def write_rows(count: int) -> NDArray[np.float32]:
        vectors = made.normal(size=(count, leaf.dimensions)).astype(np.float32)
        document = uuid4()
        rows = [EmbeddingRow("document", document, i, "0" * 64, "passage") for i in range(count)]
        write(connection, leaf, rows, vectors, fingerprint="f")
        return vectors

    return write_rows


def found(connection: psycopg.Connection, leaf: Leaf) -> list[tuple[str, int, int | None]]:
    """(kind, first, last) of the leaf's indexes, all of them valid."""
    there = segments.on_leaf(connection, leaf)
    assert all(index.valid for index in there)
    return sorted(
        ((i.kind, i.first, i.last) for i in there), key=lambda i: (i[1], i[2] is None, i[2] or 0)
    )


def finds_all(connection: psycopg.Connection, leaf: Leaf, vectors: NDArray[np.float32]) -> bool:
    index = leaves.index_settings(connection, leaf)
    return all(
        nearest(connection, leaf, vector, 1, index=index, ef_search=200, plan="index")
        .candidates[0]
        .value
        < 1e-5
        for vector in vectors
    )


def test_the_first_rows_are_indexed_with_the_profiles_parameters(
    database: Database,
    connection: psycopg.Connection,
    leaf: Leaf,
    insert: Insert,
    settings: Settings,
) -> None:
    insert(30)
    report = maintenance.maintain(database, leaf, settings)
    assert len(report.built) == 1
    row = connection.execute(
        "SELECT reloptions FROM pg_class WHERE relname = %s", [report.built[0]]
    ).fetchone()
    assert row == (["m=8", "ef_construction=100"],)
    again = maintenance.maintain(database, leaf, settings)
    assert (again.built, again.dropped) == ((), ())


def test_rows_are_found_at_once_and_a_short_tail_is_left_to_the_scan(
    database: Database,
    connection: psycopg.Connection,
    leaf: Leaf,
    insert: Insert,
    settings: Settings,
) -> None:
    insert(400)
    maintenance.maintain(database, leaf, settings)
    late = insert(EXACT)
    assert finds_all(connection, leaf, late)
    report = maintenance.maintain(database, leaf, settings)
    assert (report.built, report.tail_rows) == ((), EXACT)
    assert not maintenance.due(connection, leaf, settings)
    insert(1)
    assert maintenance.due(connection, leaf, settings)


def test_small_segments_are_merged_and_large_ones_left_alone(
    database: Database,
    connection: psycopg.Connection,
    leaf: Leaf,
    insert: Insert,
    settings: Settings,
) -> None:
    every = [insert(1000)]
    maintenance.maintain(database, leaf, settings)
    shapes = []
    for _ in range(5):
        every.append(insert(60))
        maintenance.maintain(database, leaf, settings)
        shapes.append(found(connection, leaf))
    assert shapes[0] == [("hnsw", 0, 1), ("hnsw", 2, 2)]
    assert shapes[1] == [("hnsw", 0, 1), ("hnsw", 2, 3)], "two of a size become one"
    assert all(shape[0] == ("hnsw", 0, 1) for shape in shapes[:4])
    assert len(shapes[-1]) <= 3
    assert finds_all(connection, leaf, np.concatenate(every)[::7])


def test_rows_that_come_while_a_graph_is_built_are_found_and_none_twice(
    database: Database,
    connection: psycopg.Connection,
    leaf: Leaf,
    insert: Insert,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    insert(200)
    maintenance.maintain(database, leaf, settings)
    insert(3 * EXACT)
    late: list[NDArray[np.float32]] = []
    build = indexes.build

    def build_while_writing(*arguments: object) -> None:
        late.append(insert(3 * EXACT))
        build(*arguments)  # type: ignore[arg-type]
        assert finds_all(connection, leaf, np.concatenate(late))

    monkeypatch.setattr(indexes, "build", build_while_writing)
    report = maintenance.maintain(database, leaf, settings)
    monkeypatch.undo()
    assert report.tail_rows > 0
    answers = nearest(
        connection, leaf, late[0][0], 1000, index=IndexSettings(), ef_search=1000, plan="index"
    ).candidates
    assert len({(a.document_id, a.chunk_index) for a in answers}) == len(answers)
    maintenance.maintain(database, leaf, settings)
    assert finds_all(connection, leaf, np.concatenate(late))


def test_updates_and_deletes_are_seen_at_once_in_indexed_segments(
    database: Database, connection: psycopg.Connection, leaf: Leaf, settings: Settings
) -> None:
    document = uuid4()
    vectors = np.eye(DIMENSIONS, dtype=np.float32)
    rows = [EmbeddingRow("document", document, i, "0" * 64, None) for i in range(DIMENSIONS)]
    write(connection, leaf, rows, vectors, fingerprint="f")
    maintenance.maintain(database, leaf, settings)
    changed = [rows[0]._replace(content_hash="1" * 64)]
    write(connection, leaf, changed, -vectors[:1], fingerprint="f")
    connection.execute(
        "DELETE FROM vector_embeddings WHERE namespace = %s AND chunk_index = 1", [leaf.namespace]
    )
    index = IndexSettings()

    def first(query: NDArray[np.float32]) -> tuple[int, float]:
        [answer] = nearest(connection, leaf, query, 1, index=index, plan="index").candidates
        return answer.chunk_index, round(answer.value, 5)

    assert first(-vectors[0]) == (0, 0.0)
    assert first(vectors[1])[0] != 1
    asked = nearest(connection, leaf, vectors[0], 50, index=index, plan="index").candidates
    assert sorted(answer.chunk_index for answer in asked) == [0, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize(
    "wanted",
    [
        IndexSettings(metric=metric, kind=kind, storage=storage)  # type: ignore[arg-type]
        for metric in ("cosine", "l2", "inner_product")
        for kind in ("hnsw", "ivfflat")
        for storage in ("vector", "halfvec")
    ]
    + [IndexSettings(storage="bit")],
    ids=lambda s: f"{s.metric}-{s.kind}-{s.storage}",
)
def test_every_search_uses_its_indexes_and_finds_what_a_scan_finds(
    database: Database, settings: Settings, wanted: IndexSettings
) -> None:
    name = f"{wanted.metric}-{wanted.kind}-{wanted.storage}".replace("_", "-")
    leaf = Leaf(name, "m", 32)
    made = np.random.default_rng(1)
    with database.connect() as connection:
        namespaces.register(connection, name)
        leaves.ensure_leaf(connection, leaf, wanted)
        for count in (600, 6 * EXACT):
            vectors = made.normal(size=(count, 32)).astype(np.float32)
            document = uuid4()
            rows = [EmbeddingRow("document", document, i, "0" * 64, None) for i in range(count)]
            write(connection, leaf, rows, vectors, fingerprint="f")
            maintenance.maintain(database, leaf, settings)
        index = leaves.index_settings(connection, leaf)
        assert index == wanted
        layout = segments.cover(segments.on_leaf(connection, leaf))
        used = explained(connection, leaf, index, vectors[0])
        assert {part.index.name for part in layout if part.index is not None} <= used
        hits = 0
        for query in made.normal(size=(40, 32)).astype(np.float32):
            exact = nearest(connection, leaf, query, 5, index=index, plan="exact").candidates
            approximate = nearest(
                connection, leaf, query, 5, index=index, ef_search=200, plan="index"
            ).candidates
            assert [a.value for a in approximate] == sorted(a.value for a in approximate)
            hits += len({*exact} & {*approximate})
    least = 0.7 if wanted.storage == "bit" else 0.95 if wanted.kind == "hnsw" else 0.6
    assert hits >= least * 40 * 5


def explained(
    connection: psycopg.Connection, leaf: Leaf, index: IndexSettings, query: NDArray[np.float32]
) -> set[str]:
    """Names of the indexes that PostgreSQL's plan for the search scans."""
    from greenlang_vectors.search.statements import search_statement

    layout = segments.cover(segments.on_leaf(connection, leaf))
    with connection.transaction():
        connection.execute("SET LOCAL enable_seqscan = off")
        connection.execute("SET LOCAL enable_bitmapscan = off")
        connection.execute("SET LOCAL enable_sort = off")
        (plan,) = connection.execute(
            sql.SQL("EXPLAIN (FORMAT JSON) {}").format(search_statement(leaf, index, layout)),
            {"query": query, "k": 5, "candidates": 5},
        ).fetchone() or ([],)
    names: set[str] = set()

    def visit(node: dict[str, object]) -> None:
        if "Index Name" in node:
            names.add(str(node["Index Name"]))
        for child in node.get("Plans", []):  # type: ignore[attr-defined]
            visit(child)

    visit(plan[0]["Plan"])
    return names


def test_other_settings_replace_the_index(
    database: Database, connection: psycopg.Connection, leaf: Leaf, insert: Insert
) -> None:
    insert(100)
    for profile, m in (("dev", 8), ("staging", 16)):
        settings = Settings(profile=profile, index_build_memory_mb=64, index_build_workers=0)
        report = maintenance.maintain(database, leaf, settings)
        assert not maintenance.problems(connection, leaf, settings)
        [index] = segments.on_leaf(connection, leaf)
        options = connection.execute(
            "SELECT reloptions FROM pg_class WHERE relname = %s", [index.name]
        ).fetchone()
        assert options is not None
        assert f"m={m}" in options[0]
    assert len(report.dropped) == 1


def test_an_invalid_leftover_is_dropped_and_the_index_built(
    database: Database,
    connection: psycopg.Connection,
    leaf: Leaf,
    insert: Insert,
    settings: Settings,
    server: str,
) -> None:
    vectors = insert(60)
    [name] = maintenance.maintain(database, leaf, settings).built
    with psycopg.connect(server, dbname=connection.info.dbname, autocommit=True) as superuser:
        superuser.execute(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s::regclass",
            [sql.Identifier(name).as_string(connection)],
        )
    assert maintenance.problems(connection, leaf, settings)
    assert finds_all(connection, leaf, vectors)
    report = maintenance.maintain(database, leaf, settings)
    assert report.dropped == (name,)
    assert not maintenance.problems(connection, leaf, settings)


def test_a_build_that_breaks_off_says_so_and_the_next_one_mends_it(
    database: Database,
    connection: psycopg.Connection,
    leaf: Leaf,
    insert: Insert,
    settings: Settings,
) -> None:
    insert(40)
    connection.execute(sql.SQL("ALTER TABLE {} DROP CONSTRAINT dimensions").format(leaf.table))
    connection.execute(
        sql.SQL("UPDATE {} SET embedding = '[1,2,3]' WHERE chunk_index = 7").format(leaf.table)
    )
    with pytest.raises(IndexBuildFailed, match="hnsw_"):
        maintenance.maintain(database, leaf, settings)
    assert [index.valid for index in segments.on_leaf(connection, leaf)] == [False]
    connection.execute(sql.SQL("DELETE FROM {} WHERE chunk_index = 7").format(leaf.table))
    report = maintenance.maintain(database, leaf, settings)
    assert (len(report.built), len(report.dropped)) == (1, 1)


def test_several_namespaces_may_be_maintained_at_once(
    database: Database, connection: psycopg.Connection, settings: Settings
) -> None:
    several = [Leaf(f"parallel{n}", "m", 8) for n in range(3)]
    for leaf in several:
        namespaces.register(connection, leaf.namespace)
        leaves.ensure_leaf(connection, leaf)
        rows = [EmbeddingRow("document", uuid4(), i, "0" * 64, None) for i in range(200)]
        write(connection, leaf, rows, np.random.rand(200, 8).astype(np.float32), fingerprint="f")
    with ThreadPoolExecutor(3) as pool:
        built = pool.map(lambda leaf: maintenance.maintain(database, leaf, settings), several)
        assert [len(report.built) for report in built] == [1, 1, 1]


def test_progress_of_a_build_is_reported(
    database: Database,
    leaf: Leaf,
    insert: Insert,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(indexes, "POLL_SECONDS", 0.01)
    insert(5000)
    seen: list[tuple[int, int, str]] = []
    maintenance.maintain(database, leaf, settings, lambda *news: seen.append(news))
    assert seen
    assert all(0 <= done <= total for done, total, _ in seen)
    assert any("loading tuples" in unit for _, _, unit in seen)
