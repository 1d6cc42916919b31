"""HNSW indexes on leaves: built once, mended, exchanged, and used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

from greenlang_vectors.errors import IndexBuildFailed
from greenlang_vectors.settings import PROFILES
from greenlang_vectors.store import embeddings, indexes, namespaces
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.embeddings import Leaf
from greenlang_vectors.store.indexes import HnswIndex

pytestmark = pytest.mark.integration

AddDocument = Callable[[psycopg.Connection, str, str, Sequence[str]], UUID]
EmbedAll = Callable[[psycopg.Connection, Leaf], int]


def build(database: Database, index: HnswIndex) -> bool:
    return indexes.build(database, index, memory_mb=64, workers=0)


@pytest.fixture
def filled(database: Database, leaf: Leaf, add_document: AddDocument, embed_all: EmbedAll) -> Leaf:
    with database.connect() as connection:
        add_document(connection, leaf.namespace, "a.txt", [f"passage {n}" for n in range(300)])
        embed_all(connection, leaf)
    return leaf


def test_an_index_is_built_once_with_the_profiles_parameters(
    database: Database, filled: Leaf
) -> None:
    index = HnswIndex.of(filled, PROFILES["dev"])
    assert build(database, index) is True
    assert build(database, index) is False
    with database.connect() as connection:
        row = connection.execute(
            "SELECT reloptions FROM pg_class WHERE relname = %s", [index.name]
        ).fetchone()
        [state] = indexes.on_leaf(connection, filled)
    assert row == (["m=8", "ef_construction=100"],)
    assert (state.name, state.valid) == (index.name, True)


def test_other_parameters_replace_the_index(database: Database, filled: Leaf) -> None:
    build(database, HnswIndex.of(filled, PROFILES["dev"]))
    wanted = HnswIndex.of(filled, PROFILES["staging"])
    assert build(database, wanted) is True
    with database.connect() as connection:
        assert [state.name for state in indexes.on_leaf(connection, filled)] == [wanted.name]


def test_an_invalid_leftover_is_dropped_and_the_index_built(
    database: Database, filled: Leaf
) -> None:
    index = HnswIndex.of(filled, PROFILES["dev"])
    build(database, index)
    with database.connect() as connection:
        connection.execute(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s::regclass",
            [sql.Identifier(index.name).as_string(connection)],
        )
    assert build(database, index) is True
    with database.connect() as connection:
        assert [s.valid for s in indexes.on_leaf(connection, filled)] == [True]


def test_a_build_that_breaks_off_says_so_and_the_next_one_mends_it(
    database: Database, filled: Leaf
) -> None:
    index = HnswIndex.of(filled, PROFILES["dev"])
    with database.connect() as connection:
        connection.execute(
            sql.SQL("ALTER TABLE {} DROP CONSTRAINT dimensions").format(filled.table)
        )
        connection.execute(
            sql.SQL("UPDATE {} SET embedding = '[1,2,3]' WHERE chunk_index = 7").format(
                filled.table
            )
        )
        with pytest.raises(IndexBuildFailed, match=index.name):
            build(database, index)
        assert [s.valid for s in indexes.on_leaf(connection, filled)] == [False]
        connection.execute(sql.SQL("DELETE FROM {} WHERE chunk_index = 7").format(filled.table))
    assert build(database, index) is True


def test_several_namespaces_may_build_at_once(
    database: Database, add_document: AddDocument, embed_all: EmbedAll
) -> None:
    leaves = [Leaf(f"parallel{n}", "test-model", 8) for n in range(3)]
    with database.connect() as connection:
        for leaf in leaves:
            namespaces.register(connection, leaf.namespace)
            embeddings.ensure_leaf(connection, leaf)
            add_document(connection, leaf.namespace, "a", [f"passage {n}" for n in range(200)])
            embed_all(connection, leaf)
    with ThreadPoolExecutor(3) as pool:
        built = pool.map(lambda leaf: build(database, HnswIndex.of(leaf, PROFILES["dev"])), leaves)
        assert list(built) == [True, True, True]


def test_progress_of_a_build_is_reported(
    database: Database,
    leaf: Leaf,
    add_document: AddDocument,
    embed_all: EmbedAll,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(indexes, "POLL_SECONDS", 0.01)
    with database.connect() as connection:
        add_document(connection, leaf.namespace, "a.txt", [f"passage {n}" for n in range(5000)])
        embed_all(connection, leaf)
    seen: list[tuple[int, int, str]] = []
    indexes.build(
        database,
        HnswIndex.of(leaf, PROFILES["staging"]),
        memory_mb=64,
        workers=0,
        progress=lambda *news: seen.append(news),
    )
    assert seen
    assert all(0 <= done <= total for done, total, _ in seen)
    assert any("loading tuples" in unit for _, _, unit in seen)
