"""Files of passages: stored once however often they come, their bad rows alone left out."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from greenlang_vectors import direct, landing
from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.errors import UnknownNamespace, UsageError
from greenlang_vectors.ingest import importing, passage_files
from greenlang_vectors.ingest.importing import ImportReport, import_passages
from greenlang_vectors.ingest.passage_files import PassageFile
from greenlang_vectors.settings import get_settings
from greenlang_vectors.stages.embeddings import fill_collection
from greenlang_vectors.store import collections, dead_letters, namespaces
from greenlang_vectors.store import jobs as store_jobs
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.encryption import administration
from greenlang_vectors.store.index_settings import IndexSettings
from tests.integration.conftest import Cli, Launch, ToyModel

pytestmark = pytest.mark.integration

MODEL = "laws-4"
Rows = list[Any]


@pytest.fixture
def namespace(database: Database) -> str:
    with database.connect() as connection:
        return namespaces.register(connection, f"i-{uuid4().hex[:10]}").name


@pytest.fixture
def load(
    database: Database, toys: Embedders, namespace: str, tmp_path: Path
) -> Callable[..., ImportReport]:
    """Imports rows, written as JSON lines, or a file."""

    def run(given: Rows | Path, **options: Any) -> ImportReport:  # noqa: ANN401
        if isinstance(given, list):
            path = tmp_path / "passages.jsonl"
            lines = [row if isinstance(row, str) else json.dumps(row) for row in given]
            path.write_text("\n".join(lines))
        else:
            path = given
        return import_passages(
            database,
            namespace,
            PassageFile(path),
            embedders=toys,
            batch_size=16,
            cache_seconds=60,
            **options,
        )

    return run


def row(document: str, content: str, **more: object) -> dict[str, object]:
    return {"source_id": document, "content": content, **more}


@pytest.fixture
def seen(database: Database, namespace: str) -> Callable[[str], list[tuple[Any, ...]]]:
    """Key, index, content, metadata, heading path and page of a model's passages."""

    def look(model: str = "toy-16") -> list[tuple[Any, ...]]:
        with database.connect() as connection:
            return connection.execute(
                """
                SELECT d.source_key, e.chunk_index, c.content, e.metadata, c.heading_path,
                       c.page_start
                FROM vector_embeddings e
                JOIN document_chunks c ON c.namespace = e.namespace
                    AND c.document_id = e.source_id AND c.chunk_index = e.chunk_index
                    AND c.content_hash = e.content_hash
                JOIN documents d ON d.namespace = c.namespace AND d.id = c.document_id
                WHERE e.namespace = %s AND e.embedding_model = %s ORDER BY 1, 2
                """,
                [namespace, model],
            ).fetchall()

    return look


@pytest.fixture
def letters(database: Database, namespace: str) -> Callable[[], dict[str, str]]:
    def look() -> dict[str, str]:
        with database.connect() as connection:
            found = dead_letters.list_all(connection, namespace, importing.STAGE)
        return {letter.item.partition(" of ")[0]: letter.reason for letter in found}

    return look


@pytest.fixture
def jobs(database: Database, namespace: str) -> Callable[[], list[tuple[Any, ...]]]:
    """Of each job: its collection, how it ended, what was to be stored, was, and was not."""

    def look() -> list[tuple[Any, ...]]:
        with database.connect() as connection:
            return [
                (
                    (job.collection or "").partition("/")[2],
                    *(job.status, job.source_count, job.processed_count, job.failed_count),
                )
                for job in store_jobs.newest(connection, [namespace], most=100)
                if job.source_type == "import"
            ]

    return look


