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


@pytest.fixture(scope="module")
def retrieval_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets") / "Tiny"
    folder.mkdir()
    corpus = {
        "d1": "Cement makers report the emissions of each tonne of clinker.",
        "d2": "A cocoa trader keeps the coordinates of every plot of land.",
        "d3": "The auditor signs a limited assurance report.",
    }
    lines = [json.dumps({"_id": key, "title": "", "text": text}) for key, text in corpus.items()]
    (folder / "corpus.jsonl").write_text("\n".join([*lines, "this line is broken"]))
    queries = {"q1": "Where was the cocoa grown?", "q2": "Who assures the report?"}
    lines = [json.dumps({"_id": key, "text": text}) for key, text in queries.items()]
    (folder / "queries.jsonl").write_text("\n".join(lines))
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td2\t1\nq2\td3\t2\n")
    return folder


@pytest.fixture
def evaluated(cli: Cli, retrieval_set: Path) -> Result:
    """The set, loaded and measured; again at no cost when it is there."""
    return cli("evaluate", str(retrieval_set), "--json")


def test_evaluate_gives_the_documented_json_and_nothing_else(evaluated: Result) -> None:
    assert evaluated.code == 0
    assert evaluated.json == {
        "documents": 3,
        "queries": 2,
        "modes": {"vector": {"ndcg@10": 1.0, "recall@10": 1.0, "recall@100": 1.0, "mrr@10": 1.0}},
    }


def test_search_gives_the_documented_json(cli: Cli, evaluated: Result) -> None:
    assert evaluated.code == 0
    found = cli(
        "search", "cocoa land", "--namespace", "evaluation-tiny", "--top-k", "2", "--json"
    ).json
    assert list(found) == ["query", "namespace", "mode", "results"]
    assert (found["query"], found["namespace"], found["mode"]) == (
        "cocoa land",
        "evaluation-tiny",
        "vector",
    )
    assert [list(result) for result in found["results"]] == [
        ["rank", "score", "document", "title", "page", "heading_path", "chunk_index", "content"]
    ] * 2
    assert found["results"][0]["document"] == "d2"


def test_search_for_people_shows_rank_score_and_passage(cli: Cli, evaluated: Result) -> None:
    assert evaluated.code == 0
    shown = cli("search", "cocoa land", "--namespace", "evaluation-tiny", "--top-k", "1")
    assert shown.out.strip().startswith("1. ")
    assert "coordinates of every plot" in " ".join(shown.out.split())


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
        "checks": {"passed": 0, "failed": 0},
    }
    assert "evaluation-tiny" in cli("status").out


def test_namespaces_are_added_and_listed(cli: Cli, tmp_path: Path) -> None:
    added = cli(
        "namespaces", "add", "grid", "--source", str(tmp_path), "--chunking", "fixed",
        "--chunking-for", "text/html=semantic",
    )  # fmt: skip
    assert (added.code, added.out) == (0, "")
    assert {
        "namespace": "grid",
        "source": str(tmp_path),
        "chunking": "fixed",
        "chunking_by_media_type": {"text/html": "semantic"},
    } in cli("namespaces", "list", "--json").json["namespaces"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["search", "x", "--namespace", "nowhere"], "Known: "),
        (["search", "x", "--namespace", "kept", "--top-k", "0"], "between 1 and 1000"),
        (["search", "", "--namespace", "kept"], "empty"),
        (["search", "x", "--top-k", "many"], "many"),
        (["search"], "QUERY"),
        (["nonsense"], "nonsense"),
        (["status", "--nonsense"], "nonsense"),
        (["namespaces", "add", "a|b"], "'a|b' cannot be a namespace"),
        (["namespaces", "add", "ok", "--chunking", "random"], "semantic, fixed"),
        (["namespaces", "add", "ok", "--chunking-for", "text/html"], "MEDIA_TYPE=STRATEGY"),
        (["namespaces", "add", "ok", "--source", "/no/such/folder"], "/no/such/folder"),
        (["evaluate", "/no/such/folder"], "corpus.jsonl"),
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
