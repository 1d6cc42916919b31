"""Judged questions put to the search engine: how good are its answers?"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from greenlang_vectors.progress import Progress, silent
from greenlang_vectors.quality.retrieval_metrics import Qrels, mrr, ndcg, recall
from greenlang_vectors.search.engine import SearchEngine
from greenlang_vectors.search.model import Mode, SearchRequest

DEPTH = 100
"""Distinct documents ranked for each question."""

Ranker = Callable[[str], list[str]]
"""Ranks documents for a question, best first, each at most once."""


def rank_documents(
    engine: SearchEngine,
    namespace: str,
    *,
    collection: str | None = None,
    mode: Mode = "vector",
    rerank: bool = False,
) -> Ranker:
    """A ranker of documents by their best passage.

    Args:
        collection: the one to ask; None for the one that serves.
        rerank: order the best by the configured cross-encoder.
    """

    def rank(question: str) -> list[str]:
        request = SearchRequest(
            question,
            namespace,
            DEPTH,
            mode=mode,
            collection=collection,
            per_document=1,
            rerank=rerank,
        )
        return [result.document for result in engine.search(request).results]

    return rank


def evaluate(
    rank: Ranker, queries: Mapping[str, str], qrels: Qrels, progress: Progress = silent
) -> dict[str, float]:
    """nDCG@10, recall@10, recall@100 and MRR@10 over the judged questions.

    Raises:
        ValueError: no question has a relevant judgement.
    """
    judged = [query for query in queries if query in qrels]
    run = {}
    for done, query in enumerate(judged, start=1):
        run[query] = rank(queries[query])
        progress(done, len(judged), "questions")
    return {
        "ndcg@10": ndcg(run, qrels, 10),
        "recall@10": recall(run, qrels, 10),
        "recall@100": recall(run, qrels, DEPTH),
        "mrr@10": mrr(run, qrels, 10),
    }
