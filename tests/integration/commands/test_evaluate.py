"""`greenlang-vectors evaluate`: every mode measured on a judged set."""

from __future__ import annotations

from pathlib import Path

import pytest

from greenlang_vectors.settings import get_settings

from ..conftest import Cli, Result
from ..rerankers import tiny_cross_encoder

pytestmark = pytest.mark.integration

FIGURES = ["ndcg@10", "recall@10", "recall@100", "mrr@10"]


def test_the_documented_json_and_nothing_else(evaluated: Result) -> None:
    assert evaluated.code == 0
    found = evaluated.json
    assert (found["documents"], found["queries"]) == (3, 2)
    assert list(found["modes"]) == ["vector", "text", "hybrid"]
    assert found["modes"]["vector"] == dict.fromkeys(FIGURES, 1.0)
    assert found["modes"]["hybrid"] == dict.fromkeys(FIGURES, 1.0)
    assert found["modes"]["text"]["recall@100"] == 1.0


def test_each_mode_again_re_ranked(
    cli: Cli,
    evaluated: Result,
    retrieval_set: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert evaluated.code == 0
    monkeypatch.setenv("GREENLANG_RERANK_MODEL", str(tiny_cross_encoder(tmp_path)))
    get_settings.cache_clear()
    modes = cli("evaluate", str(retrieval_set), "--rerank", "--json").json["modes"]
    assert list(modes)[3:] == ["vector, re-ranked", "text, re-ranked", "hybrid, re-ranked"]
    assert modes["vector, re-ranked"]["recall@10"] == 1.0


def test_for_people(cli: Cli, evaluated: Result, retrieval_set: Path) -> None:
    assert evaluated.code == 0
    shown = cli("evaluate", str(retrieval_set))
    assert "3 documents, 2 queries" in shown.out
    assert all(mode in shown.out for mode in ("vector", "text", "hybrid"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["/no/such/folder"], "corpus.jsonl"),
        (["{set}", "--rerank"], "GREENLANG_RERANK_MODEL"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    cli: Cli, retrieval_set: Path, arguments: list[str], says: str
) -> None:
    result = cli("evaluate", *(part.format(set=retrieval_set) for part in arguments))
    assert (result.code, result.out) == (2, "")
    assert len(result.err.strip().splitlines()) == 1
    assert says in result.err
