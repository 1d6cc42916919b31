"""Rows that no graph holds yet are searched by cells: completely, and few of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, LiteralString, get_args
from uuid import UUID, uuid4

import numpy as np
import psycopg
import pytest
from numpy.typing import NDArray
from psycopg import sql

from benchmarks.vectors import VectorSource
from greenlang_vectors.errors import IndexBuildFailed
from greenlang_vectors.search import layouts
from greenlang_vectors.search.filters import parse_text
from greenlang_vectors.search.nearest import nearest
from greenlang_vectors.search.statements import cells_parameter, search_statement
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import (
    cells,
    embedded,
    index_estimates,
    indexes,
    leaves,
    maintenance,
    namespaces,
    schema,
    segments,
)
from greenlang_vectors.store.cells import NONE, Cells
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.index_settings import IndexSettings, Metric
from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.writing import EmbeddingRow, write

from .test_full_text import upgrade

pytestmark = pytest.mark.integration

DIMENSIONS = 24
SETTINGS = Settings(index_build_memory_mb=64, index_build_workers=0)

Vectors = NDArray[np.float32]


class Rows:
    """Writes rows of one leaf, numbered as they come."""

    def __init__(self, connection: psycopg.Connection, leaf: Leaf) -> None:
        self.connection = connection
        self.leaf = leaf
        self.index = leaves.index_settings(connection, leaf)
        self.vectors = np.empty((0, leaf.dimensions), np.float32)
        self._source = VectorSource(7, dimensions=leaf.dimensions)

    def add(self, count: int) -> Vectors:
        first, new = len(self.vectors), self._source.take(count)
        self.vectors = np.concatenate([self.vectors, new])
        rows = [self.row(first + n) for n in range(count)]
        write(self.connection, self.leaf, rows, new, fingerprint="f")
        return new

    def change(self, number: int, vector: Vectors) -> None:
        row = self.row(number)._replace(content_hash="1" * 64)
        write(self.connection, self.leaf, [row], vector[None], fingerprint="f")
        self.vectors[number] = vector

    @staticmethod
    def row(number: int) -> EmbeddingRow:
        return EmbeddingRow(
            "document", UUID(int=number), 0, "0" * 64, None, {"n": number, "odd": number % 2}
        )

    def find(self, query: Vectors, k: int, **options: Any) -> list[int]:  # noqa: ANN401
        found = nearest(
            self.connection, self.leaf, query, k, index=self.index, ef_search=400, **options
        )
        return [each.document_id.int for each in found.candidates]

    def truth(self, query: Vectors, k: int) -> list[int]:
        near = self.vectors @ query
        if self.index.metric == "l2":
            near = -np.linalg.norm(self.vectors - query, axis=1)
        return np.argsort(-near, kind="stable")[:k].tolist()

    def stale(self) -> list[int]:
        """Rows whose cell is other than their segment's cells say."""
        known = cells.generations(self.connection, self.leaf)
        wrong = []
        for number, segment, cell, vector in self.connection.execute(
            sql.SQL("SELECT source_id, segment, cell, embedding::float4[] FROM {}").format(
                self.leaf.table
            )
        ):
            held = [each.id for each in known if each.first_segment <= segment]
            if cell != NONE:
                holding = cells.load(self.connection, self.leaf, held[-1])
                assert holding is not None
                if holding.of(np.array([vector], np.float32))[0] != cell:
                    wrong.append(number.int)
        return wrong

    def cell_of(self, number: int) -> int:
        [(cell,)] = self.connection.execute(
            sql.SQL("SELECT cell FROM {} WHERE source_id = %s").format(self.leaf.table),
            [UUID(int=number)],
        )
        return int(cell)

    def train(self) -> None:
        maintenance._Work(self.connection, self.leaf, SETTINGS).train_cells()


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of rows behave as thousands do; they are too few to be told from a file's size."""
    monkeypatch.setattr(leaves, "about", leaves.count)
    monkeypatch.setattr(maintenance, "EXACT_ROWS", 200)
    monkeypatch.setattr(maintenance, "OBSERVED_SECONDS", 0.01)


MakeRows = Callable[..., Rows]


@pytest.fixture
def rows(connection: psycopg.Connection) -> Rows:
    return rows_of(connection)


