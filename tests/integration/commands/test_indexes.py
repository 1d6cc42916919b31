"""`greenlang-vectors indexes`, as a person and as a program use it."""

from __future__ import annotations

from uuid import uuid4

import numpy as np
import pytest

from greenlang_vectors.settings import get_settings
from greenlang_vectors.store import leaves, namespaces
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.index_settings import IndexSettings
from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.writing import EmbeddingRow, write

from ..conftest import Cli

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module", autouse=True)
def filled(database: Database) -> None:
    """The namespace csrd has 3,000 rows and no index."""
    leaf = Leaf("csrd", "toy", 8)
    rows = [EmbeddingRow("document", uuid4(), i, "0" * 64, None) for i in range(3000)]
    vectors = np.random.default_rng(1).normal(size=(3000, 8)).astype(np.float32)
    with database.connect() as connection:
        namespaces.register(connection, "csrd")
        leaves.ensure_leaf(connection, leaf)
        write(connection, leaf, rows, vectors, fingerprint="f")


def test_from_an_estimate_to_a_rebuilt_index(cli: Cli, database: Database) -> None:
    estimated = cli("indexes", "estimate", "csrd", "--json").json
    assert (estimated["rows"], estimated["measured"]) == (3000, False)
    [tail] = cli("indexes", "list", "csrd", "--json").json["indexes"]
    assert (tail["name"], tail["rows"], tail["kind"]) == (None, 3000, "no index")

    built = cli("indexes", "maintain", "csrd/toy", "--json").json
    *before, name = built["built"]
    assert built["dropped"] == before, "what covered the rows while the graph was built"
    index, tail = cli("indexes", "list", "csrd", "--json").json["indexes"]
    assert (index["name"], index["rows"], index["advice"]) == (name, 3000, "")
    assert index["size_bytes"] <= estimated["size_bytes"] * 1.3
    assert tail["rows"] == 0

    with database.connect() as connection:
        connection.execute("DELETE FROM vector_embeddings WHERE chunk_index >= 1000")
    index, _ = cli("indexes", "list", "csrd", "--json").json["indexes"]
    assert index["bloat"] > 1.5
    assert "indexes rebuild" in index["advice"]
    assert cli("indexes", "rebuild", "csrd").code == 0
    index, _ = cli("indexes", "list", "csrd", "--json").json["indexes"]
    assert (index["name"], index["rows"]) == (name, 1000)
    assert index["bloat"] < 1.5
    assert "csrd" not in cli("indexes", "list", "csrd").err


def test_too_little_memory_and_too_few_rows_are_warned_of(
    cli: Cli, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.connect() as connection:
        namespaces.register(connection, "listed")
        leaves.ensure_leaf(
            connection, Leaf("listed", "toy", 8), IndexSettings(kind="ivfflat", lists=500)
        )
    result = cli("indexes", "estimate", "listed", "--rows", "1000")
    assert "500 lists want at least 25000 rows" in " ".join(result.err.split())
    monkeypatch.setenv("GREENLANG_INDEX_BUILD_MEMORY_MB", "1")
    get_settings.cache_clear()
    assert (
        "GREENLANG_INDEX_BUILD_MEMORY_MB"
        in cli("indexes", "estimate", "csrd", "--rows", "1000000").err
    )


@pytest.mark.parametrize("command", ["list", "estimate", "maintain", "rebuild"])
def test_an_unknown_collection_is_one_line(cli: Cli, command: str) -> None:
    for name in ("nowhere", "nowhere/model"):
        result = cli("indexes", command, name)
        assert result.code == 2
        assert result.err.count("\n") == 1
        assert "nowhere" in result.err
