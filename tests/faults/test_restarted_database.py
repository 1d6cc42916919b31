"""PostgreSQL restarted under a run: the run goes on after a retry, or fails in a clear line."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from greenlang_vectors.store import embedded
from greenlang_vectors.store.database import DATABASE_NAME, ensure_database

pytestmark = pytest.mark.faults

SLOW_RUN = Path(__file__).parent / "slow_run.py"
CHUNKS = 40


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    folder = tmp_path / "timber"
    folder.mkdir()
    for number in range(CHUNKS):
        (folder / f"{number}.txt").write_text(f"Rule {number} on timber is kept.")
    return tmp_path


def embedded_so_far(url: str) -> int:
    try:
        with psycopg.connect(url) as connection:
            row = connection.execute("SELECT count(*) FROM vector_embeddings").fetchone()
    except psycopg.Error:
        return 0
    return int(row[0]) if row else 0


def start(documents: Path, data_dir: Path, repository: Path) -> subprocess.Popen[str]:
    environment = {
        k: v for k, v in os.environ.items() if not k.startswith(("DAGSTER", "GREENLANG"))
    }
    return subprocess.Popen(
        [sys.executable, str(SLOW_RUN), str(documents)],
        env=environment
        | {
            "GREENLANG_DATA_DIR": str(data_dir),
            "GREENLANG_EMBEDDING_BATCH_SIZE": "5",
            "PYTHONPATH": str(repository),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.timeout(800)
def test_a_restart_is_survived_or_told_clearly_and_the_next_run_completes_the_work(
    documents: Path, own_data_dir: Path, repository: Path
) -> None:
    url = ensure_database(embedded.start(own_data_dir), DATABASE_NAME)
    process = start(documents, own_data_dir, repository)
    deadline = time.monotonic() + 240
    while embedded_so_far(url) < 10:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.25)
    assert embedded.stop(own_data_dir)
    embedded.start(own_data_dir)
    out, err = process.communicate(timeout=240)
    assert "Traceback" not in out + err
    if process.returncode:
        assert process.returncode == 1
        clear = ("failed timber: embeddings failed", "The database failed")
        assert [line for line in (out + err).splitlines() if line.startswith(clear)]
    again = start(documents, own_data_dir, repository)
    out, err = again.communicate(timeout=240)
    assert (again.returncode, err) == (0, ""), out + err
    assert embedded_so_far(url) == CHUNKS
