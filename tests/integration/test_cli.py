"""The command line, as a person and as a program use it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from greenlang_vectors.settings import get_settings
from greenlang_vectors.store import namespaces
from greenlang_vectors.store.database import Database

from .conftest import Cli, Result

pytestmark = pytest.mark.integration


def test_status_counts_what_is_there_and_the_broken_line(cli: Cli, evaluated: Result) -> None:
    assert evaluated.code == 0
    [tiny] = [
        s for s in cli("status", "--json").json["namespaces"] if s["namespace"] == "evaluation-tiny"
    ]
    assert tiny == {
        "namespace": "evaluation-tiny",
        "documents": 3,
        "chunks": 3,
        "collection": "evaluation-tiny/all-MiniLM-L6-v2",
        "embeddings": 3,
        "dead_letters": 1,
        "recall_at_10": None,
        "recall_target": 0.95,
        "checks": {"passed": 0, "failed": 0},
    }
    assert "evaluation-tiny" in cli("status").out


def test_namespaces_are_added_and_listed(cli: Cli, tmp_path: Path) -> None:
    added = cli(
        "namespaces", "add", "grid", "--source", str(tmp_path), "--chunking", "fixed",
        "--chunking-for", "text/html=semantic", "--recall-target", "0.9",
    )  # fmt: skip
    assert (added.code, added.out) == (0, "")
    assert {
        "namespace": "grid",
        "source": str(tmp_path),
        "chunking": "fixed",
        "chunking_by_media_type": {"text/html": "semantic"},
        "recall_target": 0.9,
    } in cli("namespaces", "list", "--json").json["namespaces"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nonsense"], "nonsense"),
        (["status", "--nonsense"], "nonsense"),
        (["namespaces", "add", "a|b"], "'a|b' cannot be a namespace"),
        (["namespaces", "add", "ok", "--chunking", "random"], "semantic, fixed"),
        (["namespaces", "add", "ok", "--chunking-for", "text/html"], "MEDIA_TYPE=STRATEGY"),
        (["namespaces", "add", "ok", "--source", "/no/such/folder"], "/no/such/folder"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    cli: Cli, database: Database, arguments: list[str], says: str
) -> None:
    with database.connection() as connection:
        namespaces.register(connection, "kept")
    result = cli(*arguments)
    assert result.code == 2
    assert result.out == ""
    assert len(result.err.strip().splitlines()) == 1
    assert says in result.err


def test_a_failure_is_one_line_and_exit_code_1(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENLANG_DATABASE_URL", "postgresql://u:hunter2@127.0.0.1:1/x")
    get_settings.cache_clear()
    result = cli("status")
    assert (result.code, result.out) == (1, "")
    assert len(result.err.strip().splitlines()) == 1
    assert "hunter2" not in result.err


def test_as_a_program_it_keeps_standard_output_clean(database: Database) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "greenlang_vectors", "status", "--json"],
        env={"GREENLANG_DATABASE_URL": database.url, "PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "namespaces" in json.loads(finished.stdout)
    assert finished.stderr == ""