def rows_of(connection: psycopg.Connection, metric: Metric = "cosine") -> Rows:
    leaf = Leaf(f"t{uuid4().hex[:12]}", "m", DIMENSIONS)
    namespaces.register(connection, leaf.namespace)
    leaves.ensure_leaf(connection, leaf, IndexSettings(metric=metric))
    return Rows(connection, leaf)


def everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Cells, "share", lambda *_: 1.0)


@pytest.mark.parametrize("metric", get_args(Metric))
def test_sealed_rows_those_in_cells_of_each_generation_and_in_none_are_one_whole(
    database: Database,
    connection: psycopg.Connection,
    metric: Metric,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    everything(monkeypatch)
    rows = rows_of(connection, metric)
    rows.add(400)
    maintenance.maintain(database, rows.leaf, SETTINGS)
    rows.add(150)
    rows.train()
    rows.add(150)
    rows.connection.execute(
        sql.SQL("UPDATE {} SET cell = -1 WHERE source_id = ANY(%s)").format(rows.leaf.table),
        [[UUID(int=n) for n in range(450, 650, 7)]],
    )
    layout = segments.in_cells(
        segments.cover(segments.on_leaf(connection, rows.leaf)),
        cells.generations(connection, rows.leaf),
        10,
    )
    assert [part.cells is not None for part in layout] == [False, True, True, False]
    for query in VectorSource(8, dimensions=DIMENSIONS).take(25):
        assert rows.find(query, 20, plan="index") == rows.truth(query, 20)
    assert rows.stale() == []


def test_a_row_is_found_by_its_own_vector_as_soon_as_it_is_committed(
    database: Database, rows: Rows
) -> None:
    rows.add(600)
    maintenance.maintain(database, rows.leaf, SETTINGS)
    for _ in range(5):
        first = len(rows.vectors)
        new = rows.add(80)
        for n, vector in enumerate(new):
            assert rows.find(vector, 1) == [first + n]


def test_cells_find_what_a_namespace_is_promised_in_a_part_of_the_rows(rows: Rows) -> None:
    rows.add(2000)
    rows.train()
    rows.add(3000)
    [generation] = cells.generations(rows.connection, rows.leaf)
    trained = cells.load(rows.connection, rows.leaf, generation.id)
    assert trained is not None
    assert trained.share(10) < 0.5
    queries = VectorSource(8, dimensions=DIMENSIONS).take(100)
    hits = [len({*rows.find(q, 10)} & {*rows.truth(q, 10)}) for q in queries]
    assert np.mean(hits) / 10 >= 0.93
    for query in queries[:10]:
        passing = rows.find(query, 10, filter=parse_text("metadata.odd = 1"))
        assert len({*passing}) == 10
        assert all(number % 2 for number in passing)


def test_training_anew_strands_no_row_and_what_nothing_uses_is_forgotten(
    database: Database, rows: Rows
) -> None:
    rows.add(300)
    for _ in range(3):
        rows.train()
        rows.add(150)
    assert len(cells.generations(rows.connection, rows.leaf)) == 3
    for number in range(0, 750, 11):
        assert rows.find(rows.vectors[number], 1) == [number]
    maintenance.maintain(database, rows.leaf, SETTINGS)
    [newest] = cells.generations(rows.connection, rows.leaf)
    assert newest.first_segment <= segments.tail_start(
        segments.cover(segments.on_leaf(rows.connection, rows.leaf))
    )
    for index in segments.on_leaf(rows.connection, rows.leaf):
        rows.connection.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(index.name)))
    for number in range(0, 750, 11):
        assert rows.find(rows.vectors[number], 1) == [number], "without a graph and old cells"


def test_cells_are_trained_when_there_are_rows_enough_and_again_when_outgrown(
    database: Database, rows: Rows
) -> None:
    def first_segments() -> list[int]:
        return [each.first_segment for each in cells.generations(rows.connection, rows.leaf)]

    rows.add(200)
    maintenance.maintain(database, rows.leaf, SETTINGS)
    assert first_segments() == []
    rows.add(210)
    maintenance.maintain(database, rows.leaf, SETTINGS)
    [first] = first_segments()
    rows.add(maintenance.OUTGROWN * 410 - 410 - 150)
    maintenance.maintain(database, rows.leaf, SETTINGS)
    assert first_segments() == [first]
    rows.add(400)
    maintenance.maintain(database, rows.leaf, SETTINGS)
    [second] = first_segments()
    assert second > first


