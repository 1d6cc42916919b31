"""Exports that are killed, or whose disk is full: nothing of them is taken for an export."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import numpy as np
import psycopg
import pytest

from greenlang_vectors.backup import exports, pruning, verification
from greenlang_vectors.backup.drill import drill
from greenlang_vectors.backup.export import create
from greenlang_vectors.backup.manifest import ROOT, load
from greenlang_vectors.lifecycle.location import LocationUnavailable, open_location
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import namespaces, writing
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.leaves import Leaf, ensure_leaf
from greenlang_vectors.store.writing import EmbeddingRow

pytestmark = pytest.mark.faults

EXPORT = Path(__file__).parent / "export.py"
LEAF = Leaf("csrd", "test-model", 64)
ROWS = 600
KILLS = 5
SECONDS = 1.2
"""About what an undisturbed run takes once it is ready."""


@pytest.fixture
def url(new_database: Callable[[], str]) -> str:
    """A database with embeddings."""
    url = new_database()
    with Database(url).connect() as connection:
        namespaces.register(connection, LEAF.namespace)
        ensure_leaf(connection, LEAF)
        vectors = np.random.default_rng(1).normal(size=(ROWS, LEAF.dimensions)).astype(np.float32)
        rows = [
            EmbeddingRow(
                "document",
                UUID(int=number),
                0,
                f"{number:064x}",
                f"row {number}",
                {},
            )
            for number in range(ROWS)
        ]
        writing.write(connection, LEAF, rows, vectors, fingerprint="test")
    return url


def start(url: str, folder: Path, data_dir: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, str(EXPORT), url, LEAF.namespace, str(folder), str(data_dir)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def check_nobody_else_is_connected(url: str) -> None:
    """No session holds a snapshot any more; one that was ended just now is waited for."""
    with psycopg.connect(url, autocommit=True) as connection:
        deadline = time.monotonic() + 10
        while others := connection.execute(
            "SELECT application_name, state FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND backend_type = 'client backend'"
        ).fetchall():
            assert time.monotonic() < deadline, others
            time.sleep(0.1)


def test_killed_at_any_moment_and_run_again(url: str, tmp_path: Path, data_dir: Path) -> None:
    folder = tmp_path / "backups"
    settings = Settings(data_dir=data_dir, backup_location=str(folder))
    database, location = Database(url), open_location(str(folder))
    first = create(database, location, LEAF.namespace, settings=settings)
    assert first is not None
    assert drill(database, location, first.export, settings=settings).passed
    moments = random.Random(11)
    interrupted = 0
    for _ in range(KILLS):
        process = start(url, folder, data_dir)
        try:
            process.wait(moments.uniform(0, SECONDS))
        except subprocess.TimeoutExpired:
            process.kill()
            interrupted += 1
        process.communicate()
        for each in exports.list_exports(location):
            if each.manifest is not None:
                verification.verify(location, each.manifest)
            else:
                assert each.state == "unfinished"
        assert exports.newest(location, LEAF.namespace, good=True).id == first.export
    assert interrupted >= 3
    assert any(each.state == "unfinished" for each in exports.list_exports(location))
    process = start(url, folder, data_dir)
    process.communicate(timeout=60)
    assert process.returncode == 0
    newest = exports.newest(location, LEAF.namespace, good=False)
    assert newest.id != first.export
    assert drill(database, location, newest.id, settings=settings).passed
    check_nobody_else_is_connected(url)
    for path in (folder / ROOT).rglob("*"):
        if path.is_file() and not (path.parent / "manifest.json").exists():
            os.utime(path, (path.stat().st_mtime - 200_000,) * 2)
    with database.connect() as connection:
        now = datetime.now(UTC)
        pruning.prune(connection, location, settings=settings, now=now, delete=True)
    states = {each.state for each in exports.list_exports(location)}
    assert "unfinished" not in states
    assert "good" in states
    database.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_a_clear_error_and_keeps_what_is_there(
    url: str, small_disk: Path, data_dir: Path
) -> None:
    settings = Settings(
        data_dir=data_dir, backup_location=str(small_disk), backup_compression="none"
    )
    database, location = Database(url), open_location(str(small_disk))
    first = create(database, location, LEAF.namespace, settings=settings)
    assert first is not None
    with pytest.raises(LocationUnavailable, match="No space left"):  # noqa: PT012 - which one?
        for _ in range(4):
            create(database, location, LEAF.namespace, settings=settings)
    listed = exports.list_exports(location)
    assert first.export in [each.id for each in listed]
    for each in listed:
        verification.verify(location, load(location, each.id))
    check_nobody_else_is_connected(url)
    database.close()
