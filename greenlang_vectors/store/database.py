"""One database: connections to it, and opening it ready for use.

`open_database` is where settings become a connection: the embedded server by default, any
PostgreSQL with pgvector (Aurora's writer endpoint in production) by `GREENLANG_DATABASE_URL`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from urllib.parse import urlsplit, urlunsplit

import psycopg
from pgvector.psycopg import register_vector
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import ConnectionPool, PoolTimeout

from greenlang_vectors.errors import DatabaseUnavailable
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import embedded, roles, schema

logger = logging.getLogger(__name__)

DATABASE_NAME = "greenlang_vectors"
CONNECT_SECONDS = 10
POOL_SIZE = 4


class Database:
    """Connections to one database, with vectors understood on each of them."""

    def __init__(self, url: str) -> None:
        self.url = url

    def connect(self) -> psycopg.Connection:
        """A connection of its own, in autocommit, for one stage of work.

        Raises:
            DatabaseUnavailable: nobody answers, or the connection is refused.
        """
        connection = _connect(self.url)
        try:
            register_vector(connection)
        except psycopg.ProgrammingError as error:
            connection.close()
            raise DatabaseUnavailable(
                f"The database {self._where} has no pgvector.",
                "Install the extension and run `greenlang-vectors status` again.",
            ) from error
        return connection

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection]:
        """A pooled connection for one short exchange, in autocommit."""
        try:
            with self._pool.connection(timeout=CONNECT_SECONDS) as connection:
                yield connection
        except PoolTimeout as error:
            raise DatabaseUnavailable(
                f"The database {self._where} gave no connection in {CONNECT_SECONDS} s.",
                "Check that it runs and that GREENLANG_DATABASE_URL names it.",
            ) from error

    def close(self) -> None:
        """Close the pool; connections from `connect` belong to their callers."""
        if "_pool" in self.__dict__:
            self._pool.close()
            del self.__dict__["_pool"]

    @cached_property
    def _pool(self) -> ConnectionPool[psycopg.Connection]:
        return ConnectionPool(
            self.url,
            kwargs={"autocommit": True, "application_name": "greenlang-vectors"},
            min_size=0,
            max_size=POOL_SIZE,
            configure=register_vector,
            check=ConnectionPool.check_connection,
            open=True,
        )

    @property
    def _where(self) -> str:
        return _where(self.url)


def open_database(settings: Settings) -> Database:
    """The database of these settings, running and with the current schema.

    No statement runs with a superuser's rights: the embedded server is used through the owner of
    the database, and a superuser named by GREENLANG_DATABASE_URL becomes vector_admin as soon as
    the schema is current, with a warning.

    Raises:
        DatabaseUnavailable: it cannot be reached, has no pgvector, or the role may not bring its
            schema up to date.
    """
    if settings.database_url is None:
        url = embedded.owned_database(embedded.start(settings.data_dir), DATABASE_NAME)
    else:
        url = settings.database_url.get_secret_value()
    with _connect(url) as connection:
        try:
            schema.migrate(connection)
        except psycopg.errors.FeatureNotSupported as error:
            raise DatabaseUnavailable(
                f"The database {_where(url)} has no pgvector ({error}).",
                "Install the extension `vector`, version 0.8 or newer.",
            ) from error
        except psycopg.errors.InsufficientPrivilege as error:
            raise DatabaseUnavailable(
                f"The role {connection.info.user!r} may not use the database {_where(url)}, or may"
                f" not bring its schema up to date ({error.diag.message_primary}).",
                "Let `greenlang-vectors roles create` give it a role; bring a new schema version"
                " in as the owner of the database, who needs CREATEROLE the first time.",
            ) from error
        if connection.info.parameter_status("is_superuser") == "on":
            logger.warning(
                "GREENLANG_DATABASE_URL names the superuser %r, whom no access rule binds; going"
                " on with the rights of %s. Name a login that `greenlang-vectors roles create"
                " LOGIN --role admin` made.",
                connection.info.user,
                roles.ADMIN,
            )
            given = conninfo_to_dict(url).get("options") or ""
            url = make_conninfo(url, options=f"{given} -c role={roles.ADMIN}".strip())
    return Database(url)


def ensure_database(server_url: str, name: str) -> str:
    """Create the database on the server unless it is there; return its URL."""
    with _connect(server_url) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
        if found.fetchone() is None:
            with suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))


def _connect(url: str) -> psycopg.Connection:
    try:
        return psycopg.connect(
            url,
            autocommit=True,
            connect_timeout=CONNECT_SECONDS,
            application_name="greenlang-vectors",
        )
    except psycopg.ProgrammingError:
        raise DatabaseUnavailable(
            "The database URL is not one that PostgreSQL understands.",
            "Set GREENLANG_DATABASE_URL to postgresql://USER:PASSWORD@HOST:PORT/DATABASE.",
        ) from None
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable(
            f"The database {_where(url)} cannot be reached: {' '.join(str(error).split())}.",
            "Check that it runs and that GREENLANG_DATABASE_URL names it.",
        ) from error


def _where(url: str) -> str:
    """Database and host of a URL, for messages: never the user or the password."""
    parts = conninfo_to_dict(url)
    return f"{parts.get('dbname', '')!r} on {parts.get('host', 'localhost')}"
