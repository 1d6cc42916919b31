"""How a server is reached: limits of time, access tokens, superusers, poolers.

Every connection to the application's own tables is made here. A connection that leads through a
pooler, such as PgBouncer in transaction mode (PRD 8.3), is known by its process id, which is not
the server's: it prepares no statements and keeps nothing in the session, as another client may
have the session at the next transaction.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import zip_longest

import psycopg
from pgvector.psycopg import register_vector
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from greenlang_vectors.errors import DatabaseUnavailable, said
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import tls
from greenlang_vectors.store.tokens import REFUSED, TokenSource, iam_tokens

CONNECT_SECONDS = 10

_ALWAYS: dict[str, str | int] = {
    "application_name": "greenlang-vectors",
    "connect_timeout": CONNECT_SECONDS,
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
"""A host that is gone is noticed within 25 s; what a URL says itself goes first."""


@dataclass(frozen=True, slots=True)
class Access:
    """The way to one server.

    Attributes:
        url: a libpq URL; of several hosts, libpq takes the first that suits it.
        setting: where the URL came from, for messages.
        tokens: makes a password for each new connection; TLS is required then.
    """

    url: str = field(repr=False)
    setting: str = "GREENLANG_DATABASE_URL"
    tokens: TokenSource | None = None

    @classmethod
    def of(cls, settings: Settings, url: str, setting: str = "GREENLANG_DATABASE_URL") -> Access:
        """The way by this URL, with the TLS and the tokens that the settings ask for.

        Raises:
            UsageError: URL and settings contradict each other.
            DatabaseUnavailable: boto3 is missing, which makes tokens.
        """
        region = settings.database_iam_region
        tokens = iam_tokens(region) if region else None
        return cls(tls.secured(url, settings, setting), setting, tokens)

    def connect(self, connect_seconds: int = CONNECT_SECONDS) -> psycopg.Connection:
        """A connection in autocommit.

        Raises:
            DatabaseUnavailable: nobody answers, or the connection is refused.
        """
        conninfo = self.conninfo(connect_seconds)
        try:
            return psycopg.connect(conninfo, autocommit=True)
        except psycopg.ProgrammingError:
            raise self._not_a_url() from None
        except psycopg.OperationalError as error:
            raise self.unreachable(error) from error

    def conninfo(self, connect_seconds: int = CONNECT_SECONDS) -> str:
        """What libpq needs for one connection, with a token of this moment.

        Raises:
            DatabaseUnavailable: the URL is none, or no token can be had.
        """
        given = self._given()
        made: dict[str, str | int] = {**_ALWAYS, "connect_timeout": connect_seconds, **given}
        if self.tokens is not None:
            host, port, user = (given.get(part, "") for part in ("host", "port", "user"))
            if "," in host or not host or not user:
                raise DatabaseUnavailable(
                    f"{self.setting} must name one user and one host: a token is for one only.",
                    "Name the cluster's endpoint, which follows a failover.",
                )
            made["password"] = self.tokens(host, port or "5432", user)
            if not tls.required(given.get("sslmode")):
                made["sslmode"] = "require"
        return make_conninfo("", **made)

    @property
    def name(self) -> str:
        """Hosts and database, for messages and metrics: never the user or the password."""
        given = self._given()
        hosts, ports = given.get("host", "localhost").split(","), given.get("port", "").split(",")
        pairs = zip_longest(hosts, ports[: len(hosts)], fillvalue=ports[-1])
        return f"{','.join(f'{h}:{p or 5432}' for h, p in pairs)}/{given.get('dbname', '')}"

    def unreachable(self, error: psycopg.Error) -> DatabaseUnavailable:
        """What a connection that failed is called."""
        words = said(error)
        remedy = tls.remedy(words) or f"Check that it runs and that {self.setting} names it."
        if self.tokens is not None and "authentication failed" in words:
            remedy = REFUSED
        return DatabaseUnavailable(f"The database {self.name} cannot be reached: {words}.", remedy)

    def broken(self, error: psycopg.Error) -> DatabaseUnavailable:
        """What a connection that broke in the middle of something is called."""
        return DatabaseUnavailable(
            f"The database {self.name} broke off: {said(error)}.",
            "Try again in a moment.",
        )

    def _given(self) -> dict[str, str]:
        try:
            return {key: str(value) for key, value in conninfo_to_dict(self.url).items()}
        except psycopg.ProgrammingError:
            raise self._not_a_url() from None

    def _not_a_url(self) -> DatabaseUnavailable:
        return DatabaseUnavailable(
            "The database URL is not one that PostgreSQL understands.",
            f"Set {self.setting} to postgresql://USER:PASSWORD@HOST:PORT/DATABASE.",
        )


def understand(connection: psycopg.Connection, name: str) -> None:
    """Teach a new connection vectors, and what a pooler before the server bears.

    Raises:
        DatabaseUnavailable: the database has no pgvector.
    """
    if through_pooler(connection):
        connection.prepare_threshold = None
    try:
        register_vector(connection)
    except psycopg.ProgrammingError as error:
        raise DatabaseUnavailable(
            f"The database {name} has no pgvector.",
            "Install the extension and run `greenlang-vectors status` again.",
        ) from error


def through_pooler(connection: psycopg.Connection) -> bool:
    """Whether something between here and the server shares its sessions among clients."""
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    return row != (connection.info.backend_pid,)


def is_superuser(connection: psycopg.Connection) -> bool:
    """Whether no access rule binds the connection."""
    return connection.info.parameter_status("is_superuser") == "on"
