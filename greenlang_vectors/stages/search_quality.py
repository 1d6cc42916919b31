"""Stage 5: how many of the exact answers the index finds, and how fast."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psycopg
from numpy.typing import NDArray

from greenlang_vectors.documents.source import evaluation_folder
from greenlang_vectors.embedding.embedder import Embedder
from greenlang_vectors.progress import Progress, silent
from greenlang_vectors.quality import recall
from greenlang_vectors.quality.evaluation import evaluate, rank_documents
from greenlang_vectors.quality.retrieval_metrics import read_qrels, read_queries
from greenlang_vectors.search.similarity import SearchEngine
from greenlang_vectors.settings import Settings
from greenlang_vectors.stages.embeddings import leaf_of
from greenlang_vectors.store import embeddings, namespaces, records
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.embeddings import Leaf

SEED = 5


@dataclass(frozen=True, slots=True)
class SearchQualityReport:
    """What a run of the stage measured.

    Attributes:
        rows: embeddings of the leaf.
        quality: recall and latency of the index; None while there is nothing to search.
        retrieval: nDCG@10 and its like on the namespace's judged questions; empty without any.
    """

    rows: int
    quality: records.SearchQuality | None
    retrieval: dict[str, float]


def measure_search(
    database: Database,
    name: str,
    *,
    embedder: Embedder,
    settings: Settings,
    progress: Progress = silent,
) -> SearchQualityReport:
    """Measure the index against exact search and keep the figures.

    It is asked with a sample of the stored vectors and with the held-back questions that lie in
    the folder `_evaluation` of the source.

    Raises:
        UnknownNamespace: it is not registered.
        UsageError: the held-back questions or judgements are not as `evaluate` reads them.
    """
    leaf = leaf_of(embedder, name)
    with database.connect() as connection:
        uri = namespaces.get(connection, name).source_uri
        folder = None if uri is None else evaluation_folder(uri)
        rows = embeddings.count(connection, leaf)
        if rows == 0:
            return SearchQualityReport(rows=0, quality=None, retrieval={})
        questions = _questions(folder)
        quality = recall.measure(
            connection,
            leaf,
            _queries(connection, leaf, embedder, list(questions.values()), settings),
            ef_search=settings.index.ef_search,
        )
        records.save_search_quality(connection, name, quality)
    retrieval = {}
    if questions and folder is not None and (folder / "qrels.tsv").is_file():
        engine = SearchEngine(database, embedder, settings)
        retrieval = evaluate(
            rank_documents(engine, name), questions, read_qrels(folder / "qrels.tsv"), progress
        )
    return SearchQualityReport(rows=rows, quality=quality, retrieval=retrieval)


def _questions(folder: Path | None) -> dict[str, str]:
    if folder is None or not (folder / "queries.jsonl").is_file():
        return {}
    return read_queries(folder / "queries.jsonl")


def _queries(
    connection: psycopg.Connection,
    leaf: Leaf,
    embedder: Embedder,
    questions: list[str],
    settings: Settings,
) -> NDArray[np.float32]:
    """Vectors to ask with, shape (n, dimensions)."""
    sample = recall.sample_vectors(connection, leaf, settings.quality_sample, SEED)
    asked = embedder.embed(questions)
    good = [i for i in range(len(questions)) if i not in asked.failures]
    return np.concatenate([sample, asked.vectors[good]])
