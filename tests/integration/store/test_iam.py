"""Tokens in place of passwords, on a server with TLS whose password is worth one connection.

Debian's PostgreSQL stands in for Aurora: it has TLS, which the embedded one lacks, and no pgvector,
of which only the type's name is needed to connect.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from greenlang_vectors.errors import DatabaseUnavailable
from greenlang_vectors.store.database import Database

from ...replication import folder, until

pytestmark = pytest.mark.integration

INSTALLED = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
PROGRAMS = INSTALLED[-1].parent if INSTALLED else Path()
ACCESS = """\
local all admin trust
hostssl all app 127.0.0.1/32 scram-sha-256
"""


class TokenServer:
    """A server that `app` enters by token: each makes those before it worthless."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tokens: list[str] = []
        self._owner = pwd.getpwnam("postgres").pw_uid if os.geteuid() == 0 else None
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"postgresql://app@127.0.0.1:{self.port}/postgres?sslmode=disable"

    def token(self, host: str, port: str, user: str) -> str:
        assert (host, port, user) == ("127.0.0.1", str(self.port), "app")
        self.tokens.append(f"{host}:{port}/?DBUser={user}&X-Amz-Signature={uuid4().hex}")
        self.expire(self.tokens[-1])
        return self.tokens[-1]

    def start(self) -> None:
        data, key, certificate = (self.folder / name for name in ("data", "key.pem", "cert.pem"))
        if self._owner is not None:
            os.chown(self.folder, self._owner, -1)
        subject = ["-subj", "/CN=127.0.0.1", "-days", "1"]
        self._run(
            "openssl", "req", "-x509", "-noenc", *subject, "-keyout", key, "-out", certificate
        )
        self._run(PROGRAMS / "initdb", "-D", data, "-U", "admin", "--auth=trust", "--no-sync")
        with (data / "postgresql.conf").open("a") as settings:
            settings.write(
                f"ssl = on\nssl_key_file = '{key}'\nssl_cert_file = '{certificate}'\n"
                f"listen_addresses = '127.0.0.1'\nport = {self.port}\nfsync = off\n"
                f"unix_socket_directories = '{self.folder}'\n"
            )
        (data / "pg_hba.conf").write_text(ACCESS)
        self._run(PROGRAMS / "pg_ctl", "-sw", "-D", data, "-l", self.folder / "log", "start")
        self.ask(sql.SQL("CREATE ROLE app LOGIN; CREATE DOMAIN vector AS text"))

    def stop(self) -> None:
        data = self.folder / "data"
        self._run(PROGRAMS / "pg_ctl", "-sw", "-D", data, "-m", "immediate", "stop")

    def expire(self, new: str = "none") -> None:
        """No token lets anybody in but this one."""
        self.ask(sql.SQL("ALTER ROLE app PASSWORD {}").format(sql.Literal(new)))

    def _run(self, *command: str | Path) -> None:
        subprocess.run(command, user=self._owner, check=True, stdout=subprocess.DEVNULL, timeout=60)

    def ask(self, statement: sql.SQL | sql.Composed) -> None:
        where = f"host={self.folder} port={self.port} user=admin dbname=postgres"
        with psycopg.connect(where, autocommit=True) as connection:
            connection.execute(statement)


@pytest.fixture(scope="module")
def aurora() -> Iterator[TokenServer]:
    if not INSTALLED or shutil.which("openssl") is None:
        pytest.skip("no PostgreSQL with TLS on this machine (apt install postgresql openssl)")
    with folder() as place:
        made = TokenServer(place)
        made.start()
        yield made
        made.stop()


@pytest.fixture
def database(aurora: TokenServer) -> Iterator[Database]:
    made = Database(aurora.url, tokens=aurora.token)
    yield made
    made.close()


def test_each_new_connection_has_a_token_of_its_own_and_tls(
    aurora: TokenServer, database: Database
) -> None:
    before = len(aurora.tokens)
    with ExitStack() as held:
        made = [held.enter_context(database.connection()) for _ in range(3)]
        made.append(held.enter_context(database.connect()))
        assert all(connection.pgconn.ssl_in_use for connection in made)
    assert len(set(aurora.tokens[before:])) == 4


def test_a_connection_outlives_its_token_and_is_replaced_with_a_new_one(
    aurora: TokenServer, database: Database
) -> None:
    with database.connection() as connection:
        pid = connection.info.backend_pid
    aurora.expire()
    with database.connection() as connection:
        connection.execute("SELECT 1")
        assert connection.info.backend_pid == pid
    aurora.ask(sql.SQL("SELECT pg_terminate_backend({}, 5000)").format(pid))
    with database.connection() as connection:
        connection.execute("SELECT 1")
        assert connection.info.backend_pid != pid


def test_an_expired_token_is_refused_and_not_repeated(aurora: TokenServer) -> None:
    database = Database(aurora.url, tokens=lambda *_: "X-Amz-Signature=spent")
    with pytest.raises(DatabaseUnavailable, match="password authentication failed") as caught:
        database.connect()
    assert "spent" not in str(caught.value)


def test_the_health_check_comes_back_with_a_new_token(
    aurora: TokenServer, database: Database
) -> None:
    until(lambda: database.endpoints()[0].lag_seconds == 0)
    time.sleep(1)
    aurora.expire()
    aurora.ask(
        sql.SQL("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'")
    )
    until(lambda: not database.endpoints()[0].healthy)
    until(lambda: database.endpoints()[0].healthy)
