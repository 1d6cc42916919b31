"""Servers that die, hang and take over while searches and writes go on."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

import psycopg
import pytest

from greenlang_vectors.errors import DatabaseUnavailable
from greenlang_vectors.store import embedded
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.endpoints import Limits

from ..replication import Cluster, cluster_of, until

pytestmark = pytest.mark.faults

QUICK = Limits(max_lag_seconds=2.0, search_seconds=20)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with cluster_of(standbys=2) as made:
        yield made


@contextmanager
def opened(url: str, *readers: str) -> Iterator[Database]:
    """The database; not before its readers are healthy."""
    database = Database(url, readers, QUICK)
    try:
        until(lambda: all(state.healthy for state in database.endpoints()))
        yield database
    finally:
        database.close()


class Searchers:
    """Threads that search without a pause: what they got, and how long it took at most."""

    def __init__(self, database: Database, threads: int = 4) -> None:
        self.answers: Counter[str] = Counter()
        self.errors: list[Exception] = []
        self.longest = 0.0
        self._counted_from = 0.0
        self._database = database
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._search) for _ in range(threads)]

    def __enter__(self) -> Searchers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()

    def answered_by(self, seconds: float = 0.5) -> set[str]:
        """Who answers the searches that begin from now on, for so long."""
        self._counted_from = time.monotonic()
        self.answers.clear()
        time.sleep(seconds)
        return set(self.answers)

    def _search(self) -> None:
        while not self._end.is_set():
            started = time.monotonic()
            try:
                answered = self._database.read(answering)
                if started >= self._counted_from:
                    self.answers[answered] += 1
            except Exception as error:  # noqa: BLE001 - whatever it is, it is counted
                self.errors.append(error)
            self.longest = max(self.longest, time.monotonic() - started)
            time.sleep(0.01)


def answering(connection: psycopg.Connection) -> str:
    connection.execute("SELECT pg_sleep(0.005)")
    return connection.info.host


def write(database: Database) -> None:
    with database.connection() as connection:
        connection.execute("INSERT INTO notes VALUES (1)")


def write_again(database: Database) -> bool:
    try:
        write(database)
    except (DatabaseUnavailable, psycopg.OperationalError):
        return False
    return True


def test_no_search_fails_when_a_reader_dies_and_comes_back(cluster: Cluster) -> None:
    dying, other = cluster.standbys
    readers = [cluster.url(server) for server in cluster.standbys]
    with opened(cluster.url(cluster.primary), *readers) as database, Searchers(database) as running:
        assert running.answered_by() == {str(dying.folder), str(other.folder)}
        dying.stop()
        assert until(lambda: not database.endpoints()[1].healthy) < 3
        assert running.answered_by() == {str(other.folder)}
        dying.start()
        until(lambda: database.endpoints()[1].healthy)
        assert running.answered_by() == {str(dying.folder), str(other.folder)}
        assert running.errors == []
        assert running.longest < 3


def test_no_search_fails_when_a_reader_hangs(cluster: Cluster) -> None:
    """Those that wait for it go elsewhere, too."""
    hanging, other = cluster.standbys
    readers = [cluster.url(server) for server in cluster.standbys]
    with opened(cluster.url(cluster.primary), *readers) as database, Searchers(database) as running:
        assert running.answered_by() == {str(hanging.folder), str(other.folder)}
        with hanging.hanging():
            assert until(lambda: not database.endpoints()[1].healthy) < 5
            until(lambda: database.endpoints()[1].in_use == 0)
            assert running.answered_by() == {str(other.folder)}
        until(lambda: database.endpoints()[1].healthy)
        assert running.answered_by() == {str(hanging.folder), str(other.folder)}
        assert running.errors == []
        assert running.longest < 12


def test_a_reader_that_accepts_and_never_answers_holds_up_nothing(cluster: Cluster) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        reader = f"postgresql://me@127.0.0.1:{silent.getsockname()[1]}/none"
        database = Database(cluster.url(cluster.primary), [reader], QUICK)
        with Searchers(database) as running:
            until(lambda: database.endpoints()[1].problem)
            assert running.answered_by(1) == {str(cluster.primary.folder)}
        assert running.errors == []
        assert running.longest < 1
        started = time.monotonic()
        database.close()
        assert time.monotonic() - started < 4


def test_a_writer_that_hangs_stops_no_search_and_no_caller_for_ever(cluster: Cluster) -> None:
    readers = [cluster.url(cluster.standbys[1])]
    with opened(cluster.url(cluster.primary), *readers) as database:
        with cluster.primary.hanging():
            started = time.monotonic()
            with pytest.raises(DatabaseUnavailable):
                database.read(answering, fresh=True)
            assert time.monotonic() - started < 20
            assert database.read(answering) == str(cluster.standbys[1].folder)
            assert not database.endpoints()[0].healthy
        until(lambda: database.endpoints()[0].healthy)
        assert database.read(answering, fresh=True) == str(cluster.primary.folder)


def test_writes_go_to_the_server_that_is_promoted(cluster: Cluster) -> None:
    """The last test of the module: the old primary does not come back."""
    promoted, stale = cluster.standbys
    hosts = ",".join(quote(str(server.folder)) for server in cluster.servers)
    anyone = f"postgresql://{embedded.OWNER}@/{cluster.name}?host={hosts}"
    writer = f"{anyone}&target_session_attrs=read-write"
    with (
        opened(writer, cluster.url(stale)) as database,
        opened(cluster.url(promoted)) as of_standby,
        Searchers(database) as running,
    ):
        write(database)
        with pytest.raises(DatabaseUnavailable, match="takes no writes"):
            write(of_standby)
        with of_standby.connection() as connection:
            before = connection.info.backend_pid
        with pytest.raises(DatabaseUnavailable, match="takes no writes"):
            write(of_standby)
        with of_standby.connection() as connection:
            assert connection.info.backend_pid != before, "kept where writes are refused"
        cluster.caught_up()
        cluster.primary.stop()
        assert not write_again(database)
        assert running.answered_by() == {str(stale.folder)}
        promoted.promote()
        until(lambda: write_again(database))
        until(lambda: write_again(of_standby))
        assert database.read(lambda c: c.info.host, fresh=True) == str(promoted.folder)
        count = "SELECT count(*) FROM notes"
        assert promoted.ask(count, cluster.name) == 3
        until(lambda: not database.endpoints()[1].healthy)
        assert running.answered_by() == {str(promoted.folder)}
        assert running.errors == []