def test_plain_sql_leaves_no_row_in_a_cell_its_vector_does_not_lie_in(rows: Rows) -> None:
    rows.add(300)
    rows.train()
    rows.add(40)
    table, new = rows.leaf.table, VectorSource(9, dimensions=DIMENSIONS).take(2)
    changed, moved, kept = (UUID(int=n) for n in (310, 311, 312))

    def update(assignment: LiteralString, key: UUID, *parameters: object) -> None:
        rows.connection.execute(
            sql.SQL("UPDATE {} SET {} WHERE source_id = %s").format(table, sql.SQL(assignment)),
            [*parameters, key],
        )

    before = rows.cell_of(312)
    update("embedding = %s", changed, new[0])
    rows.vectors[310] = new[0]
    update("segment = segment + 1", moved)
    update("metadata = '{}', segment = segment", kept)
    assert (rows.cell_of(310), rows.cell_of(311), rows.cell_of(312)) == (NONE, NONE, before)
    assert rows.stale() == []
    assert rows.find(new[0], 1) == [310]
    assert rows.find(rows.vectors[311], 1) == [311]


def test_the_writer_says_the_cell_of_a_changed_row_though_it_is_the_same(rows: Rows) -> None:
    rows.add(300)
    rows.train()
    rows.add(40)
    before = rows.cell_of(320)
    rows.change(320, rows.vectors[320] * 1.01)
    assert rows.cell_of(320) == before
    rows.change(5, rows.vectors[5])
    assert rows.cell_of(5) >= 0, "written again, it lies in the open segment"
    far = -rows.vectors[321]
    rows.change(321, far)
    assert rows.find(far, 1) == [321]
    assert rows.stale() == []
    rows.connection.execute(
        sql.SQL("DELETE FROM {} WHERE source_id = %s").format(rows.leaf.table), [UUID(int=321)]
    )
    assert rows.find(far, 1) != [321]


