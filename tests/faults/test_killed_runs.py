"""Runs that are killed, and runs at the same time: the rows are those of one undisturbed run."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

pytestmark = pytest.mark.faults

INGEST = Path(__file__).parent / "ingest.py"
NAMESPACE = "csrd"
ROWS = {
    "documents": "SELECT id, source_key, text_hash, chunking_fingerprint FROM documents",
    "chunks": """
        SELECT document_id, chunk_index, content, content_hash, start_char, end_char, token_count
        FROM document_chunks
    """,
    "embeddings": """
        SELECT id, source_id, chunk_index, content_hash, content_preview, embedding::text,
               embedding_fingerprint
        FROM vector_embeddings
    """,
    "dead letters": "SELECT stage, item, reason FROM dead_letters",
    "indexes": """
        SELECT c.relname, indisvalid::text FROM pg_index JOIN pg_class c ON c.oid = indexrelid
        JOIN pg_am am ON am.oid = c.relam WHERE amname = 'hnsw'
    """,
}


def rows(url: str) -> dict[str, list[tuple[object, ...]]]:
    with psycopg.connect(url) as connection:
        return {what: sorted(connection.execute(query)) for what, query in ROWS.items()}


def start(url: str, folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, str(INGEST), url, NAMESPACE, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def finish(process: subprocess.Popen[str]) -> int:
    """Let it come to its end; return how many texts its model was given."""
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return int(out)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("documents")
    words = random.Random(1)
    for number in range(25):
        text = " ".join(
            words.choice(["rule", "limit", "duty", "date", "goods"]) for _ in range(400)
        )
        (folder / f"act-{number}.txt").write_text(f"Act {number}\n\n{text} {number}.")
    (folder / "damaged.pdf").write_bytes(b"%PDF-1.7 and then nothing")
    return folder


@pytest.fixture(scope="module")
def undisturbed(
    new_database: Callable[[], str], folder: Path
) -> tuple[dict[str, list[tuple[object, ...]]], float]:
    """The rows of a run nobody disturbed, and the seconds it took."""
    url = new_database()
    process = start(url, folder)
    began = time.monotonic()
    finish(process)
    return rows(url), time.monotonic() - began


def test_killed_at_any_moment_and_run_again(
    new_database: Callable[[], str],
    folder: Path,
    undisturbed: tuple[dict[str, list[tuple[object, ...]]], float],
) -> None:
    expected, seconds = undisturbed
    url = new_database()
    moments = random.Random(7)
    kills = 0
    for _ in range(10):
        before = _versions(url)
        process = start(url, folder)
        try:
            process.wait(moments.uniform(0, 0.6 * seconds))
        except subprocess.TimeoutExpired:
            process.kill()
            kills += 1
        process.communicate()
        after = _versions(url)
        assert before.items() <= after.items(), "stored embeddings were written again"
    finish(start(url, folder))
    assert kills >= 3
    assert rows(url) == expected
    assert finish(start(url, folder)) == 0


def test_two_runs_of_one_namespace_at_once(
    new_database: Callable[[], str],
    folder: Path,
    undisturbed: tuple[dict[str, list[tuple[object, ...]]], float],
) -> None:
    url = new_database()
    given = [finish(process) for process in [start(url, folder), start(url, folder)]]
    assert rows(url) == undisturbed[0]
    assert sum(given) == len(undisturbed[0]["embeddings"])


def _versions(url: str) -> dict[object, object]:
    """For each stored embedding the transaction that wrote it."""
    with psycopg.connect(url) as connection:
        return dict(connection.execute("SELECT id, xmin::text FROM vector_embeddings").fetchall())
