"""Advisory locks between runs."""

from __future__ import annotations

import threading

import psycopg
import pytest

from greenlang_vectors.store.database import Database
from greenlang_vectors.store.locks import exclusive

pytestmark = pytest.mark.integration


def test_one_at_a_time(database: Database) -> None:
    order: list[str] = []
    holding = threading.Event()

    def second() -> None:
        with database.connect() as connection:
            holding.wait(10)
            with exclusive(connection, "stage", "csrd"):
                order.append("second")

    waiting = threading.Thread(target=second)
    waiting.start()
    with database.connect() as connection, exclusive(connection, "stage", "csrd"):
        holding.set()
        waiting.join(timeout=0.5)
        assert waiting.is_alive()
        order.append("first")
    waiting.join(10)
    assert order == ["first", "second"]


def test_other_names_do_not_wait(database: Database) -> None:
    with (
        database.connect() as one,
        database.connect() as other,
        exclusive(one, "stage", "csrd"),
        exclusive(other, "stage", "cbam"),
    ):
        pass


def test_the_lock_ends_with_its_connection(database: Database) -> None:
    with database.connect() as killed, database.connect() as next_one:
        with exclusive(killed, "stage", "csrd"):
            next_one.execute("SELECT pg_terminate_backend(%s)", [killed.info.backend_pid])
            with pytest.raises(psycopg.OperationalError):
                killed.execute("SELECT 1")
        with exclusive(next_one, "stage", "csrd"):
            pass


def test_an_interrupt_is_not_hidden_by_the_command_it_interrupted(database: Database) -> None:
    def interrupted() -> None:
        with database.connect() as connection, exclusive(connection, "stage", "csrd"):
            connection.pgconn.send_query(b"SELECT pg_sleep(0.1)")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with database.connect() as connection, exclusive(connection, "stage", "csrd"):
        pass


def test_waiting_holds_no_snapshot_that_would_stop_an_index_build(database: Database) -> None:
    with database.connect() as holder, database.connect() as waiter:
        done = threading.Event()

        def wait() -> None:
            with exclusive(waiter, "stage", "eudr"):
                done.set()

        with exclusive(holder, "stage", "eudr"):
            thread = threading.Thread(target=wait)
            thread.start()
            holder.execute("CREATE TABLE built (x integer)")
            holder.execute("SET statement_timeout = '5s'")
            holder.execute("CREATE INDEX CONCURRENTLY ON built (x)")
            assert not done.is_set()
        thread.join(10)
        assert done.is_set()
