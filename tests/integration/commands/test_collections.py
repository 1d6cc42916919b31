"""`greenlang-vectors collections`: a namespace's model changed by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from greenlang_vectors.embedding import embedders
from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.errors import ModelUnavailable
from greenlang_vectors.progress import silent
from greenlang_vectors.settings import Settings
from greenlang_vectors.stages.pipeline import fill
from greenlang_vectors.store import namespaces
from greenlang_vectors.store.database import Database

from ..conftest import Cli

pytestmark = pytest.mark.integration

FIRST, OTHER = "csrd/toy-16", "csrd/toy-24"


@pytest.fixture
def database(new_database: Callable[[], str], toys: Embedders, tmp_path: Path) -> Database:
    """A database with one namespace, filled with the first model."""
    database = Database(new_database())
    for number in range(4):
        (tmp_path / f"{number}.md").write_text(f"# Duty {number}\n\nIt binds class {number}.")
    with database.connect() as connection:
        namespaces.register(connection, "csrd", source_uri=str(tmp_path))
    fill(database, "csrd", embedders=toys, settings=Settings(), progress=lambda _: silent)
    return database


@pytest.fixture
def cli(cli: Cli, toys: Embedders, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The command line on a machine that has toy models alone."""

    def open_toy(_: Database, model: str, **options: object) -> object:  # noqa: ARG001
        if not model.startswith("toy-"):
            raise ModelUnavailable(f"The embedding model {model!r} is not on this machine.")
        return toys.open(model)

    monkeypatch.setattr(embedders, "open_embedder", open_toy)
    return cli


def known(cli: Cli) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in cli("collections", "list", "--json").json["collections"]}


def test_a_model_is_changed_from_create_to_drop(cli: Cli) -> None:
    created = cli("collections", "create", "csrd", "--model", "toy-24", "--metric", "l2")
    assert (created.code, created.out) == (0, "")
    assert f"collections fill {OTHER}" in created.err
    assert (known(cli)[OTHER]["rows"], known(cli)[OTHER]["complete"]) == (0, False)

    refused = cli("collections", "switch", OTHER)
    assert (refused.code, refused.out) == (2, "")
    assert "4 of 4 chunks" in refused.err
    assert known(cli)[FIRST]["serving"]

    assert cli("collections", "fill", OTHER).code == 0
    assert (known(cli)[OTHER]["rows"], known(cli)[OTHER]["complete"]) == (4, True)
    assert cli("collections", "fill", OTHER).code == 0

    switched = cli("collections", "switch", OTHER)
    assert switched.code == 0
    assert "not been measured" in switched.err
    assert f"collections switch {FIRST}" in switched.err
    assert known(cli)[OTHER]["serving"]
    assert "serves csrd already" in cli("collections", "switch", OTHER).err

    assert cli("collections", "drop", OTHER).code == 2
    assert cli("collections", "drop", FIRST).code == 0
    assert list(known(cli)) == [OTHER]


def test_the_list_says_what_is_documented(cli: Cli) -> None:
    cli("collections", "create", "csrd", "--model", "toy-24", "--storage", "halfvec", "--m", "8")
    shown = known(cli)
    assert list(shown) == [FIRST, OTHER]
    assert {key: shown[FIRST][key] for key in list(shown[FIRST])[:-3]} == {
        "name": FIRST,
        "namespace": "csrd",
        "description": None,
        "model": "toy-16",
        "dimensions": 16,
        "serving": True,
        "index": {"metric": "cosine", "kind": "hnsw", "storage": "vector"},
        "search_width": None,
        "chunks": 4,
        "rows": 4,
        "missing": 0,
        "complete": True,
    }
    assert list(shown[FIRST])[-3:] == ["table_bytes", "index_bytes", "recall_at_10"]
    assert shown[OTHER]["index"] == {
        "metric": "cosine", "kind": "hnsw", "storage": "halfvec", "m": 8
    }  # fmt: skip
    (line,) = (line for line in cli("collections", "list").out.splitlines() if OTHER in line)
    assert [cell.strip() for cell in line.strip("│").split("│")][5:7] == ["0", "4"]


def test_a_comparison_is_a_table_for_people_and_json_for_programs(cli: Cli) -> None:
    cli("collections", "create", "csrd", "--model", "toy-24")
    cli("collections", "fill", OTHER)
    compared = cli("collections", "compare", "csrd", "--json").json
    assert compared["namespace"] == "csrd"
    assert [each["name"] for each in compared["collections"]] == [FIRST, OTHER]
    for each in compared["collections"]:
        assert each["quality"]["recall_at_10"] == 1
        assert each["recall_at_10"] == 1
        assert each["retrieval"] == {}
    (line,) = (
        line
        for line in cli("collections", "compare", "csrd").out.splitlines()
        if "recall@10" in line
    )
    assert line.split("│")[2:4] == [f" {'1.0000':<{len(name)}} " for name in (FIRST, OTHER)]


def test_search_asks_the_collection_that_is_named(cli: Cli) -> None:
    cli("collections", "create", "csrd", "--model", "toy-24")
    empty = cli("search", "duty", "--collection", OTHER, "--json")
    assert (empty.json["namespace"], empty.json["results"]) == ("csrd", [])
    cli("collections", "fill", OTHER)
    found = cli("search", "duty", "--collection", OTHER, "--json").json["results"]
    assert len(found) == 4
    assert found != cli("search", "duty", "--namespace", "csrd", "--json").json["results"]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["create", "nowhere", "--model", "toy-24"], 2, "Unknown namespace"),
        (["create", "csrd", "--model", "toy-16"], 2, "exists already"),
        (["create", "csrd", "--model", "mystery"], 1, "'mystery' is not on this machine"),
        (["create", "csrd", "--model", "toy-24", "--metric", "hamming"], 2, "Unknown metric"),
        (["create", "csrd", "--model", "toy-24", "--index", "flat"], 2, "Unknown index kind"),
        (["create", "csrd", "--model", "toy-3000"], 2, "Choose halfvec"),
        (["create", "csrd"], 2, "--model"),
        (["fill", OTHER], 2, f"Unknown collection '{OTHER}'"),
        (["switch", OTHER], 2, f"Known: {FIRST}"),
        (["compare", "nowhere"], 2, "Unknown namespace"),
        (["drop", FIRST], 2, "Switch to another"),
    ],
)
def test_a_mistake_is_one_line_and_changes_nothing(
    cli: Cli, arguments: list[str], code: int, says: str
) -> None:
    before = known(cli)
    result = cli("collections", *arguments)
    assert (result.code, result.out) == (code, "")
    assert says in result.err
    assert len(result.err.strip().splitlines()) == 1
    assert known(cli) == before


def test_status_says_which_model_serves(cli: Cli) -> None:
    (state,) = cli("status", "--json").json["namespaces"]
    assert (state["collection"], state["embeddings"]) == (FIRST, 4)
    cli("collections", "create", "csrd", "--model", "toy-24")
    cli("collections", "fill", OTHER)
    cli("collections", "switch", OTHER)
    (state,) = cli("status", "--json").json["namespaces"]
    assert (state["collection"], state["embeddings"]) == (OTHER, 4)
    (line,) = (line for line in cli("status").out.splitlines() if "csrd" in line)
    assert line.split()[:2] == ["csrd", "toy-24"]
    assert "HNSW" in line
