"""`greenlang-vectors search`, as a person and as a program use it."""

from __future__ import annotations

from dataclasses import fields

import pytest

from greenlang_vectors.search.model import SearchResult
from greenlang_vectors.store import namespaces
from greenlang_vectors.store.database import Database

from ..conftest import Cli, Result

pytestmark = pytest.mark.integration

HERE = ("--namespace", "evaluation-tiny")


@pytest.fixture(autouse=True)
def filled(evaluated: Result) -> None:
    assert evaluated.code == 0


def test_the_documented_json(cli: Cli) -> None:
    found = cli("search", "cocoa land", *HERE, "--top-k", "2", "--json").json
    assert {key: found[key] for key in list(found)[:6]} == {
        "query": "cocoa land",
        "namespace": "evaluation-tiny",
        "mode": "vector",
        "collection": "evaluation-tiny/all-MiniLM-L6-v2",
        "asked": 2,
        "returned": 2,
    }
    assert list(found)[6:] == ["plan", "next", "embed_ms", "search_ms", "results"]
    names = [field.name for field in fields(SearchResult)]
    assert [list(result) for result in found["results"]] == [names] * 2
    assert found["results"][0]["document"] == "d2"


def test_the_next_page_goes_on_where_the_first_ended(cli: Cli) -> None:
    question = ("search", "cocoa land", *HERE, "--top-k", "2", "--mode", "hybrid", "--json")
    first = cli(*question).json
    second = cli(*question, "--after", first["next"]).json
    assert second["next"] is None
    found = first["results"] + second["results"]
    assert [result["rank"] for result in found] == [1, 2, 3]
    assert {result["document"] for result in found} == {"d1", "d2", "d3"}


def test_for_people_it_shows_where_the_passage_stands_and_how_it_was_found(cli: Cli) -> None:
    shown = cli("search", "cocoa land", *HERE, "--top-k", "1", "--mode", "hybrid")
    assert shown.out.strip().startswith("1. ")
    out = " ".join(shown.out.split())
    assert "(vector #1, text #1)" in out
    assert "coordinates of every plot" in out
    assert shown.said.startswith("asked 1, returned 1, plan: vector: ")
    assert "more: --after " in shown.said


def test_with_parents_it_shows_what_the_passages_stand_in(cli: Cli) -> None:
    question = ("search", "cocoa land", *HERE, "--parents")
    shown = cli(*question, "--top-k", "1")
    assert "d2 · found in it: 1" in shown.out
    assert "coordinates of every plot" in " ".join(shown.out.split())
    first, *_ = cli(*question, "--json").json["results"]
    assert first["parent"]["content"] == first["content"]
    assert [child["id"] for child in first["parent"]["children"]] == [first["id"]]
    assert "do not fit into 3" in cli(*question, "--max-tokens", "3").said


def test_words_and_filters(cli: Cli) -> None:
    def documents(*arguments: str) -> list[str]:
        found = cli("search", "report", *HERE, "--json", *arguments).json
        return [result["document"] for result in found["results"]]

    assert set(documents("--mode", "text")) == {"d1", "d3"}
    assert documents("--mode", "text", "--filter", "document = d3") == ["d3"]
    both = ("--filter", "document in d1,d2", "--filter", "document in d2,d3")
    assert documents(*both) == ["d2"]
    as_json = '{"not": {"field": "document", "op": "eq", "value": "d2"}}'
    assert documents(*both, "--filter-json", as_json) == []
    assert set(documents("--filter-json", as_json)) == {"d1", "d3"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["x", "--namespace", "nowhere"], "Known: "),
        (["x", *HERE, "--top-k", "0"], "between 1 and 1000"),
        (["", *HERE], "empty"),
        (["x", "--top-k", "many"], "many"),
        ([], "QUERY"),
        (["x", *HERE, "--mode", "both"], "both"),
        (["x", *HERE, "--after", "nonsense"], "not the cursor"),
        (["x", *HERE, "--filter", "nonsense"], "nonsense"),
        (["x", *HERE, "--filter-json", "{"], "not JSON"),
        (["x", *HERE, "--mode", "text", "--threshold", "0.5"], "threshold"),
        (["x", *HERE, "--rerank"], "GREENLANG_RERANK_MODEL"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(cli: Cli, arguments: list[str], says: str) -> None:
    result = cli("search", *arguments)
    assert (result.code, result.out) == (2, "")
    assert len(result.err.strip().splitlines()) == 1
    assert says in result.err


def test_where_nothing_is_stored_it_says_so(cli: Cli, database: Database) -> None:
    with database.connection() as connection:
        namespaces.register(connection, "bare")
    result = cli("search", "x", "--namespace", "bare")
    assert (result.code, result.out) == (0, "")
    assert "Nothing is stored in bare yet." in result.said
