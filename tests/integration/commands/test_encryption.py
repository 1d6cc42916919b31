"""`greenlang-vectors encryption`, as a person and as a program use it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from greenlang_vectors.settings import get_settings
from greenlang_vectors.store import namespaces
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.encryption.administration import CONSEQUENCES

from ..conftest import Cli

pytestmark = pytest.mark.integration

AddDocument = Callable[[psycopg.Connection, str, str, Sequence[str]], UUID]


@pytest.fixture
def cli(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Runs `greenlang-vectors encryption` with a key file of the test's own."""
    monkeypatch.setenv("GREENLANG_DATA_DIR", str(tmp_path))
    return lambda *arguments: cli("encryption", *arguments)


@pytest.fixture
def filled(database: Database, add_document: AddDocument) -> Iterator[str]:
    """A namespace with one document of two passages."""
    with database.connect() as connection:
        namespaces.register(connection, "filled")
        add_document(connection, "filled", "a.txt", ["one passage", "another passage"])
    yield "filled"
    with database.connect() as connection:
        namespaces.drop(connection, "filled")


def state_of(cli: Cli, namespace: str) -> Any:  # noqa: ANN401 - what JSON holds
    shown = cli("status", "--json")
    assert (shown.code, shown.err) == (0, "")
    [state] = [s for s in json.loads(shown.out)["namespaces"] if s["namespace"] == namespace]
    return state


def test_encrypting_says_first_what_stops_working_and_wants_a_confirmation(
    cli: Cli, filled: str
) -> None:
    refused = cli("enable", filled)
    assert (refused.code, refused.out) == (2, "")
    assert "Confirm with --yes." in refused.said
    for sentence in CONSEQUENCES:
        assert sentence in refused.said
    for word in ("full text search", "inverted", "hashes", "previews", "backups", "VACUUM FULL"):
        assert word in refused.said
    assert state_of(cli, filled)["encrypted"] is False


def test_a_namespace_is_encrypted_rotated_and_wrapped_anew(
    cli: Cli, filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enabled = cli("enable", filled, "--metadata", "author", "--yes")
    assert (enabled.code, enabled.out) == (0, "")
    assert "filled is encrypted; 3 rows were sealed." in enabled.said
    state = state_of(cli, filled)
    assert list(state) == [
        *("namespace", "encrypted", "complete", "pending_rows", "metadata_keys", "data_keys")
    ]
    assert (state["encrypted"], state["complete"], state["pending_rows"]) == (True, True, 0)
    assert state["metadata_keys"] == ["author"]
    [key] = state["data_keys"]
    assert list(key) == ["id", "state", "master_key", "created_at"]

    assert "3 rows were sealed" in cli("rotate", filled).said
    first, second = state_of(cli, filled)["data_keys"]
    assert (first["id"], first["state"], second["state"]) == (key["id"], "retired", "current")

    old_file, new_file = tmp_path / "keys" / "master.key", tmp_path / "new.key"
    monkeypatch.setenv("GREENLANG_ENCRYPTION_KEY_FILE", str(new_file))
    get_settings.cache_clear()
    rewrapped = cli("rewrap", filled, "--old-key-file", str(old_file))
    assert "2 data keys of filled were wrapped anew." in rewrapped.said
    masters = {key["master_key"] for key in state_of(cli, filled)["data_keys"]}
    assert len(masters) == 1
    assert masters != {first["master_key"]}
    table = cli("status")
    assert "yes" in next(line for line in table.out.splitlines() if "filled" in line)


def test_mistakes_are_one_line_and_exit_code_2(cli: Cli, filled: str) -> None:
    for arguments, says in (
        (("rotate", filled), "is not encrypted"),
        (("rewrap", filled), "is not encrypted"),
        (("rotate", "nowhere"), "Unknown namespace"),
        (("enable",), "NAMESPACE"),
    ):
        result = cli(*arguments)
        assert (result.code, result.out) == (2, "")
        assert len(result.err.strip().splitlines()) == 1
        assert says in result.err
    unknown = cli("enable", "nowhere", "--yes")
    assert (unknown.code, "Unknown namespace" in unknown.said) == (2, True)


def test_a_missing_master_key_is_one_line_and_exit_code_1(
    cli: Cli, filled: str, tmp_path: Path
) -> None:
    assert cli("enable", filled, "--yes").code == 0
    (tmp_path / "keys" / "master.key").unlink()
    result = cli("rotate", filled)
    assert result.code == 1
    [line] = [line for line in result.err.splitlines() if line.startswith("Error")]
    assert "GREENLANG_ENCRYPTION_KEY_FILE" in line
    assert "Traceback" not in result.err
    assert state_of(cli, filled)["complete"] is True
