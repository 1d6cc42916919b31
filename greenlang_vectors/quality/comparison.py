"""The collections of a namespace measured alike, side by side: what a switch is decided by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from greenlang_vectors.documents.source import QRELS, QUERIES, evaluation_folder
from greenlang_vectors.embedding.embedder import Embedder
from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.progress import Progress, silent
from greenlang_vectors.quality.evaluation import evaluate, rank_documents
from greenlang_vectors.quality.retrieval_metrics import Qrels, read_qrels, read_queries
from greenlang_vectors.quality.tuning import measure_recall
from greenlang_vectors.search.engine import SearchEngine
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import collection_states, collections, leaves, namespaces, records
from greenlang_vectors.store.collection_states import CollectionState
from greenlang_vectors.store.collections import Collection
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.records import SearchQuality


@dataclass(frozen=True, slots=True)
class Measurement:
    """How well and how fast a collection answers.

    Attributes:
        rows: embeddings it holds.
        quality: recall against its own exact answers, and latency; None while it holds nothing.
        retrieval: nDCG@10 and its like on the namespace's judged questions; empty without any.
    """

    rows: int
    quality: SearchQuality | None
    retrieval: dict[str, float]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One collection beside the others."""

    state: CollectionState
    measured: Measurement


def measure(
    database: Database,
    collection: Collection,
    *,
    embedders: Embedders,
    settings: Settings,
    tune: bool = False,
    progress: Progress = silent,
) -> Measurement:
    """Measure a collection's index against exact search, and keep the figures.

    It is asked with what it is really asked with (see `workload`), and with the held-back
    questions that lie in the folder `_evaluation` of the source, a folder or a bucket.

    Args:
        tune: first find how wide its searches are to be, and let them be so from now on.

    Raises:
        UsageError, SourceUnavailable: of the held-back questions, as `held_back` says.
        ModelUnavailable: the collection's model is not on this machine.
    """
    leaf = collection.leaf
    with database.connect() as connection:
        namespace = namespaces.get(connection, leaf.namespace)
        rows = leaves.count(connection, leaf)
        if rows == 0:
            return Measurement(rows=0, quality=None, retrieval={})
        questions, qrels = held_back(None if collection.supplied else namespace.source_uri)
        judged = np.empty((0, leaf.dimensions), np.float32)
        if questions:
            judged = _vectors(embedders.of(collection), list(questions.values()))
        quality = measure_recall(
            connection,
            collection,
            judged,
            target=namespace.recall_target,
            settings=settings,
            tune=tune,
            progress=progress,
        )
        records.save_search_quality(connection, leaf.namespace, quality)
    retrieval = {}
    if questions and qrels:
        engine = SearchEngine(database, embedders, settings)
        retrieval = evaluate(
            rank_documents(engine, leaf.namespace, collection=collection.name),
            questions,
            qrels,
            progress,
        )
    return Measurement(rows=rows, quality=quality, retrieval=retrieval)


def compare(
    database: Database,
    namespace: str,
    *,
    embedders: Embedders,
    settings: Settings,
    progress: Progress = silent,
) -> list[Comparison]:
    """Measure every collection of a namespace, the serving one first.

    Raises:
        UnknownNamespace: it is not registered.
        UsageError, SourceUnavailable, ModelUnavailable: as `measure` does.
    """
    with database.connection() as connection:
        namespaces.get(connection, namespace)
        found = collections.list_all(connection, namespace)
    measured = [
        measure(database, each, embedders=embedders, settings=settings, progress=progress)
        for each in found
    ]
    with database.connection() as connection:
        return [
            Comparison(collection_states.state_of(connection, collection), figures)
            for collection, figures in zip(found, measured, strict=True)
        ]


COLUMNS = (
    *("collection", "serves", "rows", "missing", "recall@10", "nDCG@10", "MRR@10"),
    *("p50 ms", "p99 ms", "table MiB", "index MiB"),
)


def rows_of(comparisons: Sequence[Comparison]) -> list[list[str]]:
    """The figures as cells under `COLUMNS`; a dash where there is none."""

    def number(value: float | None, digits: int) -> str:
        return "–" if value is None else f"{value:.{digits}f}"

    rows = []
    for each in comparisons:
        state, quality = each.state, each.measured.quality
        rows.append(
            [
                state.collection.name,
                "yes" if state.collection.serving else "",
                f"{state.rows:,}",
                f"{state.missing:,}",
                number(None if quality is None else quality.recall_at_10, 4),
                number(each.measured.retrieval.get("ndcg@10"), 4),
                number(each.measured.retrieval.get("mrr@10"), 4),
                number(None if quality is None else quality.latency_p50_ms, 2),
                number(None if quality is None else quality.latency_p99_ms, 2),
                number(state.table_bytes / 2**20, 1),
                number(state.index_bytes / 2**20, 1),
            ]
        )
    return rows


def held_back(source_uri: str | None) -> tuple[dict[str, str], Qrels]:
    """The held-back questions of a source and their judgements; empty where there are none.

    Raises:
        UsageError: they are not as `evaluate` reads them.
        SourceUnavailable: they lie in a bucket and cannot be had.
    """
    if source_uri is None:
        return {}, {}
    with evaluation_folder(source_uri) as folder:
        if folder is None or not (folder / QUERIES).is_file():
            return {}, {}
        judged = (folder / QRELS).is_file()
        return read_queries(folder / QUERIES), read_qrels(folder / QRELS) if judged else {}


def _vectors(embedder: Embedder, questions: list[str]) -> NDArray[np.float32]:
    """Vectors of the questions the model can read, shape (n, dimensions)."""
    embedded = embedder.embed(questions)
    return embedded.vectors[[i for i in range(len(questions)) if i not in embedded.failures]]
