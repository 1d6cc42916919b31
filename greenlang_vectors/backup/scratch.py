"""Databases beside the one in use: a drill's, which is gone after it, and a restore's target."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from pydantic import SecretStr

from greenlang_vectors.errors import DatabaseUnavailable
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import embedded
from greenlang_vectors.store.connections import Access
from greenlang_vectors.store.database import Database, open_database


@contextmanager
def scratch_database(database: Database, settings: Settings) -> Iterator[Database]:
    """An empty database with the current schema, dropped at the end, whatever happens.

    What earlier ones of the same database left, because they were killed, is dropped first; the
    caller sees that only one is in use. It is made on the server of GREENLANG_DRILL_DATABASE_URL,
    else on the database's own.

    Raises:
        DatabaseUnavailable: the server cannot be reached, or lets nobody make a database.
    """
    server = _Server(database, settings)
    prefix = f"greenlang_drill_{hashlib.sha256(database.name.encode()).hexdigest()[:8]}_"
    for name in server.databases(prefix):
        server.drop(name)
    name = prefix + secrets.token_hex(4)
    try:
        scratch = server.open(name)
        try:
            yield scratch
        finally:
            scratch.close()
    finally:
        with suppress(psycopg.Error, DatabaseUnavailable):
            server.drop(name)


def neighbour(database: Database, settings: Settings, name: str) -> Database:
    """The database of this name on the database's server, made unless it is there.

    Raises:
        DatabaseUnavailable: the server lets nobody make one.
    """
    return _Server(database, settings.model_copy(update={"drill_database_url": None})).open(name)


class _Server:
    """The server that databases are made on, and by whom: the embedded one by its superuser."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._settings = settings
        self._embedded = settings.database_url is None and settings.drill_database_url is None
        if self._embedded:
            self._url = embedded.start(settings.data_dir)
        elif settings.drill_database_url is not None:
            self._url = settings.drill_database_url.get_secret_value()
        else:
            self._url = database.url

    def open(self, name: str) -> Database:
        """The database of this name, made unless it is there, with the current schema."""
        if self._embedded:
            url = embedded.owned_database(self._url, name)
        else:
            with self._connected() as connection:
                self._ensure(connection, name)
            url = make_conninfo(self._url, dbname=name)
        own = {"database_url": SecretStr(url), "database_reader_urls": None}
        return open_database(self._settings.model_copy(update=own))

    def databases(self, prefix: str) -> list[str]:
        """Those whose names begin so."""
        with self._connected() as connection:
            found = connection.execute(
                "SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [prefix]
            )
            return [name for (name,) in found]

    def drop(self, name: str) -> None:
        """Drop a database, whoever is connected to it."""
        with self._connected() as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )

    def _connected(self) -> psycopg.Connection:
        if self._embedded:
            return Access(self._url).connect()
        return Access.of(self._settings, self._url, "GREENLANG_DRILL_DATABASE_URL").connect()

    @staticmethod
    def _ensure(connection: psycopg.Connection, name: str) -> None:
        found = connection.execute("SELECT FROM pg_database WHERE datname = %s", [name])
        if found.rowcount > 0:
            return
        try:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        except psycopg.errors.InsufficientPrivilege as error:
            raise DatabaseUnavailable(
                f"The role {connection.info.user!r} may not create the database {name}.",
                "Grant it CREATEDB, or let GREENLANG_DRILL_DATABASE_URL name a server and a role"
                " that may.",
            ) from error
