"""`make run`: your own folder in, a table out, and an exit code that tells."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from uuid import uuid4

import dagster as dg
import psycopg
import pytest

from greenlang_vectors.embedding import embedders
from greenlang_vectors.embedding.embedder import Embedder
from greenlang_vectors.settings import Settings, get_settings
from greenlang_vectors.store.database import ensure_database
from local import run
from local.instance import open_instance, prepare_home

from .conftest import write_documents
from .toy import ToyModel

pytestmark = pytest.mark.integration


@dataclass
class Outcome:
    """What a run returned and printed."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> dict[str, list[str]]:
        """The cells of the table at the end, by namespace."""
        lines = [line.split() for line in self.out.splitlines()]
        rule = next(i for i, cells in enumerate(lines) if cells and set(cells[0]) == {"─"})
        return {cells[0]: cells[1:] for cells in takewhile(bool, lines[rule + 1 :])}


@pytest.fixture(autouse=True)
def environment(
    server: str,
    new_database: Callable[[], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[None]:
    """Databases and a data directory of the test's own, named in the environment."""
    runs = ensure_database(server, f"runs_{uuid4().hex[:12]}")
    monkeypatch.setenv("GREENLANG_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("GREENLANG_DATABASE_URL", new_database())
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", runs.replace("postgresql", "postgresql+psycopg2", 1))
    monkeypatch.setenv("DAGSTER_HOME", "")
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the documents of one namespace."""
    return write_documents(tmp_path / "documents" / "timber").parent


@pytest.fixture
def make_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[Path], Outcome]:
    """`make run DOCUMENTS=…` in this process, with a toy model."""
    monkeypatch.setattr(embedders, "open_embedder", lambda *_, **__: Embedder(ToyModel()))

    def start(folder: Path) -> Outcome:
        code = run.main(["--documents", str(folder)])
        return Outcome(code, *capsys.readouterr())

    return start


@pytest.fixture
def started_run(folder: Path, repository: Path) -> subprocess.Popen[str]:
    """`make run` as a process, with the real model, in the middle of its run."""
    process = subprocess.Popen(
        [sys.executable, "-m", "local", "run", "--documents", str(folder)],
        cwd=repository,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while dg.DagsterRunStatus.STARTED not in statuses().get("timber", []):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return process


def statuses() -> dict[str, list[dg.DagsterRunStatus]]:
    """Of the runs, newest first, by namespace."""
    found: dict[str, list[dg.DagsterRunStatus]] = {}
    with open_instance(prepare_home(Settings())) as instance:
        for each in instance.get_runs():
            found.setdefault(each.tags["dagster/partition"], []).append(each.status)
    return found


def test_own_folders_become_searchable_namespaces(
    make_run: Callable[[Path], Outcome], folder: Path
) -> None:
    (folder / "timber" / "broken.pdf").write_bytes(b"%PDF-1.7 nonsense")
    write_documents(folder / "cement")
    write_documents(folder / "No, thanks")
    write_documents(folder / "_drafts")
    first = make_run(folder)
    assert (first.code, first.err) == (0, "")
    (left_out,) = (line for line in first.out.splitlines() if "No, thanks" in line)
    assert "cannot be a namespace" in left_out
    assert set(first.rows) == set(statuses()) == {"timber", "cement"}
    model, documents, chunks, embeddings, *measured, _ = first.rows["timber"]
    index, recall, _, failed, letters = measured
    assert (model, documents, index) == ("all-MiniLM-L6-v2", "2", "HNSW")
    assert (recall, failed, letters) == ("1.000", "1", "1")
    assert chunks == embeddings != "0"
    assert "timber/broken.pdf" in first.out
    assert "Example question in cement: " in first.out
    assert "make ui" in first.out


def test_a_failed_blocking_check_is_an_exit_code(
    make_run: Callable[[Path], Outcome], folder: Path
) -> None:
    write_documents(folder / "cement")
    assert make_run(folder).code == 0
    with psycopg.connect(os.environ["GREENLANG_DATABASE_URL"], autocommit=True) as connection:
        connection.execute(
            "UPDATE document_chunks SET content_hash = repeat('0', 64) WHERE namespace = 'timber'"
        )
    again = make_run(folder)
    assert again.code == 1
    (line,) = (line for line in again.out.splitlines() if line.startswith("failed"))
    assert line.startswith("failed timber: the blocking check chunk_hashes_match failed")
    assert "Traceback" not in again.out + again.err
    success, failure = dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE
    assert statuses() == {"timber": [failure, success], "cement": [success, success]}


def test_ctrl_c_ends_it_in_one_line_and_leaves_no_run_open(
    started_run: subprocess.Popen[str],
) -> None:
    started_run.send_signal(signal.SIGINT)
    _, err = started_run.communicate(timeout=60)
    assert started_run.returncode == 130
    assert len(err.splitlines()) == 1
    assert statuses() == {"timber": [dg.DagsterRunStatus.FAILURE]}


def test_a_killed_run_is_marked_as_failed_by_the_next(
    started_run: subprocess.Popen[str], make_run: Callable[[Path], Outcome], folder: Path
) -> None:
    started_run.kill()
    started_run.communicate()
    assert statuses() == {"timber": [dg.DagsterRunStatus.STARTED]}
    again = make_run(folder)
    assert (again.code, again.err) == (0, "")
    assert statuses() == {"timber": [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]}


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_a_folder_without_namespaces_is_a_mistake_in_one_line(
    make_run: Callable[[Path], Outcome], tmp_path: Path, name: str
) -> None:
    (tmp_path / "empty").mkdir()
    outcome = make_run(tmp_path / name)
    assert outcome.code == 2
    assert len(outcome.err.splitlines()) == 1
    assert name in outcome.err
    assert statuses() == {}
