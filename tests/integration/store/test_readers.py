"""Searches on replicas: who answers, how far one may be behind, and what a pool does when full."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from urllib.parse import quote

import psycopg
import pytest
from pydantic import SecretStr

from greenlang_vectors.errors import DatabaseBusy
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import roles
from greenlang_vectors.store.database import Database, open_database
from greenlang_vectors.store.endpoints import Limits

from ...replication import Cluster, Server, cluster_of, until

pytestmark = pytest.mark.integration

PASSWORD = "correct horse battery"  # noqa: S105

Open = Callable[..., Database]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with cluster_of(standbys=2) as made:
        yield made


@pytest.fixture
def opened(cluster: Cluster) -> Iterator[Open]:
    """Opens a database with these readers, by default all, and waits until they are healthy."""
    with ExitStack() as stack:

        def open_(limits: Limits | None = None, readers: Sequence[str] | None = None) -> Database:
            urls = [cluster.url(s) for s in cluster.standbys] if readers is None else readers
            database = Database(cluster.url(cluster.primary), urls, limits)
            stack.callback(database.close)
            until(lambda: all(state.healthy for state in database.endpoints()))
            return database

        yield open_


def answering(connection: psycopg.Connection) -> str:
    """The folder of the server that answers."""
    connection.execute("SELECT 1")
    return connection.info.host


def folders(servers: Sequence[Server]) -> set[str]:
    return {str(server.folder) for server in servers}


def notes(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT count(*) FROM notes").fetchone()
    assert row is not None
    return int(row[0])


# Who answers


def test_searches_spread_over_the_readers_by_load(opened: Open, cluster: Cluster) -> None:
    database = opened()
    with ExitStack() as searches:
        hosts = [answering(searches.enter_context(database.reading())) for _ in range(6)]
        in_use = {(state.role, state.in_use) for state in database.endpoints()}
    assert {host: hosts.count(host) for host in hosts} == dict.fromkeys(
        folders(cluster.standbys), 3
    )
    assert in_use == {("writer", 0), ("reader", 3)}
    assert {state.in_use for state in database.endpoints()} == {0}


def test_without_readers_the_writer_answers(opened: Open, cluster: Cluster) -> None:
    database = opened(readers=[])
    with database.reading() as connection:
        assert answering(connection) == str(cluster.primary.folder)
    until(lambda: database.endpoints()[0].lag_seconds == 0)


def test_a_search_cannot_write_wherever_it_runs(opened: Open) -> None:
    database = opened()
    for fresh in (False, True):
        with database.reading(fresh=fresh) as connection:
            for statement in ("INSERT INTO notes VALUES (1)", "CREATE TEMP TABLE t (x integer)"):
                with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                    connection.execute(statement.encode())
    with database.connection() as connection:
        connection.execute("CREATE TEMP TABLE t (x integer)")


def test_own_writes_are_read_where_the_readers_do_not_have_them_yet(
    opened: Open, cluster: Cluster
) -> None:
    database = opened()
    for standby in cluster.standbys:
        standby.ask("SELECT pg_wal_replay_pause()")
    try:
        before = database.read(notes)
        with database.connection() as connection:
            connection.execute("INSERT INTO notes VALUES (1)")
        assert database.read(notes, fresh=True) == before + 1
        assert database.read(notes) == before
        with database.reading(fresh=True) as connection:
            assert answering(connection) == str(cluster.primary.folder)
    finally:
        for standby in cluster.standbys:
            standby.ask("SELECT pg_wal_replay_resume()")


def test_opening_asks_no_reader(cluster: Cluster) -> None:
    settings = Settings(
        database_url=SecretStr(cluster.url(cluster.primary)),
        database_reader_urls=SecretStr(
            "postgresql://me:hunter2@127.0.0.1:1,127.0.0.1:2/none, postgres://127.0.0.1:1/none"
        ),
    )
    database = open_database(settings)
    try:
        names = [state.name for state in database.endpoints()]
        assert names[1:] == ["127.0.0.1:1,127.0.0.1:2/none", "127.0.0.1:1/none"]
        assert database.read(answering) == str(cluster.primary.folder)
        until(lambda: all(state.problem for state in database.endpoints()[1:]))
        assert "hunter2" not in repr(database.endpoints())
        assert database.read(answering) == str(cluster.primary.folder)
    finally:
        database.close()


# How far behind


def test_an_idle_system_lags_by_nothing(opened: Open) -> None:
    database = opened()
    seen = []
    for _ in range(5):
        time.sleep(0.5)
        seen += [state.lag_seconds for state in database.endpoints()]
    assert set(seen) == {0.0}


def test_a_lagging_reader_is_left_out_until_it_has_caught_up(
    opened: Open, cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    database = opened(Limits(max_lag_seconds=1.0))
    slow, quick = cluster.standbys
    with caplog.at_level(logging.INFO, "greenlang_vectors"):
        slow.ask("SELECT pg_wal_replay_pause()")
        try:
            assert until(lambda: not database.endpoints()[1].healthy) < 6
            state = database.endpoints()[1]
            assert state.lag_seconds is not None
            assert state.lag_seconds > 1
            assert state.problem is not None
            assert "behind" in state.problem
            assert {database.read(answering) for _ in range(8)} == folders([quick])
        finally:
            slow.ask("SELECT pg_wal_replay_resume()")
        until(lambda: database.endpoints()[1].healthy)
    assert database.endpoints()[1].problem is None
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_the_heart_beats_once_a_second_however_many_ask(cluster: Cluster) -> None:
    def beats(_: int) -> set[object]:
        with psycopg.connect(cluster.url(cluster.primary), autocommit=True) as connection:
            started = time.monotonic()
            seen: set[object] = set()
            while time.monotonic() - started < 1.5:
                seen.add(connection.execute("SELECT beat()").fetchone())
            return seen

    with ThreadPoolExecutor(3) as pool:
        assert 2 <= len(set().union(*pool.map(beats, range(3)))) <= 3


# As whom


def test_a_login_that_only_reads_is_told_the_lag_and_bound_on_the_replica(
    cluster: Cluster,
) -> None:
    with psycopg.connect(cluster.url(cluster.primary), autocommit=True) as connection:
        roles.create_login(connection, "watcher", "reader", [], PASSWORD)
    cluster.caught_up()
    urls = [
        cluster.url(server, f"watcher:{quote(PASSWORD)}")
        for server in (cluster.primary, cluster.standbys[0])
    ]
    database = Database(urls[0], urls[1:], Limits(max_lag_seconds=2))
    try:
        until(lambda: all(state.healthy for state in database.endpoints()))
        with database.reading() as connection:
            assert answering(connection) == str(cluster.standbys[0].folder)
            assert connection.execute("SELECT row_security_active('documents')").fetchone() == (
                True,
            )
        time.sleep(3)
        assert all(state.healthy for state in database.endpoints())
    finally:
        database.close()


def test_a_superuser_named_for_a_reader_has_no_superusers_rights(
    opened: Open, cluster: Cluster
) -> None:
    database = opened(readers=[cluster.url(cluster.standbys[0], "postgres")])
    with database.reading() as connection:
        assert connection.execute(
            "SELECT session_user, current_user, current_setting('is_superuser')"
        ).fetchone() == ("postgres", roles.ADMIN, "off")


# What may fail


def test_a_search_that_a_standby_had_to_stop_is_done_elsewhere(
    opened: Open, cluster: Cluster
) -> None:
    """The standby may not delay replay: what VACUUM removes, its searches lose."""
    database = opened(readers=[cluster.url(cluster.standbys[0])])
    cluster.standbys[0].ask("ALTER SYSTEM SET max_standby_streaming_delay = 0")
    cluster.standbys[0].ask("SELECT pg_reload_conf()")
    asked: list[str] = []

    def search(connection: psycopg.Connection) -> int:
        asked.append(connection.info.host)
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            notes(connection)
            if len(asked) == 1:
                cluster.primary.ask(
                    "INSERT INTO notes SELECT generate_series(1, 500)", "replicated"
                )
                cluster.primary.ask("DELETE FROM notes", cluster.name)
                cluster.primary.ask("VACUUM notes", cluster.name)
                cluster.caught_up()
            return notes(connection)

    assert database.read(search) == 0
    assert asked == [str(cluster.standbys[0].folder), str(cluster.primary.folder)]
    assert all(state.healthy for state in database.endpoints())


def test_connections_the_server_ended_are_not_met_again(opened: Open, cluster: Cluster) -> None:
    database = opened(readers=[])
    with database.reading() as reading, database.connection() as writing:
        ended = {reading.info.backend_pid, writing.info.backend_pid}
    for pid in ended:
        cluster.primary.ask(f"SELECT pg_terminate_backend({pid}, 5000)")
    with database.reading() as reading, database.connection() as writing:
        reading.execute("SELECT 1")
        writing.execute("SELECT 1")
        assert not ended & {reading.info.backend_pid, writing.info.backend_pid}


def test_a_search_whose_connection_breaks_is_done_once_more(opened: Open, cluster: Cluster) -> None:
    database = opened()
    asked: list[int] = []

    def search(connection: psycopg.Connection) -> str:
        asked.append(connection.info.backend_pid)
        if len(asked) == 1:
            server = next(s for s in cluster.servers if str(s.folder) == connection.info.host)
            server.ask(f"SELECT pg_terminate_backend({asked[0]}, 5000)")
        return answering(connection)

    assert database.read(search) in folders(cluster.standbys)
    assert len(asked) == 2


def test_a_full_pool_is_waited_for_and_then_refused(opened: Open) -> None:
    database = opened(Limits(pool_size=1, wait_seconds=0.5), readers=[])
    free = threading.Event()

    def hold() -> None:
        with database.reading():
            free.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    until(lambda: database.endpoints()[0].in_use == 1)
    started = time.monotonic()
    with pytest.raises(DatabaseBusy, match="in use"), database.reading():
        pass
    assert 0.5 <= time.monotonic() - started < 2
    with database.connection() as connection:
        connection.execute("SELECT 1")
    threading.Timer(0.1, free.set).start()
    with database.reading() as connection:
        connection.execute("SELECT 1")
    holder.join()


def test_a_search_that_takes_too_long_is_stopped(opened: Open) -> None:
    database = opened(Limits(search_seconds=0.3))
    started = time.monotonic()
    with pytest.raises(DatabaseBusy, match=r"0\.3 s"), database.reading() as connection:
        connection.execute("SELECT pg_sleep(20)")
    assert time.monotonic() - started < 3
    with database.connection() as connection:
        connection.execute("SELECT pg_sleep(0.5)")


def test_a_transaction_left_open_does_not_come_back(opened: Open) -> None:
    database = opened(Limits(pool_size=1), readers=[])
    with database.connection() as connection:
        connection.execute("BEGIN")
        connection.execute("SET LOCAL hnsw.ef_search = 7")
    with database.connection() as connection:
        assert connection.info.transaction_status is psycopg.pq.TransactionStatus.IDLE
        connection.execute("SELECT 1")


def test_a_process_that_forks_has_connections_and_a_health_check_of_its_own(opened: Open) -> None:
    database = opened()
    with database.reading() as before, database.connection() as writing:
        pids = {before.info.backend_pid, writing.info.backend_pid}
    child = os.fork()
    if child == 0:
        code = 1
        try:
            until(lambda: all(state.healthy for state in database.endpoints()), 10)
            with database.reading() as reading, database.connection() as writing:
                own = {reading.info.backend_pid, writing.info.backend_pid}
                reading.execute("SELECT 1")
                writing.execute("SELECT 1")
            database.close()
            code = 2 if own & pids else 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with database.reading() as reading, database.connection() as writing:
        reading.execute("SELECT 1")
        assert {reading.info.backend_pid, writing.info.backend_pid} & pids
        writing.execute("SELECT 1")


def test_closing_ends_the_thread_and_the_connections(cluster: Cluster, opened: Open) -> None:
    database = opened()
    with database.reading() as connection:
        pid = connection.info.backend_pid
        host = connection.info.host
    names = [thread.name for thread in threading.enumerate()]
    database.close()
    left = [thread.name for thread in threading.enumerate()]
    assert names.count("database health") == left.count("database health") + 1
    server = next(s for s in cluster.servers if str(s.folder) == host)
    until(lambda: server.ask(f"SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}") == 0)
