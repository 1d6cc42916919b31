"""The registry of namespaces and the partitions behind it."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg import sql

from greenlang_vectors.errors import InvalidNamespaceName, UnknownNamespace, UsageError
from greenlang_vectors.store import namespaces
from greenlang_vectors.store.database import Database

pytestmark = pytest.mark.integration


def partitions(connection: psycopg.Connection, name: str) -> set[str]:
    rows = connection.execute(
        "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relname LIKE %s",
        [f"%\\_{name}"],
    )
    return {row[0].removesuffix(f"_{name}") for row in rows}


def test_registering_makes_every_partition_and_again_changes_only_what_is_given(
    database: Database,
) -> None:
    with database.connect() as connection:
        namespaces.register(connection, "one", source_uri="/docs", chunking="fixed")
        again = namespaces.register(
            connection, "one", chunking_by_media_type={"text/plain": "sliding_window"}
        )
        assert partitions(connection, "one") == set(namespaces.PARTITIONED_TABLES)
    assert (again.source_uri, again.chunking) == ("/docs", "fixed")
    assert again.strategy_for("text/plain") == "sliding_window"
    assert again.strategy_for("text/html") == "fixed"


def test_dropping_removes_every_partition_and_no_other_namespace(database: Database) -> None:
    with database.connect() as connection:
        namespaces.register(connection, "dropped")
        namespaces.register(connection, "kept")
        namespaces.drop(connection, "dropped")
        assert partitions(connection, "dropped") == set()
        assert partitions(connection, "kept") == set(namespaces.PARTITIONED_TABLES)
        with pytest.raises(UnknownNamespace):
            namespaces.get(connection, "dropped")


@pytest.mark.parametrize(
    ("change", "held", "wanted"),
    [
        (namespaces.register, "document_chunks", "documents"),
        (namespaces.drop, "documents", "document_chunks"),
    ],
)
def test_a_deadlock_with_one_who_writes_is_waited_out(
    database: Database,
    caplog: pytest.LogCaptureFixture,
    change: Callable[[psycopg.Connection, str], object],
    held: str,
    wanted: str,
) -> None:
    """The writer takes the tables the other way round, the second while the first is waited for."""
    with (
        database.connect() as connection,
        database.connect() as writer,
        ThreadPoolExecutor() as threads,
    ):
        if change is namespaces.drop:
            namespaces.register(connection, "contended")
        with writer.transaction():
            lock = sql.SQL("LOCK TABLE ONLY {} IN ROW EXCLUSIVE MODE")
            writer.execute(lock.format(sql.Identifier(held)))
            changed = threads.submit(change, connection, "contended")
            while not writer.execute(
                "SELECT 1 FROM pg_locks WHERE relation = %s::regclass AND NOT granted", [held]
            ).fetchone():
                assert not changed.done()
            time.sleep(0.5)  # who has waited longer sees the deadlock first, and is undone
            writer.execute(lock.format(sql.Identifier(wanted)))
        changed.result()
        there = {each.name for each in namespaces.list_all(connection)}
    assert ("contended" in there) == (change is namespaces.register)
    assert "DeadlockDetected" in caplog.text


def test_an_unknown_namespace_names_the_known_ones(database: Database) -> None:
    with database.connect() as connection:
        namespaces.register(connection, "known-one")
        with pytest.raises(UnknownNamespace, match=r"'nowhere'.*known-one"):
            namespaces.get(connection, "nowhere")


def test_nothing_is_registered_under_a_bad_name_or_strategy(database: Database) -> None:
    with database.connect() as connection:
        with pytest.raises(InvalidNamespaceName):
            namespaces.register(connection, "x'; DROP TABLE documents; --")
        with pytest.raises(UsageError, match="semantic, fixed"):
            namespaces.register(connection, "bad-strategy", chunking="random")
        names = [namespace.name for namespace in namespaces.list_all(connection)]
    assert "bad-strategy" not in names


def test_many_may_register_the_same_namespace_at_once(database: Database) -> None:
    def register(_: int) -> str:
        with database.connect() as connection:
            return namespaces.register(connection, "contested").name

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(register, range(4))) == {"contested"}


def test_a_chunk_cannot_outlive_its_document(database: Database) -> None:
    with database.connect() as connection:
        namespaces.register(connection, "strict")
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            connection.execute(
                """
                INSERT INTO document_chunks (namespace, document_id, chunk_index, level, content,
                    content_hash, token_count, start_char, end_char, heading_path)
                VALUES ('strict', gen_random_uuid(), 0, 0, 'x', repeat('0', 64), 3, 0, 1, '{}')
                """
            )