def test_passages_are_stored_with_all_that_is_said_of_them_and_only_once(
    load: Callable[..., ImportReport],
    seen: Callable[..., Any],
    database: Database,
    toys: Embedders,
    namespace: str,
    jobs: Callable[[], Rows],
) -> None:
    rows: Rows = [
        row("act", "It binds.", metadata={"article": "1"}, heading_path=["I", "1"], page=3),
        row("act", "It ends.", metadata={"article": "2"}, title="The act", mood="good"),
        row("faq", "Ask NUL\x00 here."),
    ]
    report = load(rows)
    assert (report.rows, report.documents, report.written, report.failed) == (3, 2, 3, 0)
    assert report.ignored_columns == ["mood"]
    stored = [
        ("act", 0, "It binds.", {"article": "1"}, ["I", "1"], 3),
        ("act", 1, "It ends.", {"article": "2"}, [], None),
        ("faq", 0, "Ask NUL here.", {}, [], None),
    ]
    assert seen() == stored
    again = load(rows)
    assert (again.unchanged, again.written) == (2, 0)
    rows[1]["content"] = "It ends in 2030."
    changed = load(rows)
    assert (changed.unchanged, changed.documents, changed.written) == (1, 2, 1)
    assert jobs() == [("toy-16", "succeeded", n, n, 0) for n in (2, 0, 3)]
    with database.connect() as connection:
        toys.create(connection, namespace, "toy-24", IndexSettings())
        beside = f"{namespace}/toy-24"
    fill_collection(database, beside, embedders=toys, batch_size=8)
    assert [each[3] for each in seen("toy-24")] == [each[3] for each in stored]
    with database.connect() as connection:
        [read] = direct.get(connection, namespace, ["act"])
        assert list(read.texts) == ["It binds.", "It ends in 2030."]
        assert direct.delete(connection, namespace, ["act"], cache_seconds=60) == 1


