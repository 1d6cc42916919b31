"""nDCG, recall and MRR are those of trec_eval; files of other shapes are one clear line."""

from __future__ import annotations

import random
from collections.abc import Callable
from math import log2
from pathlib import Path

import pytest

from greenlang_vectors.errors import UsageError
from greenlang_vectors.quality.retrieval_metrics import (
    Qrels,
    Run,
    mrr,
    ndcg,
    read_qrels,
    read_queries,
    recall,
)


def random_run() -> tuple[Run, Qrels]:
    """Graded judgements with zeros and negatives, a query without results and one not run."""
    rng = random.Random(7)
    documents = [f"d{number}" for number in range(60)]
    qrels = {
        f"q{number}": {
            document: rng.choice([-1, 0, 1, 1, 2, 3]) for document in rng.sample(documents, 12)
        }
        for number in range(20)
    }
    qrels["only-irrelevant"] = {"d1": 0, "d2": -1}
    run = {query: rng.sample(documents, 30) for query in qrels}
    run["q3"] = []
    del run["q4"]
    run["unjudged"] = ["d1"]
    return run, qrels


@pytest.mark.parametrize(
    ("metric", "k", "trec_eval"),
    [
        (ndcg, 5, 0.12612267770444568),
        (ndcg, 10, 0.1418762605911643),
        (recall, 5, 0.08593434343434345),
        (recall, 10, 0.1655393217893218),
        (mrr, 5, 0.3516666666666667),
        (mrr, 10, 0.3616666666666667),
    ],
)
def test_numbers_are_those_of_pytrec_eval(
    metric: Callable[[Run, Qrels, int], float], k: int, trec_eval: float
) -> None:
    assert metric(*random_run(), k) == pytest.approx(trec_eval, abs=1e-12)


def test_gain_is_linear_and_discount_logarithmic() -> None:
    qrels = {"q": {"best": 3, "good": 1, "bad": 0}}
    assert ndcg({"q": ["good", "bad", "best"]}, qrels, 10) == pytest.approx(
        (1 + 3 / 2) / (3 + 1 / log2(3))
    )


def test_a_perfect_ranking_scores_one_even_if_it_is_shorter_than_k() -> None:
    qrels = {"q": {"a": 2, "b": 1}}
    assert [metric({"q": ["a", "b"]}, qrels, 10) for metric in (ndcg, recall, mrr)] == [1, 1, 1]


def test_results_after_k_do_not_count() -> None:
    qrels = {"q": {"a": 1}}
    assert [metric({"q": ["x", "a"]}, qrels, 1) for metric in (ndcg, recall, mrr)] == [0, 0, 0]
    assert mrr({"q": ["x", "a"]}, qrels, 2) == 0.5


def test_a_query_without_results_counts_and_one_without_relevant_documents_does_not() -> None:
    qrels = {"found": {"a": 1}, "missed": {"a": 1}, "nothing to find": {"a": 0, "b": -1}}
    run = {"found": ["a"], "nothing to find": ["a", "b"]}
    assert [metric(run, qrels, 10) for metric in (ndcg, recall, mrr)] == [0.5, 0.5, 0.5]


@pytest.mark.parametrize("metric", [ndcg, recall, mrr])
@pytest.mark.parametrize(
    ("run", "qrels", "k"),
    [
        ({}, {}, 10),
        ({"q": ["a"]}, {"q": {"a": 0}}, 10),
        ({"q": ["a", "a"]}, {"q": {"a": 1}}, 10),
        ({"q": ["a"]}, {"q": {"a": 1}}, 0),
    ],
)
def test_what_has_no_score_is_an_error(
    metric: Callable[[Run, Qrels, int], float], run: Run, qrels: Qrels, k: int
) -> None:
    with pytest.raises(ValueError, match=r"relevant|twice|at least 1"):
        metric(run, qrels, k)


def test_files_are_read_as_beir_writes_them(tmp_path: Path) -> None:
    queries, qrels = tmp_path / "queries.jsonl", tmp_path / "qrels.tsv"
    queries.write_text(
        '{"_id": "1", "text": "émission", "metadata": {}}\n\n{"_id": "2", "text": ""}'
    )
    qrels.write_bytes(b"query-id\tcorpus-id\tscore\r\n1\td 1\t2\r\n1\td2\t-1\r\n2\td2\t0\r\n")
    assert read_queries(queries) == {"1": "émission", "2": ""}
    assert read_qrels(qrels) == {"1": {"d 1": 2, "d2": -1}, "2": {"d2": 0}}


def test_the_header_of_the_judgements_may_be_absent(tmp_path: Path) -> None:
    path = tmp_path / "qrels.tsv"
    path.write_text("1\ta\t1\n")
    assert read_qrels(path) == {"1": {"a": 1}}


@pytest.mark.parametrize(
    "line",
    ["{", "[]", "3", '{"_id": "1"}', '{"_id": 1, "text": "a"}', '{"_id": "0", "text": "again"}'],
)
def test_a_wrong_line_of_queries_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "queries.jsonl"
    path.write_text('{"_id": "0", "text": "good"}\n\n' + line)
    with pytest.raises(UsageError, match=r"queries\.jsonl line 3"):
        read_queries(path)


@pytest.mark.parametrize("line", ["1", "1\ta", "1\ta\tb", "1\ta\t0.5", "1 a 1", "0\ta\t1"])
def test_a_wrong_line_of_judgements_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "qrels.tsv"
    path.write_text("query-id\tcorpus-id\tscore\n0\ta\t1\n" + line)
    with pytest.raises(UsageError, match=r"qrels\.tsv line 3"):
        read_qrels(path)


@pytest.mark.parametrize("read", [read_queries, read_qrels])
def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, read: Callable[[Path], object]
) -> None:
    with pytest.raises(UsageError, match="absent"):
        read(tmp_path / "absent")
    (tmp_path / "latin").write_bytes(b"\xe9mission\n")
    with pytest.raises(UsageError, match="latin"):
        read(tmp_path / "latin")


def test_cranfield_is_read_whole(shared_data: Path) -> None:
    folder = shared_data / "retrieval" / "cranfield"
    queries, qrels = read_queries(folder / "queries.jsonl"), read_qrels(folder / "qrels.tsv")
    assert sum(score > 0 for judged in qrels.values() for score in judged.values()) == 1612
    assert set(qrels) <= set(queries)
