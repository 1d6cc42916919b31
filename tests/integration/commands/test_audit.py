"""`greenlang-vectors audit`: what a person and a program read of the log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import numpy as np
import pytest

from greenlang_vectors.chunking.model import content_hash
from greenlang_vectors.store import namespaces, writing
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.writing import EmbeddingRow

from ..conftest import Cli

pytestmark = pytest.mark.integration


@pytest.fixture
def cli(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Runs `greenlang-vectors audit` on a wide screen."""
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *arguments: cli("audit", *arguments)


@pytest.fixture
def embedding(database: Database, leaf: Leaf) -> UUID:
    """One that was written with another, changed, and removed; its id."""
    source, vectors = uuid4(), np.ones((2, leaf.dimensions), np.float32)
    rows = [
        EmbeddingRow("sdk", source, i, content_hash(f"first {i}"), f"first {i}", {"page": i})
        for i in (1, 2)
    ]
    changed = rows[1]._replace(content_hash=content_hash("second"), metadata={"page": 7})
    with database.connect() as connection:
        writing.write(connection, leaf, rows, vectors, fingerprint="f")
        writing.write(connection, leaf, [changed], vectors[1:], fingerprint="f")
        [(identity,)] = connection.execute(
            "SELECT id FROM vector_embeddings WHERE source_id = %s AND chunk_index = 2", [source]
        ).fetchall()
        connection.execute("DELETE FROM vector_embeddings WHERE source_id = %s", [source])
    return UUID(str(identity))


@pytest.mark.usefixtures("embedding")
def test_list_gives_the_documented_json_and_nothing_else(cli: Cli, leaf: Leaf) -> None:
    result = cli("list", "--namespace", leaf.namespace, "--json")
    assert [(one["operation"], one["embeddings"]) for one in result.json["records"]] == [
        ("DELETE", 2),
        ("UPDATE", 1),
        ("INSERT", 2),
    ]
    assert {*result.json["records"][0]} == {
        "changed_at",
        "changed_by",
        "acting_as",
        "transaction_id",
        "operation",
        "table",
        "model",
        "embeddings",
    }
    assert (result.code, result.err) == (0, "")


def test_list_of_an_id_is_the_history_of_that_embedding(
    cli: Cli, leaf: Leaf, embedding: UUID
) -> None:
    arguments = ("list", "--namespace", leaf.namespace, "--id", str(embedding))
    first, second = content_hash("first 2"), content_hash("second")
    told = [
        (one["operation"], one["old_hash"], one["new_hash"], one["old_metadata"])
        for one in cli(*arguments, "--json").json["records"]
    ]
    assert told == [
        ("DELETE", second, None, {"page": 7}),
        ("UPDATE", first, second, {"page": 2}),
        ("INSERT", None, first, None),
    ]
    shown = cli(*arguments).out
    assert first[:12] in shown
    assert "page=7" in shown


@pytest.mark.usefixtures("embedding")
def test_list_narrows_by_operation_time_and_number(cli: Cli, leaf: Leaf) -> None:
    def operations(*arguments: str) -> list[str]:
        result = cli("list", "--namespace", leaf.namespace, "--json", *arguments)
        return [one["operation"] for one in result.json["records"]]

    updated = cli("list", "--namespace", leaf.namespace, "--json").json["records"][1]["changed_at"]
    assert operations("--operation", "delete") == ["DELETE"]
    assert operations("--since", datetime.fromisoformat(updated).isoformat()) == [
        "DELETE",
        "UPDATE",
    ]
    assert operations("--limit", "1") == ["DELETE"]


@pytest.mark.usefixtures("embedding")
def test_a_time_without_a_zone_is_utc(
    cli: Cli, leaf: Leaf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGTZ", "Pacific/Pago_Pago")
    an_hour_ago = (datetime.now(UTC) - timedelta(hours=1)).replace(tzinfo=None).isoformat()
    assert cli("list", "--namespace", leaf.namespace, "--json", "--since", an_hour_ago).json[
        "records"
    ]


@pytest.mark.usefixtures("embedding")
def test_the_records_of_a_dropped_namespace_can_still_be_read(
    cli: Cli, database: Database, leaf: Leaf
) -> None:
    with database.connect() as connection:
        namespaces.drop(connection, leaf.namespace)
    result = cli("list", "--namespace", leaf.namespace)
    assert result.code == 0
    assert result.out.count("DELETE") == 1


def test_an_unknown_namespace_is_named_and_an_empty_log_is_said_to_be(cli: Cli, leaf: Leaf) -> None:
    unknown = cli("list", "--namespace", "nowhere")
    assert unknown.code == 2
    assert "Unknown namespace 'nowhere'" in unknown.err
    empty = cli("list", "--namespace", leaf.namespace)
    assert (empty.code, empty.out) == (0, "")
    assert "Nothing is recorded" in empty.err


def test_what_is_no_time_is_refused_in_one_line(cli: Cli) -> None:
    refused = cli("list", "--since", "yesterday")
    assert refused.code == 2
    assert "'yesterday' is not an ISO 8601 time" in refused.err


def test_configure_says_that_this_server_has_no_pgaudit(cli: Cli) -> None:
    result = cli("configure")
    assert result.code == 0
    assert "pgaudit is not installed" in result.out
