"""Archiving that is killed: no embedding is lost, and what lies in archives comes back whole."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psycopg
import pytest

from greenlang_vectors.chunking.model import Chunk, content_hash
from greenlang_vectors.documents.model import ExtractedDocument
from greenlang_vectors.lifecycle.location import open_location
from greenlang_vectors.lifecycle.reading import list_archives
from greenlang_vectors.lifecycle.restore import restore
from greenlang_vectors.store import chunks, documents, embeddings, namespaces
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.leaves import Leaf, ensure_leaf

pytestmark = pytest.mark.faults

ARCHIVE = Path(__file__).parent / "archive.py"
LEAF = Leaf("csrd", "test-model", 32)
ROWS = 400
KILLS = 8
SECONDS = 1.5
"""About what an undisturbed run takes once it is ready."""


@pytest.fixture
def url(new_database: Callable[[], str]) -> str:
    """A database with embeddings that are a year old."""
    url = new_database()
    text = "a passage"
    with Database(url).connect() as connection:
        namespaces.register(connection, LEAF.namespace)
        ensure_leaf(connection, LEAF)
        document = documents.save(
            connection,
            LEAF.namespace,
            "a.txt",
            ExtractedDocument(text, title="a", media_type="text/plain"),
            file_hash=content_hash(text),
            size_bytes=len(text),
            extraction_version="1",
        )
        chunks.replace(
            connection,
            LEAF.namespace,
            document,
            [Chunk(i, 0, 9, f"{text} {i}", 4, None, None, ()) for i in range(ROWS)],
            text_hash=content_hash(text),
            fingerprint="cut",
            cache_seconds=0,
        )
        total = embeddings.plan_work(connection, LEAF, "test")
        vectors = np.random.default_rng(1).normal(size=(total, LEAF.dimensions))
        embeddings.write(
            connection,
            LEAF,
            embeddings.pending(connection, LEAF, 0, total),
            vectors.astype(np.float32),
            fingerprint="test",
        )
        connection.execute(
            "UPDATE vector_embeddings SET updated_at = updated_at - interval '1 year'"
        )
    return url


def rows(url: str) -> dict[object, tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        found = connection.execute(
            """
            SELECT id, source_id, chunk_index, content_hash, content_preview,
                   vector_send(embedding), embedding_fingerprint, metadata::text
            FROM vector_embeddings
            """
        )
        return {row[0]: row[1:] for row in found}


def archived(url: str) -> dict[object, str]:
    with psycopg.connect(url) as connection:
        return dict(connection.execute("SELECT id, archive_id FROM archived_embeddings").fetchall())


def start(url: str, folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, str(ARCHIVE), url, LEAF.namespace, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_killed_at_any_moment_and_run_again(url: str, tmp_path: Path) -> None:
    before = rows(url)
    assert len(before) == ROWS
    moments = random.Random(7)
    interrupted = 0
    for _ in range(KILLS):
        process = start(url, tmp_path)
        try:
            process.wait(moments.uniform(0, SECONDS))
        except subprocess.TimeoutExpired:
            process.kill()
            interrupted += 1
        process.communicate()
        here, left = rows(url), archived(url)
        assert here.items() <= before.items()
        assert here.keys() | left.keys() == before.keys()
        assert not here.keys() & left.keys()
    process = start(url, tmp_path)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert interrupted >= 3
    assert rows(url) == {}
    assert archived(url).keys() == before.keys()
    location, database = open_location(str(tmp_path)), Database(url)
    assert {entry.problem for entry in list_archives(location)} == {None}
    for archive_id in set(archived(url).values()):
        restore(database, location, archive_id)
    assert rows(url) == before
