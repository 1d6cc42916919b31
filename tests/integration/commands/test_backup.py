"""`greenlang-vectors backup`, `drill` and `restore`, as a person and as a program use them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from greenlang_vectors.store import leaves, namespaces
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.leaves import Leaf

from ..conftest import Cli

pytestmark = pytest.mark.integration


@pytest.fixture
def run(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, server: str) -> Cli:
    """Runs the command line with a backup location of the test's own."""
    monkeypatch.setenv("GREENLANG_BACKUP_LOCATION", str(tmp_path / "backups"))
    monkeypatch.setenv("GREENLANG_DRILL_DATABASE_URL", server)
    return cli


@pytest.fixture
def namespace(
    database: Database,
    leaf: Leaf,
    add_document: Callable[[psycopg.Connection, str, str, Sequence[str]], UUID],
    embed_all: Callable[[psycopg.Connection, Leaf], int],
) -> str:
    """A namespace of two embeddings."""
    with database.connect() as connection:
        add_document(connection, leaf.namespace, "a.txt", ["one", "two"])
        embed_all(connection, leaf)
    return leaf.namespace


def test_the_way_there_and_back_as_a_program(
    run: Cli, namespace: str, leaf: Leaf, database: Database
) -> None:
    [made] = run("backup", "create", namespace, "--json").json["exports"]
    size, seconds = made.pop("size_bytes"), made.pop("seconds")
    assert size > 0 < seconds
    export_id = made["export"]
    assert made["namespace"] == namespace
    assert made["rows"] >= 5
    [listed] = run("backup", "list", "--namespace", namespace, "--json").json["exports"]
    assert (listed["export"], listed["state"], listed["pinned"]) == (export_id, "unproven", False)
    assert run("backup", "verify", export_id, "--json").json["rows"] == made["rows"]
    refused = run("restore", "--namespace", namespace)
    assert refused.code == 2
    assert "no proven export" in refused.said
    [held] = run("drill", namespace, "--json").json["drills"]
    assert (held["passed"], held["export"]) == (True, export_id)
    assert run("backup", "pin", export_id, "--json").json == {"export": export_id, "pinned": True}
    [listed] = run("backup", "list", "--json").json["exports"]
    assert (listed["state"], listed["pinned"]) == ("good", True)
    assert listed["restore_seconds"] == held["restore_seconds"]
    refused = run("restore", "--namespace", namespace, "--json")
    assert (refused.code, refused.out) == (2, "")
    assert "--replace" in refused.said
    with database.connect() as connection:
        namespaces.drop(connection, namespace)
        [report] = run("restore", "--all", "--json").json["restored"]
        assert report["export"] == export_id
        assert report["database"] == database.name
        assert leaves.count(connection, leaf) == 2
    collection = f"{namespace}/{leaf.model}"
    [report] = run("restore", export_id, "--collection", collection, "--replace", "--json").json[
        "restored"
    ]
    assert (report["collection"], report["rows"], report["left_out"]) == (collection, 2, 0)
    pruned = run("backup", "prune", "--json").json
    assert pruned == {
        "deleted": False,
        "expired": [],
        "unfinished": [],
        "uploads": [],
        "kept": 1,
    }


def test_the_same_as_a_person(run: Cli, namespace: str, server: str, tmp_path: Path) -> None:
    made = run("backup", "create", namespace)
    assert "rows went to" in made.out
    export_id = made.out.split("rows went to ")[1].split()[0]
    assert "objects are as they were written" in run("backup", "verify", export_id).out
    assert "yes" in run("drill").out
    assert "good" in run("backup", "list").out
    with psycopg.connect(server, autocommit=True) as superuser:
        superuser.execute("CREATE DATABASE restored_into")
        try:
            target = server.replace("/postgres?", "/restored_into?")
            said = run("restore", export_id, "--into", target)
            assert said.code == 0, said.err
            assert "are in" in said.out
            assert "restored_into" in said.out
        finally:
            superuser.execute("DROP DATABASE restored_into WITH (FORCE)")
    refused = run("restore", export_id, "--into", "nowhere_yet")
    assert refused.code == 1
    assert "may not create the database nowhere_yet" in refused.said
    dump = tmp_path / "backups" / "pgvector" / export_id / "dump"
    dump.write_bytes(dump.read_bytes()[:-7])
    damaged = run("backup", "verify", export_id)
    assert damaged.code == 1
    assert "bytes, not" in damaged.said
    failed = run("drill", namespace)
    assert failed.code == 1
    assert "did not pass" in failed.said
    assert run("restore", export_id, "--replace").code == 1


def test_a_password_is_not_taken_from_the_command_line(run: Cli, namespace: str) -> None:
    run("backup", "create", namespace)
    run("drill", namespace)
    result = run("restore", "--namespace", namespace, "--into", "postgresql://u:secret@h/d")
    assert (result.code, result.out) == (2, "")
    assert "PGPASSWORD" in result.said
    assert "secret" not in result.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["restore"], "Say what to restore"),
        (["restore", "x-20260101T000000Z-abcdef", "--all"], "Only an EXPORT"),
        (["restore", "x-20260101T000000Z-abcdef"], "There is no export"),
        (["restore", "x-20260101T000000Z-abcdef", "--collection", "y/m"], "not of the namespace"),
        (["restore", "--collection", "nothing"], "is not NAMESPACE/MODEL"),
        (["restore", "--all"], "no good export"),
        (["backup", "verify", "../../etc"], "There is no export"),
        (["backup", "pin", "nothing"], "There is no export"),
        (["backup", "create", "nobody"], "Unknown namespace"),
        (["drill", "nobody"], "There is no export of 'nobody'"),
        (["drill", "a", "--export", "b"], "not both"),
    ],
)
def test_what_cannot_be_is_one_line_and_code_2(run: Cli, arguments: list[str], said: str) -> None:
    result = run(*arguments)
    assert (result.code, result.out) == (2, "")
    assert said in result.said
    assert result.err.strip().count("\n") == 0
