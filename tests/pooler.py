"""A real PgBouncer in transaction mode (PRD 8.3), with TLS towards its clients or without."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from .replication import until

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH')}:/usr/sbin")
QUERY_SECONDS = 2


class PgBouncer:
    """Two sessions of the server for however many clients.

    Args:
        folder: for its files.
        sockets: the folder of the server's socket; its owner runs PgBouncer.
        server_port: the number in the socket's name.
        users: who may enter, all by one password.
        settings: further lines of its configuration.
    """

    def __init__(
        self,
        folder: Path,
        sockets: Path,
        users: Sequence[str],
        password: str,
        *,
        server_port: int = 5432,
        settings: str = "",
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._password = password
        self._owner = sockets.stat().st_uid
        self._settings = folder / "pgbouncer.ini"
        self._process: subprocess.Popen[bytes] | None = None
        entries = folder / "users"
        entries.write_text("".join(f'"{user}" "{password}"\n' for user in users))
        self._settings.write_text(
            f"[databases]\n* = host={sockets} port={server_port}\n"
            "[pgbouncer]\npool_mode = transaction\ndefault_pool_size = 2\nmax_client_conn = 100\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\n"
            f"auth_type = scram-sha-256\nauth_file = {entries}\n"
            f"query_timeout = {QUERY_SECONDS}\n{settings}\n"
        )
        for path in (folder, entries, self._settings):
            os.chown(path, self._owner, -1)

    def start(self) -> None:
        until(self._runs)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def url(self, direct: str, user: str) -> str:
        """The URL of the same database by way of this PgBouncer."""
        return f"postgresql://{user}:{self._password}@127.0.0.1:{self.port}{urlsplit(direct).path}"

    def _runs(self) -> bool:
        """Whether it takes connections; it is started unless it runs."""
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [str(PROGRAM), "-q", str(self._settings)],
                user=self._owner if os.geteuid() == 0 else None,
                stderr=subprocess.DEVNULL,
            )
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0
