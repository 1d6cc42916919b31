"""Recall as a contract: the narrowest search that finds what a namespace is promised.

A width (ef_search of HNSW, probes of IVFFlat) reaches the target when, in every set of questions
of the workload, the lower bound of the mean recall reaches it: mean - 1.645 s / sqrt(n), a
one-sided 95% bound by the normal approximation over questions. That is the margin: it is small
where questions agree or are many, and where the search finds everything there is none.

Measured is what searches do: where comparing all rows is cheaper than a search as wide as it
would have to be, they do so, and nothing wider is looked for. Only a leaf of few rows, which has
no width to find, is measured by its index, since that will serve when rows come.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import psycopg
from numpy.typing import NDArray

from greenlang_vectors.progress import Progress, silent
from greenlang_vectors.quality.recall import Answered, Truth, measure
from greenlang_vectors.quality.workload import workload
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import collections, leaves, maintenance, records, segments
from greenlang_vectors.store.cell_training import CONFIDENCE
from greenlang_vectors.store.collections import Collection
from greenlang_vectors.store.index_settings import IndexSettings, probes_of
from greenlang_vectors.store.records import SearchQuality
from greenlang_vectors.store.segments import AnnIndex

HNSW_WIDTHS = (10, 1000)
"""No search is narrower than what it returns, and pgvector takes none wider."""

RESOLUTION = 8
"""Widths that are tried lie this part of their size apart, whatever width a search begins with:
what is measured again is the same, so that only a change of the rows changes the width."""


@dataclass(frozen=True, slots=True)
class Point:
    """What one width was measured to reach.

    Attributes:
        recall: recall@10 without a filter.
        lowest: the same, or that inside a filter where it is lower.
        bound: the lowest of the lower bounds.
        p50_ms: median time of a search without a filter, milliseconds.
    """

    width: int
    recall: float
    lowest: float
    bound: float
    p50_ms: float

    def as_json(self) -> dict[str, float]:
        """As `SearchQuality.curve` keeps it."""
        return {
            "width": self.width,
            "recall_at_10": self.recall,
            "lowest_recall": self.lowest,
            "latency_p50_ms": self.p50_ms,
        }


@dataclass(frozen=True, slots=True)
class Tuning:
    """How wide a collection is to be searched.

    Attributes:
        reached: whether this width reaches the target; if not, it is the widest there is.
        curve: all that was measured on the way, by width.
    """

    width: int
    reached: bool
    curve: tuple[Point, ...]

    def at(self, width: int) -> Point:
        """What a width reached that was measured; one beyond the bounds was measured at them."""
        return min(self.curve, key=lambda point: abs(point.width - width))


def measure_recall(
    connection: psycopg.Connection,
    collection: Collection,
    judged: NDArray[np.float32],
    *,
    target: float,
    settings: Settings,
    tune: bool,
    progress: Progress = silent,
) -> SearchQuality:
    """What a collection's searches find of the exact answers, and how fast.

    Args:
        judged: see `workload`.
        target: the recall@10 that is promised.
        settings: size of the workload, and the usual ef_search.
        tune: find the narrowest width that keeps the promise first, and let searches of the
            collection be so wide from now on. Nothing is tuned where a person set the width, or
            where so few rows are stored that all may as well be compared.

    Raises:
        ValueError: the leaf has no rows.
    """
    leaf, index = collection.leaf, collection.searched
    found = segments.on_leaf(connection, leaf)
    few = leaves.count(connection, leaf) <= maintenance.EXACT_ROWS
    truths: list[Truth] = []
    asked = workload(connection, leaf, judged, settings)
    for done, questions in enumerate(asked, start=1):
        truth = Truth(
            connection,
            leaf,
            questions,
            index,
            "index" if few and questions.filter is None else "auto",
        )
        if truth.answers or questions.filter is None:
            truths.append(truth)
        progress(done, len(asked), "sets of questions")
    width = index.width or _default_width(index, found, settings)
    indexed = any(each.valid and each.kind == index.kind for each in found)
    if not tune or few or not indexed or collection.index.width is not None:
        return replace(measure(leaf, truths, index, width), recall_target=target)
    tuning = find_width(index, truths, target, start=width, widths=_widths(index, found))
    before = tuning.at(width).lowest
    last = records.newest_search_quality(connection, leaf)
    promised = min(target, target if last is None else last.recall_target or target)
    fallen = collection.search_width is not None and before < promised
    collections.remember_width(connection, collection, tuning.width)
    return replace(
        measure(leaf, truths, index, tuning.width),
        recall_target=target,
        recall_before=before if fallen else None,
        curve=[point.as_json() for point in tuning.curve],
    )


def find_width(
    index: IndexSettings,
    truths: Sequence[Truth],
    target: float,
    *,
    start: int,
    widths: tuple[int, int] = HNSW_WIDTHS,
) -> Tuning:
    """Find the narrowest search that reaches the target, to within an eighth.

    Args:
        truths: the first is of questions without a filter.
        start: the width in use; it is always measured, if there is such a width.
        widths: the narrowest and the widest there are.
    """
    points: dict[int, Point] = {}

    def reaches(width: int) -> bool:
        if width not in points:
            points[width] = measured(width, [truth.ask(index.widened(width)) for truth in truths])
        return points[width].bound >= target

    start = min(max(start, widths[0]), widths[1])
    reaches(start)
    width, reached = narrowest(reaches, start, ladder(*widths))
    return Tuning(width, reached, tuple(points[each] for each in sorted(points)))


def ladder(lowest: int, highest: int) -> list[int]:
    """The widths that are tried, from the lowest to the highest, each an eighth wider."""
    widths = [lowest]
    while widths[-1] < highest:
        widths.append(min(highest, widths[-1] + max(1, widths[-1] // RESOLUTION)))
    return widths


def narrowest(
    reaches: Callable[[int], bool], start: int, widths: Sequence[int]
) -> tuple[int, bool]:
    """The first of these widths that reaches, and True; else the last.

    From the one nearest to `start` ever longer steps are taken, until one misses and one reaches,
    then the steps are halved. Recall is taken to grow with the width, as it does but for chance.
    """
    step, good, bad = 1, len(widths), -1
    place = bisect_left(widths, start)
    while bad < place < good:
        if reaches(widths[place]):
            good, place = place, max(0, place - step)
        else:
            bad, place = place, min(len(widths) - 1, place + step)
        step *= 2
    while good - bad > 1 and good < len(widths):
        middle = (good + bad) // 2
        if reaches(widths[middle]):
            good = middle
        else:
            bad = middle
    return widths[min(good, len(widths) - 1)], good < len(widths)


def measured(width: int, answered: Sequence[Answered]) -> Point:
    """What the answers to sets of questions, the first without a filter, say of a width."""
    means = [each.mean for each in answered]
    bounds = [
        mean - CONFIDENCE * float(each.recall.std(ddof=1)) / len(each.recall) ** 0.5
        if len(each.recall) > 1
        else mean
        for mean, each in zip(means, answered, strict=True)
    ]
    return Point(
        width=width,
        recall=means[0],
        lowest=min(means),
        bound=min(bounds),
        p50_ms=float(np.median(answered[0].milliseconds)),
    )


def _default_width(index: IndexSettings, found: Sequence[AnnIndex], settings: Settings) -> int:
    return settings.index.ef_search if index.kind == "hnsw" else probes_of(_most_lists(found))


def _widths(index: IndexSettings, found: Sequence[AnnIndex]) -> tuple[int, int]:
    return HNSW_WIDTHS if index.kind == "hnsw" else (1, _most_lists(found))


def _most_lists(found: Sequence[AnnIndex]) -> int:
    return max((each.lists or 1 for each in found if each.valid), default=1)
