"""How many of the exact answers a search finds, and how fast it finds what it does.

As in ann-benchmarks (Aumüller et al. 2020), an answer counts as found when it is no farther than
the k-th exact one: among equally distant passages any will do. Where fewer than k passages can
be found at all, recall is over those.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import psycopg
from numpy.typing import NDArray

from greenlang_vectors.search import filters
from greenlang_vectors.search.filters import Filter
from greenlang_vectors.search.nearest import nearest
from greenlang_vectors.search.ways import Plan
from greenlang_vectors.store.index_settings import IndexSettings
from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.records import SearchQuality

K = 10
TIE = 1e-6
"""Distances that differ by less are the same."""


@dataclass(frozen=True, slots=True, eq=False)
class Questions:
    """Vectors to ask with inside one filter.

    Attributes:
        vectors: shape (n, dimensions of the leaf).
        filter: None for none.
    """

    vectors: NDArray[np.float32]
    filter: Filter | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """How questions were answered.

    Attributes:
        recall: share of the exact answers that was found, by question.
        milliseconds: how long the search took, by question.
    """

    recall: NDArray[np.float64]
    milliseconds: NDArray[np.float64]

    @property
    def mean(self) -> float:
        """The mean recall, without the dust of adding tenths up."""
        return round(float(self.recall.mean()), 9)


class Truth:
    """The exact answers to questions, which any way of searching can be held against.

    Args:
        index: metric of the leaf's collection.
        plan: how the leaf is searched when it is held against them: "index" tells of the index
            even where so few rows are stored that searches compare them one by one.
    """

    def __init__(
        self,
        connection: psycopg.Connection,
        leaf: Leaf,
        questions: Questions,
        index: IndexSettings,
        plan: Plan = "auto",
    ) -> None:
        self._connection = connection
        self._leaf = leaf
        self._plan: Plan = plan
        self.questions = questions
        self._farthest: list[float] = []
        self.answers = 0
        """Exact answers to each question: K, or what the filter leaves of the leaf."""
        for query in questions.vectors:
            exact = nearest(
                connection, leaf, query, K, index=index, plan="exact", filter=questions.filter
            ).candidates
            self.answers = len(exact)
            if not exact:
                break
            self._farthest.append(exact[-1].value + TIE)

    def ask(self, index: IndexSettings) -> Answered:
        """Search as wide as these settings say.

        Raises:
            ValueError: there are no exact answers.
        """
        if not self._farthest:
            raise ValueError(f"nothing can be found in {self._leaf.name} with these questions")
        recall, milliseconds = [], []
        for query, farthest in zip(self.questions.vectors, self._farthest, strict=True):
            began = time.perf_counter()
            found = nearest(
                self._connection,
                self._leaf,
                query,
                K,
                index=index,
                plan=self._plan,
                filter=self.questions.filter,
            ).candidates
            milliseconds.append((time.perf_counter() - began) * 1000)
            recall.append(sum(each.value <= farthest for each in found) / self.answers)
        return Answered(np.array(recall), np.array(milliseconds))


def measure(leaf: Leaf, truths: Sequence[Truth], index: IndexSettings, width: int) -> SearchQuality:
    """recall@10 and the time of searches of this width; every question without a filter is asked
    once before any is timed.

    Args:
        truths: the first is of questions without a filter.

    Raises:
        ValueError: one of them has no exact answers.
    """
    wide = index.widened(width)
    plain, *filtered = truths
    plain.ask(wide)
    answered = plain.ask(wide)
    p50, p99 = np.percentile(answered.milliseconds, [50, 99])
    return SearchQuality(
        embedding_model=leaf.model,
        ef_search=width,
        queries=len(answered.recall),
        recall_at_10=answered.mean,
        latency_p50_ms=float(p50),
        latency_p99_ms=float(p99),
        filtered=[
            {
                "filter": filters.as_json(truth.questions.filter),
                "queries": len(truth.questions.vectors),
                "recall_at_10": truth.ask(wide).mean,
            }
            for truth in filtered
            if truth.questions.filter is not None
        ],
    )
