"""`greenlang-vectors archive`, as a person and as a program use it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from greenlang_vectors.store.database import Database
from greenlang_vectors.store.leaves import Leaf

from ..conftest import Cli

pytestmark = pytest.mark.integration


Archive = Cli


@pytest.fixture
def archive(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Archive:
    """Runs `greenlang-vectors archive` with a backup location of the test's own."""
    monkeypatch.setenv("GREENLANG_BACKUP_LOCATION", str(tmp_path / "backups"))
    return lambda *arguments: cli("archive", *arguments)


@pytest.fixture
def old(
    database: Database,
    leaf: Leaf,
    add_document: Callable[[psycopg.Connection, str, str, Sequence[str]], UUID],
    embed_all: Callable[[psycopg.Connection, Leaf], int],
) -> str:
    """A namespace whose two embeddings are a year old."""
    with database.connect() as connection:
        add_document(connection, leaf.namespace, "a.txt", ["one", "two"])
        embed_all(connection, leaf)
        connection.execute(
            "UPDATE vector_embeddings SET updated_at = now() - interval '1 year' "
            "WHERE namespace = %s",
            [leaf.namespace],
        )
    return leaf.namespace


def test_the_way_there_and_back_as_a_program(archive: Archive, old: str) -> None:
    dry = archive("run", old, "--older-than", "180d", "--dry-run", "--json").json
    assert [(c["model"], c["rows"]) for c in dry["candidates"]] == [("test-model", 2)]
    [done] = archive("run", old, "--older-than", "26w", "--json").json["archives"]
    size, archive_id = done.pop("size_bytes"), done["archive"]
    assert size > 0
    assert done == {
        "archive": archive_id,
        "namespace": old,
        "model": "test-model",
        "rows": 2,
        "archived": 2,
        "kept": 0,
        "parts": 1,
    }
    [listed] = archive("list", "--json").json["archives"]
    assert listed.pop("created_at").startswith("20")
    assert listed == {
        "archive": archive_id,
        "namespace": old,
        "model": "test-model",
        "rows": 2,
        "archived": 2,
        "size_bytes": size,
        "problem": None,
    }
    assert archive("verify", archive_id, "--json").json == {
        "archive": archive_id,
        "rows": 2,
        "parts": 1,
    }
    assert archive("restore", archive_id, "--json").json == {
        "archive": archive_id,
        "namespace": old,
        "model": "test-model",
        "restored": 2,
        "present": 0,
        "gone": 0,
        "refused": 0,
    }
    assert archive("list", "--json").json["archives"][0]["archived"] == 0


def test_the_way_there_and_back_as_a_person(archive: Archive, old: str) -> None:
    assert "2 rows" in archive("run", old, "--older-than", "180d", "--dry-run").out
    assert f"2 rows went to {old}-" in archive("run", old, "--older-than", "180d").out
    again = archive("run", old, "--older-than", "180d")
    assert (again.code, again.out) == (0, "")
    assert "older than 180d" in again.err
    [archive_id] = [a["archive"] for a in archive("list", "--json").json["archives"]]
    assert "All 2 rows" in archive("verify", archive_id).out
    assert "2 rows are back" in archive("restore", archive_id).out
    assert "test-model" in archive("list").out


def test_a_damaged_archive_is_one_line_and_exit_code_1(
    archive: Archive, old: str, tmp_path: Path
) -> None:
    [done] = archive("run", old, "--older-than", "180d", "--json").json["archives"]
    [part] = tmp_path.rglob("*.parquet")
    part.write_bytes(part.read_bytes()[:-1])
    for command in ("verify", "restore"):
        result = archive(command, done["archive"])
        assert (result.code, result.out) == (1, "")
        assert f"{part.name} has" in result.err
    [manifest] = tmp_path.rglob("manifest.json")
    manifest.write_text("{}")
    [listed] = archive("list", "--json").json["archives"]
    assert "manifest cannot be read" in listed["problem"]
    assert (listed["rows"], listed["archived"]) == (None, 2)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "csrd"], "--older-than"),
        (["run", "csrd", "--older-than", "soon"], "'soon' is not an age"),
        (["run", "csrd", "--older-than", "-1d"], "'-1d' is not an age"),
        (["run", "nowhere", "--older-than", "1d"], "Unknown namespace 'nowhere'"),
        (["restore", "../../etc"], "There is no archive"),
        (["verify", "csrd-20260101T000000Z-abcdef"], "archive list"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    archive: Archive, arguments: list[str], says: str
) -> None:
    result = archive(*arguments)
    assert (result.code, result.out) == (2, "")
    assert says in result.err.strip().splitlines()[-1]
