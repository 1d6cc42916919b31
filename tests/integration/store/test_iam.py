"""Tokens in place of passwords, on a server with TLS whose tokens expire."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import psycopg
import pytest
from psycopg import sql

from greenlang_vectors.errors import DatabaseUnavailable
from greenlang_vectors.store.database import Database

from ...replication import until
from ...tls_server import TlsServer

pytestmark = pytest.mark.integration

BEAT = """
    CREATE VIEW heartbeat AS SELECT clock_timestamp() AS beat_at;
    CREATE FUNCTION beat() RETURNS timestamptz LANGUAGE sql AS 'SELECT clock_timestamp()';
    GRANT SELECT ON heartbeat TO PUBLIC
"""


@pytest.fixture
def database(secure: TlsServer) -> Iterator[Database]:
    made = Database(secure.url("app"), tokens=secure.one_time_token)
    yield made
    made.close()


@pytest.fixture(scope="module")
def replica(tls_session: TlsServer) -> str:
    """A second database in the part of a reader, as far as its health check sees."""
    tls_session.ask(sql.SQL("CREATE DATABASE replica"))
    tls_session.ask(sql.SQL("CREATE DOMAIN vector AS text"), "replica")
    for name in ("postgres", "replica"):
        tls_session.ask(sql.SQL(BEAT), name)
    return tls_session.url("app", "replica")


def where(connection: psycopg.Connection) -> tuple[str, int]:
    connection.execute("SELECT 1")
    return connection.info.dbname, connection.info.backend_pid


def test_each_new_connection_has_a_token_of_its_own_and_tls(
    secure: TlsServer, database: Database
) -> None:
    before = len(secure.tokens)
    with ExitStack() as held:
        made = [held.enter_context(database.connection()) for _ in range(3)]
        made.append(held.enter_context(database.connect()))
        assert all(connection.pgconn.ssl_in_use for connection in made)
    assert len(secure.tokens[before:]) == 4


def test_a_connection_outlives_its_token_and_is_replaced_with_a_new_one(
    secure: TlsServer, database: Database
) -> None:
    with database.connection() as connection:
        pid = connection.info.backend_pid
    secure.expire()
    with database.connection() as connection:
        connection.execute("SELECT 1")
        assert connection.info.backend_pid == pid
    secure.disconnect("app")
    with database.connection() as connection:
        connection.execute("SELECT 1")
        assert connection.info.backend_pid != pid


def test_writer_and_reader_are_entered_again_once_their_tokens_have_expired(
    secure: TlsServer, replica: str
) -> None:
    database = Database(secure.url("app"), [replica], tokens=secure.token)
    try:
        until(lambda: database.endpoints()[1].healthy)
        with database.reading() as searching, database.connection() as writing:
            before = {where(searching), where(writing)}
            assert {name for name, _ in before} == {"replica", "postgres"}
            secure.expire()
            assert {where(searching), where(writing)} == before
        secure.disconnect("app")
        until(lambda: not any(each.healthy for each in database.endpoints()))
        until(lambda: all(each.healthy for each in database.endpoints()))
        with database.reading() as searching, database.connection() as writing:
            after = {where(searching), where(writing)}
        assert {name for name, _ in after} == {"replica", "postgres"}
        assert not after & before
    finally:
        database.close()


def test_an_expired_token_is_refused_and_not_repeated(secure: TlsServer) -> None:
    secure.expire()
    database = Database(secure.url("app"), tokens=lambda *_: "X-Amz-Signature=spent")
    with pytest.raises(DatabaseUnavailable, match="password authentication failed") as caught:
        database.connect()
    assert "rds_iam" in caught.value.remedy
    assert "spent" not in str(caught.value) + repr(caught.value) + repr(vars(database))
