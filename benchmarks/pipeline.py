"""Stage by stage over samples, regulations and Cranfield, beside the floors of the same run.

The floors: the model called on the same texts in batches of like length and nothing else; a plain
binary COPY of the same rows into a table without keys, checks or indexes.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import numpy as np
import psycopg
from numpy.typing import NDArray
from rich.table import Table

from benchmarks.common import (
    CRANFIELD,
    Measurement,
    console,
    corpora,
    measured,
    namespaces_of,
    new_database,
)
from benchmarks.common import server as own_server
from greenlang_vectors.embedding.batching import length_sorted_batches
from greenlang_vectors.embedding.embedder import Embedder
from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.embedding.models import EmbeddingModel, ModelSpec
from greenlang_vectors.embedding.opening import open_embedder
from greenlang_vectors.settings import Settings
from greenlang_vectors.stages.chunks import cut_chunks
from greenlang_vectors.stages.documents import load_documents
from greenlang_vectors.stages.embeddings import embed_chunks
from greenlang_vectors.stages.search_quality import measure_search
from greenlang_vectors.stages.vector_index import build_indexes
from greenlang_vectors.store import namespaces
from greenlang_vectors.store.database import Database


class TimedModel:
    """A model that adds up the seconds it works."""

    def __init__(self, model: EmbeddingModel) -> None:
        self._model = model
        self.seconds = 0.0

    @property
    def spec(self) -> ModelSpec:
        """The model's."""
        return self._model.spec

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """As the model counts."""
        return self._model.count_tokens(texts)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """As the model encodes."""
        began = time.perf_counter()
        try:
            return self._model.encode(texts)
        finally:
            self.seconds += time.perf_counter() - began


class Corpus:
    """One corpus in a database of its own, run through the stages.

    Args:
        sources: of its namespaces.
    """

    def __init__(self, server_url: str, sources: Mapping[str, Path], settings: Settings) -> None:
        self.database = new_database(server_url)
        self.settings = settings
        self.embedder = open_embedder(self.database, settings.embedding_model, cache_seconds=3600)
        self.model = TimedModel(self.embedder.model)
        self.embedder.model = self.model
        self.embedders = Embedders.only(self.embedder)
        self.names = list(sources)
        with self.database.connect() as connection:
            for name, source in sources.items():
                namespaces.register(connection, name, source_uri=str(source))

    def run(self) -> dict[str, tuple[Measurement, int, str]]:
        """Every stage over every namespace: what it took, how much it did, in which unit."""
        cache_seconds = self.settings.embedding_cache_seconds
        done: dict[str, tuple[Measurement, int, str]] = {}
        with measured() as took:
            loaded = [
                load_documents(
                    self.database,
                    name,
                    max_bytes=self.settings.max_document_bytes,
                    cache_seconds=cache_seconds,
                )
                for name in self.names
            ]
        done["documents"] = took, sum(r.stored for r in loaded), "documents"
        with measured() as took:
            cut = [
                cut_chunks(
                    self.database,
                    name,
                    embedders=self.embedders,
                    chunk_tokens=self.settings.chunk_tokens,
                    cache_seconds=cache_seconds,
                )
                for name in self.names
            ]
        done["chunks"] = took, sum(r.stored for r in cut), "chunks"
        with measured() as took:
            embedded = [
                embed_chunks(
                    self.database,
                    name,
                    embedders=self.embedders,
                    batch_size=self.settings.embedding_batch_size,
                )
                for name in self.names
            ]
        done["embeddings"] = (
            took,
            sum(r.written for each in embedded for r in each.values()),
            "chunks",
        )
        with measured() as took:
            built = [
                build_indexes(self.database, name, settings=self.settings) for name in self.names
            ]
        done["vector_index"] = took, sum(r.rows for each in built for r in each.values()), "rows"
        with measured() as took:
            found = [
                measure_search(
                    self.database, name, embedders=self.embedders, settings=self.settings
                )
                for name in self.names
            ]
        queries = sum(r.quality.queries for each in found for r in each.values() if r.quality)
        done["search_quality"] = took, queries, "queries"
        return done


