"""Dead letters once more through their stage alone; given up, they are counted no more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import numpy as np
import psycopg
import pytest
from numpy.typing import NDArray

from greenlang_vectors.embedding.embedder import Embedder
from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.embedding.models import PACKAGED_MODEL, ModelSpec, resolve_model
from greenlang_vectors.errors import ExtractionError, ItemError, UsageError
from greenlang_vectors.ingest.replay import replay
from greenlang_vectors.monitoring.work import metrics
from greenlang_vectors.progress import silent
from greenlang_vectors.settings import Settings
from greenlang_vectors.stages import originals
from greenlang_vectors.stages.documents import load_documents
from greenlang_vectors.stages.embeddings import embed_chunks
from greenlang_vectors.stages.replay import Replayed, command
from greenlang_vectors.store import dead_letters, namespaces
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.dead_letters import DeadLetter, UnknownDeadLetter
from greenlang_vectors.store.status import namespace_status

pytestmark = pytest.mark.integration

AddDocument = Callable[[psycopg.Connection, str, str, Sequence[str]], UUID]
SETTINGS = Settings(max_document_bytes=100_000)


class Squeamish:
    """A model that has no vector for some words, and counts what it is given."""

    spec: ModelSpec = resolve_model(PACKAGED_MODEL)

    def __init__(self) -> None:
        self.bad = ("bad",)
        self.given: list[str] = []

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) + 2 for text in texts]

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.given += texts
        vectors = np.ones((len(texts), self.spec.dimensions), np.float32)
        vectors[[any(word in text for word in self.bad) for text in texts]] = np.nan
        return vectors


@pytest.fixture
def model() -> Squeamish:
    return Squeamish()


@pytest.fixture
def embedders(model: Squeamish) -> Embedders:
    return Embedders.only(Embedder(model))


@pytest.fixture
def name(database: Database, tmp_path: Path) -> str:
    """A namespace with one good file and two that are damaged."""
    name = f"r{uuid4().hex[:12]}"
    for file, content in {"good.md": b"# A\n\nB.", "one.pdf": b"x", "two.pdf": b"y"}.items():
        (tmp_path / file).write_bytes(content)
    with database.connect() as connection:
        namespaces.register(connection, name, source_uri=str(tmp_path))
    load_documents(database, name, max_bytes=100_000, cache_seconds=60)
    return name


def letters(database: Database, name: str, *, discarded: bool = False) -> dict[str, DeadLetter]:
    with database.connect() as connection:
        found = dead_letters.list_all(connection, name, discarded=discarded)
    return {letter.item: letter for letter in found}


def again(database: Database, embedders: Embedders, *chosen: DeadLetter) -> list[Replayed]:
    return replay(
        database, chosen, embedders=embedders, settings=SETTINGS, progress=lambda _: silent
    )


def test_one_document_is_read_again_and_no_other(
    database: Database, embedders: Embedders, name: str, tmp_path: Path
) -> None:
    before = letters(database, name)
    with database.connect() as connection:
        listed = namespaces.get(connection, name).source_fingerprint
    (tmp_path / "good.md").write_text("# Changed\n\nNobody asked for it.")
    for file in ("one.pdf", "two.pdf"):
        (tmp_path / file).write_bytes(_pdf())
    [result] = again(database, embedders, before["one.pdf"])
    assert result.again is None
    assert set(letters(database, name)) == {"two.pdf"}
    with database.connect() as connection:
        stored = connection.execute(
            "SELECT source_key, text FROM documents WHERE namespace = %s ORDER BY 1", [name]
        ).fetchall()
        assert namespaces.get(connection, name).source_fingerprint == listed
    assert [key for key, _ in stored] == ["good.md", "one.pdf"]
    assert "Changed" not in stored[0][1]
    assert "operator" in stored[1][1]


def test_what_fails_again_says_why_and_what_is_gone_is_settled(
    database: Database, embedders: Embedders, name: str, tmp_path: Path
) -> None:
    (tmp_path / "two.pdf").unlink()
    known = letters(database, name)
    one, two = again(database, embedders, known["one.pdf"], known["two.pdf"])
    assert one.again is not None
    assert (one.again.attempts, one.again.reason) == (2, known["one.pdf"].reason)
    assert two.again is None
    assert set(letters(database, name)) == {"one.pdf"}


def test_one_document_is_cut_again_and_no_other(
    database: Database, embedders: Embedders, name: str, tmp_path: Path
) -> None:
    (tmp_path / "more.md").write_text("# C\n\nD.")
    load_documents(database, name, max_bytes=100_000, cache_seconds=60)
    broken = ItemError("broken", "It broke.")
    with database.connect() as connection:
        for item in ("good.md", "more.md"):
            dead_letters.record(connection, name, "chunks", item, broken)
    [result] = again(database, embedders, letters(database, name)["good.md"])
    assert result.again is None
    assert set(letters(database, name)) == {"more.md", "one.pdf", "two.pdf"}
    with database.connect() as connection:
        cut = connection.execute(
            "SELECT DISTINCT d.source_key FROM document_chunks c JOIN documents d"
            " ON d.namespace = c.namespace AND d.id = c.document_id WHERE c.namespace = %s",
            [name],
        ).fetchall()
    assert cut == [("good.md",)]


def test_one_passage_is_embedded_again_and_no_other(
    database: Database,
    embedders: Embedders,
    model: Squeamish,
    add_document: AddDocument,
) -> None:
    name = f"r{uuid4().hex[:12]}"
    with database.connect() as connection:
        namespaces.register(connection, name)
        add_document(connection, name, "a", ["good", "bad one", "bad two", "fine"])
    embed_chunks(database, name, embedders=embedders, batch_size=10)
    known = letters(database, name)
    one = next(item for item in known if "/1 " in item)
    assert len(known) == 2
    model.bad, model.given = (), []
    [result] = again(database, embedders, known[one])
    assert result.again is None
    assert model.given == ["bad one"]
    assert set(letters(database, name)) == set(known) - {one}
    with database.connect() as connection:
        [left] = letters(database, name).values()
        assert originals.where(connection, left) == "the stored passage 2 of a"
        assert originals.read(connection, left) == b"bad two"


def test_a_move_has_commands_of_its_own(
    database: Database, embedders: Embedders, name: str
) -> None:
    known = letters(database, name)["one.pdf"]
    for stage in ("relay", "follow", "backfill"):
        letter = replace(known, stage=stage)
        assert f"greenlang-vectors migrate {'repair' if stage == 'backfill' else stage}" in (
            command(letter)
        )
        with pytest.raises(UsageError, match="cannot be replayed"):
            again(database, embedders, known, letter)
    assert letters(database, name)["one.pdf"].attempts == 1


def test_a_letter_that_is_given_up_is_counted_no_more_and_remembered(
    database: Database, name: str
) -> None:
    known = letters(database, name)
    with database.connect() as connection:
        with pytest.raises(UnknownDeadLetter):
            dead_letters.discard(connection, [known["two.pdf"].id, uuid4()])
        assert len(letters(database, name)) == 2
        dead_letters.discard(connection, [known["two.pdf"].id])
        [given_up] = dead_letters.find(connection, [known["two.pdf"].id])
        dead_letters.discard(connection, [known["two.pdf"].id])
        assert dead_letters.find(connection, [known["two.pdf"].id]) == [given_up]
        assert given_up.discarded_at is not None
        assert given_up.discarded_by == connection.info.user
        assert set(letters(database, name)) == {"one.pdf"}
        assert _counted(connection, name) == (1, 1)
        load_documents(database, name, max_bytes=100_000, cache_seconds=60)
        assert set(letters(database, name)) == {"one.pdf"}
        assert letters(database, name, discarded=True)["two.pdf"].attempts == 2
        other = ExtractionError("encrypted", "It is encrypted.")
        dead_letters.record(connection, name, "documents", "two.pdf", other)
        assert set(letters(database, name)) == {"one.pdf", "two.pdf"}
        assert _counted(connection, name) == (2, 2)


def test_the_original_is_where_it_came_from(database: Database, name: str, tmp_path: Path) -> None:
    letter = letters(database, name)["one.pdf"]
    with database.connect() as connection:
        assert originals.where(connection, letter) == f"one.pdf in {tmp_path}"
        assert originals.read(connection, letter) == b"x"
        cut = replace(letter, stage="chunks", item="good.md")
        assert originals.read(connection, cut) == b"A\n\nB."
        (tmp_path / "one.pdf").unlink()
        with pytest.raises(UsageError, match="is not there any more"):
            originals.read(connection, letter)
        with pytest.raises(UsageError, match="in Weaviate"):
            originals.read(connection, replace(letter, stage="backfill"))


def _counted(connection: psycopg.Connection, name: str) -> tuple[int, int]:
    """By the status, and by the metrics."""
    [status] = [each for each in namespace_status(connection) if each.namespace == name]
    [gauge] = [each for each in metrics(connection) if each.name == "pgvector_dead_letters"]
    told = sum(sample.value for sample in gauge.samples if sample.labels["namespace"] == name)
    return status.dead_letters, int(told)


def _pdf() -> bytes:
    """A page of text."""
    from io import BytesIO

    from reportlab.pdfgen.canvas import Canvas

    file = BytesIO()
    canvas = Canvas(file)
    canvas.drawString(72, 720, "It can be read by now, and says what every operator has to do.")
    canvas.save()
    return file.getvalue()
