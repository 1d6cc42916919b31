"""One database: connections to it, and opening it ready for use.

`open_database` is where settings become a connection: the embedded server by default, any
PostgreSQL with pgvector (Aurora's writer endpoint in production) by `GREENLANG_DATABASE_URL`, and
its replicas by `GREENLANG_DATABASE_READER_URLS`.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from greenlang_vectors.errors import DatabaseUnavailable
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import embedded, roles, schema
from greenlang_vectors.store.connections import Access, is_superuser, through_pooler, understand
from greenlang_vectors.store.endpoints import (
    EndpointState,
    Limits,
    SearchInterrupted,
    superuser_through_pooler,
)
from greenlang_vectors.store.pool import Pool
from greenlang_vectors.store.readers import Readers
from greenlang_vectors.store.tls import secured
from greenlang_vectors.store.tokens import TokenSource

logger = logging.getLogger(__name__)

DATABASE_NAME = "greenlang_vectors"

T = TypeVar("T")


class Database:
    """Connections to one database, with vectors understood on each of them.

    Args:
        url: leads to the writer.
        reader_urls: lead to replicas, which searches go to.
        limits: bounds of pools, waits, searches and lag.
        tokens: makes a password for each new connection (Aurora's IAM authentication).
    """

    def __init__(
        self,
        url: str,
        reader_urls: Sequence[str] = (),
        limits: Limits | None = None,
        tokens: TokenSource | None = None,
    ) -> None:
        self.url = url
        self._access = Access(url, tokens=tokens)
        self._reader_accesses = [
            Access(reader, "GREENLANG_DATABASE_READER_URLS", tokens) for reader in reader_urls
        ]
        self._limits = limits or Limits()
        self._opening = threading.Lock()
        self._made_pool: Pool | None = None
        self._made_readers: Readers | None = None
        _databases.add(self)

    @property
    def name(self) -> str:
        """Hosts and database of the writer: never the user or the password."""
        return self._access.name

    def conninfo(self) -> str:
        """What libpq needs for one connection to the writer; it may hold a password.

        Raises:
            DatabaseUnavailable: the URL is none, or no token can be had.
        """
        return self._access.conninfo()

    def connect(self) -> psycopg.Connection:
        """A connection to the writer of its own, in autocommit, for one stage of work.

        Raises:
            DatabaseUnavailable: nobody answers, or the connection is refused.
        """
        connection = self._access.connect()
        try:
            understand(connection, self._access.name)
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection]:
        """A pooled connection to the writer for one short exchange, in autocommit.

        Raises:
            DatabaseBusy: none came free in time.
            DatabaseUnavailable: nobody answers, the connection broke, or the writer has become a
                reader; writes go to the new writer as soon as the URL leads there.
        """
        pool = self._written
        with pool.connection() as connection:
            try:
                yield connection
            except psycopg.errors.ReadOnlySqlTransaction as error:
                pool.expire()
                raise DatabaseUnavailable(
                    f"The database {self._access.name} takes no writes: another server is, or"
                    " becomes, the writer.",
                    "Try again in a moment.",
                ) from error
            except psycopg.OperationalError as error:
                if connection.closed:
                    raise self._access.broken(error) from error
                raise

    @contextmanager
    def reading(self, *, fresh: bool = False) -> Iterator[psycopg.Connection]:
        """A pooled connection for one search, which only reads: of a healthy reader, else of the
        writer. `read` does the same, and repeats a search whose connection breaks.

        Args:
            fresh: from the writer, so that the caller's own writes are seen.

        Raises:
            DatabaseBusy: none came free in time, or a statement took too long.
            DatabaseUnavailable: no endpoint answers, or the connection broke.
        """
        with self._readers.reading(fresh=fresh) as connection:
            yield connection

    def read(self, search: Callable[[psycopg.Connection], T], *, fresh: bool = False) -> T:
        """What the search finds, on a connection as of `reading`.

        If the connection breaks, or a standby must stop the search, it is done once more on
        another endpoint: the function may be called twice, and must only read.

        Args:
            fresh: from the writer, so that the caller's own writes are seen.

        Raises:
            DatabaseBusy, DatabaseUnavailable: as of `reading`.
        """
        started = time.monotonic()
        try:
            with self._readers.reading(fresh=fresh) as connection:
                return search(connection)
        except SearchInterrupted as interrupted:
            if time.monotonic() - started > self._limits.search_seconds:
                raise
            avoiding = interrupted.endpoint
        with self._readers.reading(fresh=fresh, avoiding=avoiding) as connection:
            return search(connection)

    def endpoints(self) -> list[EndpointState]:
        """The writer, then the readers, as the last health check found them; asks nobody.

        A reader is not healthy until the first check, within a second or two of the first call.
        """
        return self._readers.states()

    def close(self) -> None:
        """End the health check and the pools; those from `connect` belong to their callers."""
        with self._opening:
            pool, readers = self._made_pool, self._made_readers
            self._made_pool = self._made_readers = None
        if readers is not None:
            readers.close()
        if pool is not None:
            pool.expire()

    @property
    def _written(self) -> Pool:
        with self._opening:
            if self._made_pool is None:
                self._made_pool = Pool(
                    self._access.connect,
                    lambda connection: understand(connection, self._access.name),
                    size=self._limits.pool_size,
                    wait_seconds=self._limits.wait_seconds,
                    name=self._access.name,
                )
            return self._made_pool

    @property
    def _readers(self) -> Readers:
        written = self._written
        with self._opening:
            if self._made_readers is None:
                self._made_readers = Readers(
                    self._access, self._reader_accesses, self._limits, written
                )
            return self._made_readers

    def _leave_to_parent(self) -> None:
        """After a fork, begin anew: the connections and locks there are belong to the parent."""
        _of_the_parent.append((self._opening, self._made_pool, self._made_readers))
        self._opening, self._made_pool, self._made_readers = threading.Lock(), None, None


_databases: weakref.WeakSet[Database] = weakref.WeakSet()
_of_the_parent: list[object] = []


def _after_fork() -> None:
    for database in _databases:
        database._leave_to_parent()


os.register_at_fork(after_in_child=_after_fork)


def open_database(settings: Settings) -> Database:
    """The database of these settings, running and with the current schema.

    No statement runs with a superuser's rights: the embedded server is used through the owner of
    the database, and a superuser named by GREENLANG_DATABASE_URL becomes vector_admin as soon as
    the schema is current, with a warning; one named for a reader does so on each connection.
    Readers are not asked: one that is down costs a search nothing but itself.

    Raises:
        DatabaseUnavailable: it cannot be reached, has no pgvector, or the role may not bring its
            schema up to date.
        UsageError: URLs and the settings of TLS contradict each other.
    """
    if settings.database_url is None:
        access = Access(embedded.owned_database(embedded.start(settings.data_dir), DATABASE_NAME))
    else:
        access = Access.of(settings, settings.database_url.get_secret_value())
    url = access.url
    with access.connect() as connection:
        try:
            schema.migrate(connection)
        except psycopg.errors.FeatureNotSupported as error:
            raise DatabaseUnavailable(
                f"The database {access.name} has no pgvector ({error}).",
                "Install the extension `vector`, version 0.8 or newer.",
            ) from error
        except psycopg.errors.InsufficientPrivilege as error:
            raise DatabaseUnavailable(
                f"The role {connection.info.user!r} may not use the database {access.name}, or may"
                f" not bring its schema up to date ({error.diag.message_primary}).",
                "Let `greenlang-vectors roles create` give it a role; bring a new schema version"
                " in as the owner of the database, who needs CREATEROLE the first time.",
            ) from error
        if is_superuser(connection):
            if through_pooler(connection):
                raise superuser_through_pooler(access)
            logger.warning(
                "GREENLANG_DATABASE_URL names the superuser %r, whom no access rule binds; going"
                " on with the rights of %s. Name a login that `greenlang-vectors roles create"
                " LOGIN --role admin` made.",
                connection.info.user,
                roles.ADMIN,
            )
            given = conninfo_to_dict(url).get("options") or ""
            url = make_conninfo(url, options=f"{given} -c role={roles.ADMIN}".strip())
    limits = Limits(
        pool_size=settings.database_pool_size,
        wait_seconds=settings.database_wait_seconds,
        search_seconds=settings.database_search_seconds,
        max_lag_seconds=settings.reader_max_lag_seconds,
    )
    return Database(url, reader_urls(settings), limits, access.tokens)


def reader_urls(settings: Settings) -> list[str]:
    """The URLs of the readers, with TLS; one of several hosts holds commas of its own.

    Raises:
        UsageError: a URL and the settings of TLS contradict each other.
    """
    if settings.database_reader_urls is None:
        return []
    given = settings.database_reader_urls.get_secret_value().strip()
    urls = re.split(r"[,\s]+(?=postgres(?:ql)?://)", given)
    return [secured(url, settings, "GREENLANG_DATABASE_READER_URLS") for url in urls]


def ensure_database(server_url: str, name: str, settings: Settings | None = None) -> str:
    """Create the database on the server unless it is there; return its URL.

    Args:
        settings: of the TLS and the tokens that the server is reached by.
    """
    access = Access(server_url) if settings is None else Access.of(settings, server_url)
    with access.connect() as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
        if found.fetchone() is None:
            with suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