def test_bad_rows_are_dead_letters_by_their_line_until_they_are_mended(
    load: Callable[..., ImportReport],
    seen: Callable[..., Any],
    letters: Callable[[], dict[str, str]],
    jobs: Callable[[], Rows],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(passage_files, "LONGEST_LINE", 300)
    good = {"embedding": [1, 0, 0, 0]}
    rows: Rows = [
        row("a", "one", **good),
        row("a", "two", embedding=[1, 0, 0]),
        row("a", "three", embedding=[float("nan"), 0, 0, 0]),
        row("a", "four", embedding=[0, 0, 0, 0]),
        row("a", "five", embedding=[1e30, 1e30, 0, 0]),
        row("a", "six"),
        "{no JSON",
        "[1]",
        "",
        row("a", " ", **good),
        {"content": "whose?", **good},
        row("b", "x" * 400, **good),
        row("b", "seven", metadata={"x": "\ud800"}, **good),
        row("b", "eight", metadata={"x": "\x00"}, **good),
        row("b", "nine", embedding="none"),
        row("b", "ten", **good),
        row("a", "eleven", **good),
    ]
    report = load(rows, model=MODEL)
    assert [each[:3] for each in seen(MODEL)] == [("a", 0, "one"), ("b", 0, "ten")]
    assert letters() == {
        **{"line 2": "wrong_dimensions", "line 4": "zero_vector", "line 6": "no_vector"},
        **dict.fromkeys(["line 3", "line 5"], "not_finite"),
        **{f"line {n}": "damaged" for n in (7, 8, 10, 11, 12, 13, 14, 15)},
        "line 17": "scattered",
    }
    assert (report.rows, report.failed, len(report.problems)) == (16, 14, 14)
    assert jobs() == [(MODEL, "succeeded", 16, 2, 14)]
    mended = [row("a", "one", **good), row("a", "two", **good), row("b", "ten", **good)]
    assert (load(mended, model=MODEL).failed, letters()) == (0, {})


def test_parquet_carries_the_same(
    load: Callable[..., ImportReport], seen: Callable[..., Any], tmp_path: Path
) -> None:
    vectors = np.eye(4, dtype=np.float32)[:3].tolist()
    fixed = pa.FixedSizeListArray.from_arrays(pa.array(np.eye(4, dtype="f4")[:3].ravel()), 4)
    kinds = {
        "json": (pa.array(['{"n": 1}', "{}", None]), pa.array(vectors, pa.list_(pa.float64()))),
        "map": (pa.array([[("n", 1)], [], None], pa.map_(pa.string(), pa.int64())), fixed),
        "struct": (pa.array([{"n": 1}, {"n": None}, None]), fixed),
    }
    for kind, (metadata, embedding) in kinds.items():
        table = pa.table(
            {
                "source_id": [f"{kind}-1", f"{kind}-1", f"{kind}-2"],
                "content": ["one", "two", "three"],
                "heading_path": pa.array([["I"], None, []], pa.list_(pa.string())),
                "page": pa.array([None, 2, 3], pa.int32()),
                "metadata": metadata,
                "embedding": embedding,
            }
        )
        pq.write_table(table, tmp_path / "p.parquet", row_group_size=2)
        assert load(tmp_path / "p.parquet", model=MODEL).written == 3
        assert seen(MODEL)[-3:] == [
            (f"{kind}-1", 0, "one", {"n": 1}, ["I"], None),
            (f"{kind}-1", 1, "two", {}, [], 2),
            (f"{kind}-2", 0, "three", {}, [], 3),
        ]
    (tmp_path / "p.parquet").write_bytes((tmp_path / "p.parquet").read_bytes()[:-9])
    with pytest.raises(UsageError, match="cannot be read"):
        load(tmp_path / "p.parquet", model=MODEL)


def test_vectors_of_a_model_of_this_machine_are_compared_with_what_it_makes(
    load: Callable[..., ImportReport],
    seen: Callable[..., Any],
    database: Database,
    namespace: str,
    toys: Embedders,
) -> None:
    texts = ["one", "two", "three"]
    vectors = ToyModel("toy-16").encode(texts) * 7
    rows: Rows = [
        row("a", text, embedding=vector.tolist())
        for text, vector in zip(texts, vectors, strict=True)
    ]
    assert load(rows, model="toy-16").written == 3
    with database.connect() as connection:
        [collection] = collections.list_all(connection, namespace)
        assert (collection.serving, collection.supplied) == (True, False)
    report = fill_collection(database, collection.name, embedders=toys, batch_size=8)
    assert report.pending == 0
    rows[0]["embedding"] = (-vectors[0]).tolist()
    with pytest.raises(UsageError, match="not what toy-16 makes"):
        load(rows, model="toy-16")
    with pytest.raises(UsageError, match="--model"):
        load(rows)
    assert len(seen()) == 3


def test_what_cannot_be_embedded_or_is_a_sources_own_fails_alone(
    load: Callable[..., ImportReport],
    seen: Callable[..., Any],
    letters: Callable[[], dict[str, str]],
    add_document: Callable[..., Any],
    database: Database,
    namespace: str,
    jobs: Callable[[], Rows],
) -> None:
    with database.connect() as connection:
        add_document(connection, namespace, "theirs", ["It is delivered."])
    rows: Rows = [row(f"d{n}", f"Duty {n}.") for n in range(6)]
    rows[1] = row("theirs", "It is ours now.")
    rows[4] = row("d4", "word " * 600)
    report = load(rows)
    assert (report.documents, report.written, report.failed) == (4, 4, 2)
    assert letters() == {"line 2": "refused", "line 5": "refused"}
    assert {each[0] for each in seen()} == {"d0", "d2", "d3", "d5"}
    assert jobs() == [("toy-16", "succeeded", 6, 4, 2)]


def test_an_import_that_stops_is_repeated_and_does_what_is_left(
    load: Callable[..., ImportReport],
    seen: Callable[..., Any],
    jobs: Callable[[], Rows],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importing, "BATCH_PASSAGES", 3)
    really, calls = landing.land, []

    def land(*arguments: Any, **options: Any) -> int:  # noqa: ANN401
        calls.append(len(arguments[3]))
        if len(calls) == 2:
            raise psycopg.OperationalError("the server closed the connection")
        return really(*arguments, **options)

    monkeypatch.setattr(importing, "land", land)
    rows: Rows = [row(f"d{n:02}", f"Duty {n}.") for n in range(10)]
    with pytest.raises(psycopg.OperationalError):
        load(rows)
    assert len(seen()) == 3
    report = load(rows)
    assert (report.unchanged, report.written, len(seen())) == (3, 7, 10)
    assert calls == [3, 3, 3, 3, 1]
    assert jobs() == [("toy-16", "succeeded", 7, 7, 0), ("toy-16", "failed", 6, 3, 0)]


@pytest.mark.faults
def test_an_import_that_is_killed_is_stuck_until_it_is_repeated(
    load: Callable[..., ImportReport],
    jobs: Callable[[], Rows],
    launch: Launch,
    database: Database,
    namespace: str,
    tmp_path: Path,
) -> None:
    rows: Rows = [row(f"d{n // 10}", f"Duty {n}.", embedding=[1, n, 0, 0]) for n in range(3000)]
    file = tmp_path / "passages.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    started = launch(database.url, "import", str(file), "--namespace", namespace, "--model", MODEL)
    until = time.monotonic() + 60
    while not any(stored for *_, stored, _ in jobs()):
        assert (started.poll(), time.monotonic() < until) == (None, True)
        time.sleep(0.02)
    started.kill()
    started.wait()
    while jobs()[0][1] == "running":  # until the server sees that the client has gone
        assert time.monotonic() < until
        time.sleep(0.02)
    [(_, status, _, stored, failed)] = jobs()
    assert (status, 0 < stored < 3000, failed) == ("stuck", True, 0)
    report = load(file, model=MODEL)
    assert (report.written, report.unchanged) == (3000 - stored, stored / 10)
    (_, ended, *counted), (_, before, *_) = jobs()
    assert (ended, before) == ("succeeded", "interrupted")
    assert counted == [3000 - stored, 3000 - stored, 0]


def test_an_encrypted_namespace_keeps_passages_sealed(
    load: Callable[..., ImportReport],
    seen: Callable[..., Any],
    database: Database,
    namespace: str,
    toys: Embedders,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GREENLANG_DATA_DIR", str(tmp_path))
    get_settings.cache_clear()
    try:
        with database.connect() as connection:
            administration.enable(connection, namespace, get_settings(), metadata_keys=["article"])
        rows: Rows = [row("act", "It binds.", metadata={"article": "1", "year": 2})]
        assert load(rows).written == 1
        assert load(rows).unchanged == 1
        [(_, _, content, metadata, _, _)] = seen()
        assert "binds" not in content
        assert (metadata["article"] == "1", metadata["year"]) == (False, 2)
        with database.connect() as connection:
            toys.create(connection, namespace, "toy-24", IndexSettings())
        filled = fill_collection(database, f"{namespace}/toy-24", embedders=toys, batch_size=8)
        assert (filled.written, filled.failed) == (1, 0)
    finally:
        get_settings.cache_clear()


def test_the_command_checks_without_storing_and_says_what_is_wrong(
    cli: Cli, tmp_path: Path, namespace: str, database: Database, jobs: Callable[[], Rows]
) -> None:
    file = tmp_path / "p.jsonl"
    file.write_text(json.dumps(row("a", "one")) + "\n{}\n")
    done = cli("import", str(file), "--namespace", namespace, "--dry-run", "--json")
    assert done.code == 1
    assert (done.json["documents"], done.json["failed"], done.json["written"]) == (1, 1, 0)
    assert "line 2: " in done.said
    with database.connect() as connection:
        assert dead_letters.list_all(connection, namespace) == []
    assert jobs() == []
    wrong = cli("import", str(tmp_path / "no.jsonl"), "--namespace", namespace)
    assert (wrong.code, "no.jsonl" in wrong.said) == (2, True)
    assert cli("import", str(file), "--namespace", "nowhere").code == 2


def test_an_unknown_namespace_is_refused(
    database: Database, toys: Embedders, tmp_path: Path
) -> None:
    (tmp_path / "p.jsonl").write_text("")
    with pytest.raises(UnknownNamespace):
        import_passages(
            database,
            "nowhere",
            PassageFile(tmp_path / "p.jsonl"),
            embedders=toys,
            batch_size=1,
            cache_seconds=1,
        )
