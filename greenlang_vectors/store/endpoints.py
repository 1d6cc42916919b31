"""The servers that searches go to: a pool for each, and what is known of its health."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import psycopg

from greenlang_vectors.errors import DatabaseBusy, DatabaseUnavailable
from greenlang_vectors.store import roles
from greenlang_vectors.store.connections import Access, is_superuser, through_pooler, understand
from greenlang_vectors.store.pool import Pool

logger = logging.getLogger(__name__)

READER_CONNECT_SECONDS = 3
"""Shorter than for the writer: there is another endpoint to go to."""

Role = Literal["writer", "reader"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds an exchange with the database.

    Attributes:
        pool_size: connections of one process to one endpoint; the writer has as many again for
            what is not a search.
        wait_seconds: how long a caller waits for one of them.
        search_seconds: how long one statement of a search may take.
        max_lag_seconds: how far a reader may be behind.
    """

    pool_size: int = 10
    wait_seconds: float = 5.0
    search_seconds: float = 30.0
    max_lag_seconds: float = 5.0


@dataclass(frozen=True, slots=True)
class EndpointState:
    """What is known of an endpoint, for readiness and metrics.

    Attributes:
        name: hosts, ports and database.
        healthy: whether searches go there.
        lag_seconds: how far it is behind the writer; None while that is not known.
        in_use: connections that this process is using.
        limit: connections that it may use.
        problem: why it is not healthy.
    """

    name: str
    role: Role
    healthy: bool
    lag_seconds: float | None
    in_use: int
    limit: int
    problem: str | None


class SearchInterrupted(DatabaseUnavailable):
    """A search broke off for a reason that another endpoint need not have."""

    def __init__(self, endpoint: Endpoint, error: psycopg.Error) -> None:
        broken = endpoint.access.broken(error)
        super().__init__(broken.message, broken.remedy)
        self.endpoint = endpoint


class Endpoint:
    """A server, the connections for searches on it, and its health.

    Attributes:
        healthy: a reader is not until a check has found it so.
    """

    def __init__(self, access: Access, role: Role, limits: Limits) -> None:
        self.access = access
        self.name = access.name
        self.role: Role = role
        self.healthy = role == "writer"
        self.lag_seconds: float | None = None
        self.problem: str | None = None
        self._limits = limits
        self.pool = Pool(
            self._connect,
            self._prepare,
            size=limits.pool_size,
            wait_seconds=limits.wait_seconds,
            name=self.name,
        )

    @contextmanager
    def searching(self, connection: psycopg.Connection) -> Iterator[None]:
        """What a search that fails on this endpoint's connection means.

        Raises:
            SearchInterrupted: the connection broke, or a standby had to stop the search.
            DatabaseBusy: the search took longer than one may.
        """
        try:
            yield
        except psycopg.errors.QueryCanceled as error:
            raise DatabaseBusy(
                f"A search on {self.name} took longer than {self._limits.search_seconds:g} s.",
                "Try again, ask for less, or raise GREENLANG_DATABASE_SEARCH_SECONDS.",
            ) from error
        except psycopg.Error as error:
            stopped = isinstance(error, psycopg.errors.SerializationFailure)
            if stopped and self.role == "reader":
                raise SearchInterrupted(self, error) from error
            if not connection.closed:
                raise
            self.failed(error)
            raise SearchInterrupted(self, error) from error

    def failed(self, error: Exception) -> None:
        """It did not answer: no more searches for it until a check finds that it does."""
        problem = " ".join(str(error).split())
        if self.healthy:
            logger.warning("No searches go to the %s %s: %s", self.role, self.name, problem)
        self.healthy, self.lag_seconds, self.problem = False, None, problem
        self.pool.expire()

    def answered(self, lag_seconds: float | None) -> None:
        """It answered a check, being so far behind."""
        limit = self._limits.max_lag_seconds
        healthy = lag_seconds is None or lag_seconds <= limit
        self.problem = None if healthy else f"{lag_seconds:.1f} s behind, more than {limit:g} s"
        if healthy != self.healthy:
            level = logging.INFO if healthy else logging.WARNING
            can = "go" if healthy else "do not go"
            logger.log(level, "Searches %s to %s (%s)", can, self.name, self.problem or "healthy")
        self.healthy, self.lag_seconds = healthy, lag_seconds

    def _connect(self) -> psycopg.Connection:
        if self.role == "reader":
            return self.access.connect(READER_CONNECT_SECONDS)
        return self.access.connect()

    def _prepare(self, connection: psycopg.Connection) -> None:
        """Vectors, and what keeps a search in bounds: it only reads, and not for ever.

        Through a pooler nothing may be kept in the session: there, its own `query_timeout` bounds
        a statement (PRD 8.3).
        """
        try:
            understand(connection, self.name)
            as_admin = self.role == "reader" and is_superuser(connection)
            if not through_pooler(connection):
                connection.execute(
                    "SELECT set_config('statement_timeout', %s, false),"
                    " set_config('default_transaction_read_only', 'on', false)",
                    [f"{round(self._limits.search_seconds * 1000)}ms"],
                )
                if as_admin:
                    connection.execute("SELECT set_config('role', %s, false)", [roles.ADMIN])
            elif as_admin:
                raise superuser_through_pooler(self.access)
        except psycopg.OperationalError as error:
            raise self.access.unreachable(error) from error


def superuser_through_pooler(access: Access) -> DatabaseUnavailable:
    """A superuser's rights can be laid down in a session only, and a pooler gives none."""
    return DatabaseUnavailable(
        f"{access.setting} names a superuser, and leads through a connection pooler.",
        "Name a login that `greenlang-vectors roles create` made.",
    )