def model_floor(database: Database, embedder: Embedder) -> tuple[float, int]:
    """Seconds the model alone takes for the chunks of each namespace, and how many they are."""
    with database.connect() as connection:
        rows = connection.execute(
            "SELECT DISTINCT ON (namespace, content_hash) namespace, token_count, content"
            " FROM document_chunks WHERE level = 0 ORDER BY namespace"
        ).fetchall()
    seconds, limits = 0.0, embedder.model.spec.limits
    for _, group in groupby(rows, key=itemgetter(0)):
        chunks = list(group)
        batches = list(length_sorted_batches([tokens for _, tokens, _ in chunks], limits))
        began = time.perf_counter()
        for batch in batches:
            embedder.model.encode([chunks[index][2] for index in batch])
        seconds += time.perf_counter() - began
    return seconds, len(rows)


def copy_floor(database: Database) -> tuple[float, int]:
    """Seconds a plain binary COPY of the stored embeddings takes, and how many they are."""
    with psycopg.connect(database.url, autocommit=True) as connection:
        with connection.cursor().copy(
            "COPY (SELECT * FROM vector_embeddings) TO STDOUT (FORMAT binary)"
        ) as out:
            packed = [bytes(block) for block in out]
        connection.execute("CREATE TABLE floor AS SELECT * FROM vector_embeddings WITH NO DATA")
        began = time.perf_counter()
        with connection.cursor().copy("COPY floor FROM STDIN (FORMAT binary)") as copy:
            for block in packed:
                copy.write(block)
        seconds = time.perf_counter() - began
        row = connection.execute("SELECT count(*) FROM floor").fetchone()
    return seconds, 0 if row is None else int(row[0])


def main() -> None:
    """Print a table for each corpus."""
    settings = Settings()
    sources = {
        title: {namespace.name: namespace for namespace in namespaces_of(folder)}
        for title, folder in corpora().items()
    }
    if CRANFIELD.is_dir():
        sources["Cranfield"] = {"cranfield": CRANFIELD / "corpus.jsonl"}
    with own_server() as server_url:
        for title, each in sources.items():
            corpus = Corpus(server_url, each, settings)
            with measured() as loading:
                corpus.embedder.model.encode(["The model is loaded before anything is timed."])
            corpus.model.seconds = 0.0
            first = corpus.run()
            model_seconds = corpus.model.seconds
            floors = model_floor(corpus.database, corpus.embedder), copy_floor(corpus.database)
            second = corpus.run()
            _print(title, loading, first, second, model_seconds, floors)
            corpus.database.close()


def _print(
    title: str,
    loading: Measurement,
    first: dict[str, tuple[Measurement, int, str]],
    second: dict[str, tuple[Measurement, int, str]],
    model_seconds: float,
    floors: tuple[tuple[float, int], tuple[float, int]],
) -> None:
    table = Table("stage", title=f"{title}: stage by stage")
    for column in ("seconds", "done", "per second", "peak MiB", "unchanged: seconds"):
        table.add_column(column, justify="right")
    for stage, (took, count, unit) in first.items():
        table.add_row(
            stage,
            f"{took.seconds:.2f}",
            f"{count:,} {unit}",
            f"{count / took.seconds:,.1f}",
            f"{took.peak_mib:,.0f}",
            f"{second[stage][0].seconds:.2f}",
        )
    total = sum(took.seconds for took, _, _ in first.values())
    again = sum(took.seconds for took, _, _ in second.values())
    table.add_section()
    table.add_row("all stages", f"{total:.2f}", "", "", "", f"{again:.2f}")
    for name, (seconds, count) in zip(("model alone", "plain COPY"), floors, strict=True):
        table.add_row(f"floor: {name}", f"{seconds:.2f}", f"{count:,}", f"{count / seconds:,.1f}")
    console.print(table)
    console.print(
        f"model loaded in {loading.seconds:.1f} s (not counted above); "
        f"in the model {model_seconds:.2f} s = {model_seconds / floors[0][0]:.2f} of its floor\n"
        f"outside the model: {(total - model_seconds) / total:.1%} of the run (target 15%); "
        f"nothing changed: {again / total:.1%} of the first run (target 3%)\n"
    )
