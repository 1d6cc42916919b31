"""A real Redis of a benchmark's or a test's own, which can be stopped, hung and begun anew."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAM = shutil.which("redis-server", path=f"{os.environ.get('PATH')}:/usr/sbin")
STARTING_SECONDS = 20


class RedisServer:
    """Keeps nothing on disk; listens on this machine alone.

    Args:
        folder: where it works.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is, for whom it asks no password."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self, *settings: str) -> None:
        """Start it with these lines of configuration; return once it takes connections.

        It reads them from its standard input, where nobody else sees a password.
        """
        lines = (
            f"bind 127.0.0.1\nport {self.port}",
            f'dir "{self.folder}"\nsave ""\nappendonly no',
            *settings,
        )
        self._process = subprocess.Popen(  # noqa: S603
            [str(PROGRAM), "-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
        )
        assert self._process.stdin is not None
        with self._process.stdin as configuration:
            configuration.write("\n".join(lines).encode())
        until = time.monotonic() + STARTING_SECONDS
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError("redis-server did not start")
            time.sleep(0.01)

    def stop(self) -> None:
        """Kill it, hung or not."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @contextmanager
    def hung(self) -> Iterator[None]:
        """It takes connections meanwhile, and answers nobody."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@contextmanager
def redis_server() -> Iterator[RedisServer]:
    """One that is not started yet, and is stopped at the end."""
    with tempfile.TemporaryDirectory(prefix="glv-") as folder:
        made = RedisServer(Path(folder))
        try:
            yield made
        finally:
            made.stop()