@pytest.mark.parametrize("broken", ["build", "drop"])
def test_a_search_is_complete_when_maintenance_is_killed(
    database: Database, rows: Rows, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything(monkeypatch)
    rows.add(250)
    maintenance.maintain(database, rows.leaf, SETTINGS)
    rows.add(900)

    def kill(*_: object) -> None:
        raise IndexBuildFailed("killed", "")

    with monkeypatch.context() as patched:
        patched.setattr(indexes, broken, kill)
        with pytest.raises(IndexBuildFailed):
            maintenance.maintain(database, rows.leaf, SETTINGS)
    rows.add(50)
    for query in VectorSource(8, dimensions=DIMENSIONS).take(20):
        assert rows.find(query, 10, plan="index") == rows.truth(query, 10)
    maintenance.maintain(database, rows.leaf, SETTINGS)
    assert maintenance.problems(rows.connection, rows.leaf, SETTINGS) == []


def test_a_search_reads_the_rows_of_its_cells_and_no_others(rows: Rows) -> None:
    rows.add(1000)
    rows.train()
    rows.add(3000)
    leaves.analyze(rows.connection, rows.leaf)
    [query] = VectorSource(8, dimensions=DIMENSIONS).take(1)
    rows.find(query, 5, plan="index")
    layout = layouts.kept(rows.connection, rows.leaf)
    assert layout is not None
    [part] = [part for part in layout.parts if part.cells is not None]
    searched = layout.cells[part.cells].to_search(query, 5)  # type: ignore[index]
    [(lying,)] = rows.connection.execute(
        sql.SQL("SELECT count(*) FROM {} WHERE segment >= %s AND cell = ANY(%s)").format(
            rows.leaf.table
        ),
        [part.first, searched],
    )
    with rows.connection.transaction():
        for setting in ("seqscan", "bitmapscan", "sort"):
            rows.connection.execute(f"SET LOCAL enable_{setting} = off")
        [(plan,)] = rows.connection.execute(
            sql.SQL("EXPLAIN (ANALYZE, FORMAT JSON) {}").format(
                search_statement(rows.leaf, rows.index, [part])
            ),
            {"query": query, "k": 5, "candidates": 5, cells_parameter(part): searched},
        )
    scans = []

    def visit(node: dict[str, Any]) -> None:
        scans.extend([node] if "Relation Name" in node else [])
        for child in node.get("Plans", []):
            visit(child)

    visit(plan[0]["Plan"])
    [scan] = scans
    assert "cell = ANY" in scan["Index Cond"]
    assert scan["Actual Rows"] == lying < 1500
    assert scan.get("Rows Removed by Filter", 0) == 0


def test_an_index_of_an_earlier_version_over_the_tail_serves_nobody_and_goes(
    database: Database, rows: Rows
) -> None:
    rows.add(100)
    name = "ivfflat_0123456789ab_0_open"
    rows.connection.execute(
        sql.SQL(
            "CREATE INDEX {} ON {} USING ivfflat ((embedding::vector({})) vector_cosine_ops)"
            " WITH (lists = 5) WHERE segment >= 0"
        ).format(sql.Identifier(name), rows.leaf.table, DIMENSIONS)
    )
    assert rows.find(rows.vectors[3], 5) == rows.truth(rows.vectors[3], 5)
    assert maintenance.maintain(database, rows.leaf, SETTINGS).dropped == (name,)


def test_no_graph_is_begun_while_rows_stream_in_and_one_as_soon_as_they_do_not(
    database: Database, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "OBSERVED_SECONDS", 1.2)
    monkeypatch.setitem(index_estimates.DEFAULT_RATES, "hnsw", 1.0)
    rows.add(1000)
    done = threading.Event()

    def stream() -> None:
        with database.connect() as other:
            more = Rows(other, rows.leaf)
            more.vectors = rows.vectors
            while not done.is_set():
                more.add(30)
                done.wait(0.1)

    writer = threading.Thread(target=stream)
    writer.start()
    try:
        report = maintenance.maintain(database, rows.leaf, SETTINGS)
        assert report.built == ()
        assert cells.generations(rows.connection, rows.leaf), "searches are to be quick meanwhile"
        assert not maintenance.due(rows.connection, rows.leaf, SETTINGS)
    finally:
        done.set()
        writer.join()
    assert maintenance.due(rows.connection, rows.leaf, SETTINGS)
    assert len(maintenance.maintain(database, rows.leaf, SETTINGS).built) == 1


FILLED = """
    INSERT INTO namespaces (name, chunking) VALUES ('old', 'semantic');
    CREATE TABLE vector_embeddings_old PARTITION OF vector_embeddings FOR VALUES IN ('old')
        PARTITION BY LIST (embedding_model);
    CREATE TABLE leaf PARTITION OF vector_embeddings_old FOR VALUES IN ('m');
    INSERT INTO embedding_collections (id, name, namespace, embedding_model, dimensions)
        VALUES (%(id)s, 'old/m', 'old', 'm', 3);
    INSERT INTO vector_embeddings (namespace, embedding_model, id, source_type, source_id,
        chunk_index, content_hash, embedding, embedding_fingerprint)
    SELECT 'old', 'm', gen_random_uuid(), 'document', gen_random_uuid(), n, '',
        ARRAY[n, 1, 1]::vector, 'f'
    FROM generate_series(1, 50) AS n;
"""


def test_rows_from_before_lie_in_no_cell(server: str) -> None:
    url = embedded.owned_database(server, f"before_{uuid4().hex[:8]}")
    upgrade(url, "0011")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET ROLE vector_admin")
        cursor = psycopg.ClientCursor(connection)
        cursor.execute(FILLED, {"id": uuid4()})
        connection.execute("RESET ROLE")
        schema.migrate(connection)
        [(rows, lowest, highest)] = connection.execute(
            "SELECT count(*), min(cell), max(cell) FROM leaf"
        )
        assert (rows, lowest, highest) == (50, NONE, NONE)
        found = connection.execute(
            "SELECT indexdef FROM pg_indexes WHERE tablename = 'leaf' AND indexdef LIKE %s",
            ["%segment%"],
        ).fetchall()
        assert [definition.partition(" USING ")[2] for (definition,) in found] == [
            "btree (segment, cell)"
        ]
        connection.execute("UPDATE leaf SET cell = 3 WHERE chunk_index <= 2")
        connection.execute("UPDATE leaf SET embedding = '[0,0,1]' WHERE chunk_index = 1")
        assert connection.execute(
            "SELECT cell FROM leaf WHERE chunk_index <= 3 ORDER BY chunk_index"
        ).fetchall() == [(NONE,), (3,), (NONE,)]
