"""Searches end to end: the SDK beside the same SQL by hand, from question to answer, hybrid.

The passages are random words of a vocabulary whose frequencies fall as those of a language do
(Zipf), beside vectors that behave as embeddings do; the rows are those of the other benchmarks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import psycopg
from numpy.typing import NDArray
from rich.table import Table

from benchmarks.common import Q, checkpoint, console, new_database, number, timed
from benchmarks.common import server as own_server
from benchmarks.rows import CHUNKS_OF_A_DOCUMENT, fill, new_leaf, row
from benchmarks.vectors import VectorSource
from greenlang_vectors.chunking.model import content_hash
from greenlang_vectors.search import passages
from greenlang_vectors.search.model import SearchRequest
from greenlang_vectors.search.statements import search_statement
from greenlang_vectors.service import BlockingEmbeddingService
from greenlang_vectors.settings import Settings
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.index_settings import IndexSettings
from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.maintenance import maintain
from greenlang_vectors.store.segments import cover, on_leaf
from greenlang_vectors.store.text_statistics import refresh

K = 10
INDEX = IndexSettings(m=16, ef_construction=200)
EF_SEARCH = 100
VOCABULARY = 30_000
WORDS_OF_A_PASSAGE = 120
WORDS_OF_A_QUESTION = 7
WARMING = 20


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured."""

    rows: int = 200_000
    queries: int = 300
    dimensions: int = 384


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds of each search."""

    ms: list[float]

    @property
    def p50(self) -> float:
        """The median."""
        return float(np.percentile(self.ms, 50))

    @property
    def p99(self) -> float:
        """What one in a hundred takes longer than."""
        return float(np.percentile(self.ms, 99))


@dataclass(frozen=True, slots=True)
class Measured:
    """The ways of searching, each over the same questions.

    Attributes:
        sdk, bare: by a ready vector, through `find` and through psycopg alone.
        question: from its text, by vectors; embedding it included.
        hybrid: the same, by vectors and words.
    """

    sdk: Times
    bare: Times
    question: Times
    hybrid: Times


class Texts:
    """Random passages and questions: the same seed gives the same in the same order."""

    def __init__(self, seed: int) -> None:
        letters = np.random.default_rng(7)
        lengths = letters.integers(3, 11, size=VOCABULARY)
        self._words = np.array(
            ["".join(letters.choice(list("aeioudlmnprst"), size=n)) for n in lengths], dtype=object
        )
        shares = 1 / np.arange(1, VOCABULARY + 1)
        self._shares = np.cumsum(shares / shares.sum())
        self._random = np.random.default_rng(seed)

    def take(self, count: int, words: int) -> list[str]:
        """So many texts of so many words."""
        chosen = np.searchsorted(self._shares, self._random.random((count, words)))
        return [" ".join(self._words[places]) for places in np.minimum(chosen, VOCABULARY - 1)]


def prepare(database: Database, sizes: Sizes, server_url: str) -> Leaf:
    """A leaf with its index, its documents and their passages."""
    vectors = VectorSource(1, dimensions=sizes.dimensions).take(sizes.rows)
    with database.connect() as connection:
        leaf = new_leaf(connection, sizes.dimensions, index=INDEX)
        fill(connection, leaf, vectors)
        _add_documents(connection, leaf, sizes.rows)
        refresh(connection, leaf.namespace)
        connection.execute("VACUUM ANALYZE")
    maintain(database, leaf, Settings(profile="staging"))
    checkpoint(server_url)
    return leaf


def measure(database: Database, leaf: Leaf, sizes: Sizes) -> Measured:
    """Every way in turn; each is warmed before it is timed."""
    vectors = VectorSource(2, dimensions=sizes.dimensions).take(sizes.queries)
    questions = Texts(3).take(sizes.queries, WORDS_OF_A_QUESTION)
    settings = Settings(profile="staging", search_log_share=0)
    with BlockingEmbeddingService(database, settings) as service, database.connect() as connection:
        bare = _bare(connection, leaf)
        assert bare(vectors[0]) == [
            result.id
            for result in service.find(
                SearchRequest(None, leaf.namespace, K, vector=vectors[0])
            ).results
        ]
        sdk, by_hand = _timed(
            list(vectors),
            lambda vector: service.find(SearchRequest(None, leaf.namespace, K, vector=vector)),
            bare,
        )
        [question] = _timed(
            questions, lambda text: service.find(SearchRequest(text, leaf.namespace, K))
        )
        [hybrid] = _timed(
            [f"{text} again" for text in questions],
            lambda text: service.find(SearchRequest(text, leaf.namespace, K, mode="hybrid")),
        )
    return Measured(sdk, by_hand, question, hybrid)


def _timed(questions: Sequence[Q], *ways: Callable[[Q], object]) -> list[Times]:
    return [Times(taken) for taken in timed(questions, *ways, warming=WARMING)]


def _bare(
    connection: psycopg.Connection, leaf: Leaf
) -> Callable[[NDArray[np.float32]], list[object]]:
    """The statements of such a search and nothing else: settings, neighbours, passages."""
    parts = cover(on_leaf(connection, leaf))
    neighbours = search_statement(leaf, INDEX, parts).as_bytes(connection)
    shown = passages.statement(leaf)

    def search(query: NDArray[np.float32]) -> list[object]:
        with connection.transaction():
            connection.execute(
                "SELECT set_config('hnsw.ef_search', %s, true),"
                " set_config('hnsw.iterative_scan', 'relaxed_order', true),"
                " set_config('enable_seqscan', 'off', true),"
                " set_config('enable_bitmapscan', 'off', true),"
                " set_config('enable_sort', 'off', true)",
                [str(EF_SEARCH)],
            )
            found = connection.execute(
                neighbours, {"query": query, "k": K, "candidates": K, "namespace": leaf.namespace}
            ).fetchall()
            rows = connection.execute(
                shown,
                {
                    "namespace": leaf.namespace,
                    "collection": leaf.collection_id,
                    "documents": [document for document, *_ in found],
                    "chunks": [chunk for _, chunk, _ in found],
                },
            ).fetchall()
        by_key = {(document, chunk): identity for document, chunk, identity, *_ in rows}
        return [by_key[document, chunk] for document, chunk, _ in found]

    return search


def _add_documents(connection: psycopg.Connection, leaf: Leaf, rows: int) -> None:
    texts = Texts(1)
    with connection.transaction(), connection.cursor() as cursor:
        documents = -(-rows // CHUNKS_OF_A_DOCUMENT)
        with cursor.copy(
            "COPY documents (namespace, id, origin, source_type, source_key, title, media_type,"
            " size_bytes, file_hash, text, text_hash, page_starts, headings, extraction_version,"
            " characters, language) FROM STDIN"
        ) as copy:
            for place in range(documents):
                identity = row(place * CHUNKS_OF_A_DOCUMENT).source_id
                copy.write_row(
                    (leaf.namespace, identity, "source", "document", f"{place}.html", "A document",
                     "text/html", 1, "0" * 64, "", "0" * 64, [], "[]", "1", 0, "english")
                )  # fmt: skip
        with cursor.copy(
            "COPY document_chunks (namespace, document_id, chunk_index, level, content,"
            " content_hash, token_count, start_char, end_char, heading_path, language) FROM STDIN"
        ) as copy:
            for first in range(0, rows, 10_000):
                count = min(10_000, rows - first)
                for place, text in enumerate(texts.take(count, WORDS_OF_A_PASSAGE), first):
                    key = row(place)
                    copy.write_row(
                        (leaf.namespace, key.source_id, key.chunk_index, 0, text,
                         content_hash(text), WORDS_OF_A_PASSAGE, 0, len(text),
                         ["Chapter", "Article"], "english")
                    )  # fmt: skip


def main() -> None:
    """Print the times; ROWS sets how many rows."""
    sizes = Sizes(rows=number("ROWS", Sizes().rows))
    with own_server() as server_url:
        database = new_database(server_url)
        leaf = prepare(database, sizes, server_url)
        measured = measure(database, leaf, sizes)
        database.close()
    table = Table("search", title=f"top {K} of {sizes.rows:,} x {sizes.dimensions}, one client")
    for column in ("p50 ms", "p99 ms"):
        table.add_column(column, justify="right")
    for title, times in (
        ("ready vector, SDK", measured.sdk),
        ("ready vector, the same SQL by psycopg", measured.bare),
        ("question, SDK", measured.question),
        ("question, SDK, hybrid", measured.hybrid),
    ):
        table.add_row(title, f"{times.p50:.2f}", f"{times.p99:.2f}")
    console.print(table)
    console.print(
        f"SDK over the same SQL: {measured.sdk.p50 / measured.bare.p50:.2f} at p50 (target 1.25);"
        f" question to results p50 {measured.question.p50:.1f} ms (target 50); hybrid p99"
        f" {measured.hybrid.p99:.1f} ms (target 100)"
    )
