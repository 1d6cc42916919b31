"""Indexes on metadata follow the sealed segments; new rows land in none of them."""

from __future__ import annotations

from uuid import uuid4

import numpy as np
import psycopg
import pytest
from psycopg import sql

from greenlang_vectors.search import nearest
from greenlang_vectors.search.filters import parse_text
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import filter_indexes, maintenance, segments
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.index_settings import IndexSettings
from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.writing import EmbeddingRow, write

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tails of tens of rows behave as those of thousands do."""
    monkeypatch.setattr(maintenance, "EXACT_ROWS", 50)


def insert(connection: psycopg.Connection, leaf: Leaf, count: int) -> None:
    document = uuid4()
    rows = [EmbeddingRow("document", document, n, "0" * 64, None, {"n": n}) for n in range(count)]
    vectors = np.random.default_rng(count).normal(size=(count, leaf.dimensions))
    write(connection, leaf, rows, vectors.astype(np.float32), fingerprint="f")


def maintain(database: Database, leaf: Leaf) -> None:
    maintenance.maintain(database, leaf, Settings(index_build_memory_mb=64, index_build_workers=0))


def found(connection: psycopg.Connection, leaf: Leaf) -> dict[str, tuple[int, int]]:
    """Scans and pages of the leaf's indexes on metadata, by name."""
    connection.execute("SELECT pg_stat_force_next_flush()")
    rows = connection.execute(
        """
        SELECT indexrelname, idx_scan, pg_relation_size(indexrelid) FROM pg_stat_user_indexes
        WHERE relname = %s AND pg_get_indexdef(indexrelid) LIKE %s
        """,
        [leaf.name, "%USING gin%"],
    )
    return {name: (scans, size) for name, scans, size in rows}


def covered(connection: psycopg.Connection, leaf: Leaf) -> list[tuple[int, int | None]]:
    return [(part.first, part.last) for part in filter_indexes.ranges(connection, leaf)]


def test_they_follow_the_sealed_segments_through_merges(
    database: Database, connection: psycopg.Connection, leaf: Leaf
) -> None:
    assert covered(connection, leaf) == [(0, None)]
    insert(connection, leaf, 1000)
    maintain(database, leaf)
    assert covered(connection, leaf) == [(0, 1), (2, None)]
    insert(connection, leaf, 60)
    maintain(database, leaf)
    assert covered(connection, leaf) == [(0, 1), (2, 2), (3, None)]
    insert(connection, leaf, 61)
    maintain(database, leaf)
    assert covered(connection, leaf) == [(0, 1), (2, 3), (4, None)]
    assert len(found(connection, leaf)) == 2
    before = found(connection, leaf)
    maintain(database, leaf)
    assert found(connection, leaf) == before


def test_new_rows_touch_no_index_and_are_found(
    database: Database, connection: psycopg.Connection, leaf: Leaf
) -> None:
    insert(connection, leaf, 500)
    maintain(database, leaf)
    [(name, (_, size))] = found(connection, leaf).items()
    insert(connection, leaf, 400)
    assert found(connection, leaf)[name][1] == size
    asked = nearest.nearest(
        connection,
        leaf,
        np.ones(leaf.dimensions, np.float32),
        10,
        index=IndexSettings(),
        filter=parse_text("metadata.n = 7"),
    )
    assert [each.chunk_index for each in asked.candidates] == [7, 7]
    assert asked.plan.startswith("exact")


def test_a_narrow_filter_reads_only_what_the_index_finds(
    database: Database, connection: psycopg.Connection, leaf: Leaf
) -> None:
    insert(connection, leaf, 5000)
    maintain(database, leaf)
    [(name, (scans, _))] = found(connection, leaf).items()
    query = np.ones(leaf.dimensions, np.float32)
    asked = nearest.nearest(
        connection, leaf, query, 10, index=IndexSettings(), filter=parse_text("metadata.n = 7")
    )
    assert [each.chunk_index for each in asked.candidates] == [7]
    assert found(connection, leaf)[name][0] == scans + 1


def test_what_a_killed_build_left_is_replaced(
    database: Database, connection: psycopg.Connection, leaf: Leaf, server: str
) -> None:
    insert(connection, leaf, 60)
    maintain(database, leaf)
    [name] = found(connection, leaf)
    with psycopg.connect(server, dbname=connection.info.dbname, autocommit=True) as superuser:
        superuser.execute(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s::regclass",
            [sql.Identifier(name).as_string(connection)],
        )
    assert covered(connection, leaf) == [(0, None)]
    maintain(database, leaf)
    assert covered(connection, leaf) == [(0, 1), (2, None)]
    assert [*found(connection, leaf)] == [name]


def test_names_are_those_of_no_ann_index(
    database: Database, connection: psycopg.Connection, leaf: Leaf
) -> None:
    insert(connection, leaf, 60)
    maintain(database, leaf)
    ann = [index.name for index in segments.on_leaf(connection, leaf)]
    assert len(ann) == 1
    assert not {*ann} & {*found(connection, leaf)}
