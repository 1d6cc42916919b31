"""How well ranked results answer judged questions: nDCG, recall and reciprocal rank.

Conventions of trec_eval, which BEIR uses: a judgement above zero is relevant and its score is
the gain (linear), the discount is log2(rank + 1), and zero or negative judgements count as not
judged. Every mean is over the queries with at least one relevant judgement; one of them without
results scores 0.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from math import log2
from pathlib import Path

from greenlang_vectors.errors import UsageError

Run = Mapping[str, Sequence[str]]
"""Per query the ids of the documents found, best first, each at most once."""

Qrels = Mapping[str, Mapping[str, int]]
"""Per query the judged documents' ids with their scores."""

RETRIEVAL_SET = ("corpus.jsonl", "queries.jsonl", "qrels.tsv")
QRELS_HEADER = ["query-id", "corpus-id", "score"]


def ndcg(run: Run, qrels: Qrels, k: int) -> float:
    """Mean normalised discounted cumulative gain of the first k results (Järvelin, Kekäläinen).

    Raises:
        ValueError: no query has a relevant judgement, a result occurs twice, or k < 1.
    """
    return _mean(
        _dcg([relevant.get(document, 0) for document in results])
        / _dcg(sorted(relevant.values(), reverse=True)[:k])
        for results, relevant in _judged(run, qrels, k)
    )


def recall(run: Run, qrels: Qrels, k: int) -> float:
    """Mean share of a query's relevant documents among its first k results; raises as `ndcg`."""
    return _mean(
        sum(document in relevant for document in results) / len(relevant)
        for results, relevant in _judged(run, qrels, k)
    )


def mrr(run: Run, qrels: Qrels, k: int) -> float:
    """Mean of 1 / rank of the first relevant among the first k results; raises as `ndcg`."""
    return _mean(
        next((1 / rank for rank, document in enumerate(results, 1) if document in relevant), 0.0)
        for results, relevant in _judged(run, qrels, k)
    )


def read_judgements(folder: Path) -> tuple[dict[str, str], dict[str, dict[str, int]]]:
    """Questions and judgements of a retrieval set: corpus.jsonl, queries.jsonl, qrels.tsv (BEIR).

    Raises:
        UsageError: a file is missing or not as described, or no question has a relevant judgement.
    """
    for file in RETRIEVAL_SET:
        if not (folder / file).is_file():
            raise UsageError(
                f"There is no {file} in {str(folder)!r}.",
                f"A retrieval set is {', '.join(RETRIEVAL_SET)}.",
            )
    queries, qrels = read_queries(folder / "queries.jsonl"), read_qrels(folder / "qrels.tsv")
    if not any(score > 0 for query in queries for score in qrels.get(query, {}).values()):
        raise UsageError(f"No question in {str(folder)!r} has a relevant judgement.")
    return queries, qrels


def read_queries(path: Path) -> dict[str, str]:
    """The texts of the queries by id, from lines of JSON with `_id` and `text` (BEIR).

    Raises:
        UsageError: the file cannot be read, or a line is not as described.
    """
    queries: dict[str, str] = {}
    for where, line in _lines(path):
        try:
            entry = json.loads(line)
            query, text = entry["_id"], entry["text"]
        except (ValueError, KeyError, TypeError):
            query = text = None
        if not (isinstance(query, str) and isinstance(text, str)):
            raise UsageError(f'{where} is not JSON with the strings "_id" and "text".')
        if query in queries:
            raise UsageError(f"{where} repeats the query {query!r}.")
        queries[query] = text
    return queries


def read_qrels(path: Path) -> dict[str, dict[str, int]]:
    """The judgements by query, from lines of query, document and score, tab-separated (BEIR).

    The header `query-id corpus-id score` may be there or not.

    Raises:
        UsageError: the file cannot be read, or a line is not as described.
    """
    qrels: dict[str, dict[str, int]] = {}
    for number, (where, line) in enumerate(_lines(path)):
        fields = line.split("\t")
        if number == 0 and fields == QRELS_HEADER:
            continue
        try:
            query, document, score = fields[0], fields[1], int(fields[2])
        except (IndexError, ValueError):
            raise UsageError(
                f"{where} is not a query, a document and a whole number, separated by tabs."
            ) from None
        if document in qrels.setdefault(query, {}):
            raise UsageError(f"{where} judges document {document!r} of query {query!r} again.")
        qrels[query][document] = score
    return qrels


def _judged(run: Run, qrels: Qrels, k: int) -> Iterator[tuple[Sequence[str], dict[str, int]]]:
    """First k results and relevant documents of each query that has any."""
    if k < 1:
        raise ValueError(f"k is {k}; it must be at least 1")
    for query, judgements in qrels.items():
        results = run.get(query, ())
        if len(set(results)) != len(results):
            raise ValueError(f"query {query!r} has a document twice in its results")
        relevant = {document: score for document, score in judgements.items() if score > 0}
        if relevant:
            yield results[:k], relevant


def _dcg(gains: Sequence[int]) -> float:
    return sum(gain / log2(rank + 1) for rank, gain in enumerate(gains, 1))


def _mean(scores: Iterator[float]) -> float:
    values = list(scores)
    if not values:
        raise ValueError("no query has a relevant judgement")
    return sum(values) / len(values)


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Lines of the file that are not blank, with their place for messages."""
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield f"{path.name} line {number}", line.rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read ({error}).") from error
