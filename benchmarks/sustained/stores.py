"""What is measured under sustained inserts: this library, and two ways of doing without it.

All three hold the same rows with the same keys and checks, are written by the same packed COPY and
answer with the numbers of rows. A store is sent to other processes, so it is a URL and settings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql

from benchmarks.rows import FINGERPRINT, MODEL, fill, new_leaf, number_of, rows
from greenlang_vectors.search.nearest import nearest
from greenlang_vectors.settings import Settings
from greenlang_vectors.store.cells import NONE
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.identity import embedding_ids
from greenlang_vectors.store.index_settings import IndexSettings
from greenlang_vectors.store.leaves import Leaf, ensure_leaf
from greenlang_vectors.store.maintenance import due, maintain
from greenlang_vectors.store.packing import (
    BLOCK_ROWS,
    COLUMNS,
    HEADER,
    TRAILER,
    BatchConstants,
    pack,
)
from greenlang_vectors.store.writing import EmbeddingRow, write

INDEX = IndexSettings(m=16, ef_construction=200, ef_search=100)
"""PRD 5.2.1, staging."""

SETTINGS = Settings(profile="staging")

Vectors = NDArray[np.float32]


def _leaf(dimensions: int) -> Leaf:
    return Leaf("bench", MODEL, dimensions)


class Store(Protocol):
    """One way of storing, in a database that it names."""

    @property
    def url(self) -> str:
        """The database."""

    def load(self, vectors: Vectors) -> None:
        """Hold rows 0, 1, ... with these vectors, indexed."""

    def insert(
        self, connection: psycopg.Connection, rows: Sequence[EmbeddingRow], vectors: Vectors
    ) -> None:
        """Add these rows, which follow one another, in one transaction."""

    def search(self, connection: psycopg.Connection, query: Vectors, k: int) -> list[int]:
        """Numbers of the nearest rows, best first."""

    def maintain(self) -> None:
        """One round of the work that runs beside writing and searching."""

    def parts(self, connection: psycopg.Connection) -> str:
        """What one search visits, in words."""

    @property
    def found_at_once(self) -> bool:
        """Whether searches are to find what is inserted."""


@dataclass(frozen=True, slots=True)
class Segments:
    """This library."""

    url: str
    dimensions: int
    found_at_once: bool = True

    @property
    def _leaf(self) -> Leaf:
        return _leaf(self.dimensions)

    def load(self, vectors: Vectors) -> None:
        """As `make run` fills a namespace."""
        with Database(self.url).connect() as connection:
            leaf = new_leaf(connection, self.dimensions, index=INDEX)
            fill(connection, leaf, vectors)
        maintain(Database(self.url), leaf, SETTINGS)

    def insert(
        self, connection: psycopg.Connection, rows: Sequence[EmbeddingRow], vectors: Vectors
    ) -> None:
        """`write`."""
        report = write(connection, self._leaf, rows, vectors, fingerprint=FINGERPRINT)
        assert report.inserted == len(vectors)

    def search(self, connection: psycopg.Connection, query: Vectors, k: int) -> list[int]:
        """`nearest`."""
        found = nearest(connection, self._leaf, query, k, index=INDEX).candidates
        return [number_of(each.document_id, each.chunk_index) for each in found]

    def maintain(self) -> None:
        """`maintain` where it is `due`, as the sensor has it."""
        database = Database(self.url)
        with database.connect() as connection:
            if not due(connection, self._leaf, SETTINGS):
                return
        maintain(database, self._leaf, SETTINGS)

    def parts(self, connection: psycopg.Connection) -> str:
        """The plan of a search."""
        query = np.ones(self.dimensions, np.float32)
        return nearest(connection, self._leaf, query, 1, index=INDEX).plan


@dataclass(frozen=True, slots=True)
class Elsewhere(Segments):
    """The floor: the same rows go to another leaf, so that all they take is the machine's time."""

    found_at_once: bool = False

    def insert(
        self, connection: psycopg.Connection, rows: Sequence[EmbeddingRow], vectors: Vectors
    ) -> None:
        """`write`, into a leaf that nobody searches."""
        leaf = Leaf("bench", "elsewhere", self.dimensions)
        ensure_leaf(connection, leaf, INDEX)
        report = write(connection, leaf, rows, vectors, fingerprint=FINGERPRINT)
        assert report.inserted == len(vectors)


@dataclass(frozen=True, slots=True)
class IndexedTable:
    """One table with an HNSW index that every insert maintains, as other libraries have it."""

    url: str
    dimensions: int
    found_at_once: bool = True

    def load(self, vectors: Vectors) -> None:
        """Fill the table, then index it."""
        with Database(self.url).connect() as connection:
            self._create(connection, "plain")
            for first in range(0, len(vectors), 10_000):
                part = vectors[first : first + 10_000]
                self._copy(connection, "plain", rows(first, first + len(part)), part)
            self._index(connection, "plain")
            connection.execute("VACUUM ANALYZE plain")

    def insert(
        self, connection: psycopg.Connection, rows: Sequence[EmbeddingRow], vectors: Vectors
    ) -> None:
        """A COPY into the indexed table."""
        self._copy(connection, "plain", rows, vectors)

    def search(self, connection: psycopg.Connection, query: Vectors, k: int) -> list[int]:
        """Through the indexes of the tables there are."""
        branch = sql.SQL(
            "(SELECT source_id, chunk_index, {distance} AS distance FROM {table}"
            " ORDER BY {distance} LIMIT %(k)s)"
        )
        statement = sql.SQL(
            "SELECT source_id, chunk_index FROM ({}) nearest ORDER BY distance LIMIT %(k)s"
        ).format(
            sql.SQL(" UNION ALL ").join(
                branch.format(
                    distance=sql.SQL("{} <=> %(query)s").format(self._vector()),
                    table=sql.Identifier(table),
                )
                for table in self._tables(connection)
            )
        )
        with connection.transaction():
            connection.execute(
                "SELECT set_config('hnsw.ef_search', %s, true)", [str(INDEX.ef_search)]
            )
            found = connection.execute(statement, {"query": query, "k": k}).fetchall()
        return [number_of(source_id, chunk_index) for source_id, chunk_index in found]

    def maintain(self) -> None:
        """Nothing: the inserts do it all."""

    def parts(self, connection: psycopg.Connection) -> str:
        """The tables."""
        return f"{len(self._tables(connection))} tables"

    def _tables(self, connection: psycopg.Connection) -> list[str]:  # noqa: ARG002
        return ["plain"]

    def _create(self, connection: psycopg.Connection, table: str) -> None:
        connection.execute(
            sql.SQL(
                "CREATE TABLE IF NOT EXISTS {} (LIKE vector_embeddings INCLUDING DEFAULTS"
                " INCLUDING INDEXES, CHECK (vector_dims(embedding) = {}))"
                " WITH (toast_tuple_target = 8160)"
            ).format(sql.Identifier(table), sql.Literal(self.dimensions))
        )

    def _copy(
        self,
        connection: psycopg.Connection,
        table: str,
        rows: Sequence[EmbeddingRow],
        vectors: Vectors,
    ) -> None:
        leaf = _leaf(self.dimensions)
        keys = [(row.source_id, row.chunk_index) for row in rows]
        ids = embedding_ids(leaf.namespace, keys, leaf.model)
        statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(
            sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
        )
        with connection.cursor().copy(statement) as copy:
            copy.write(HEADER)
            metadata, constants = (
                [row.metadata for row in rows],
                BatchConstants(leaf, FINGERPRINT, 0),
            )
            for start in range(0, len(rows), BLOCK_ROWS):
                block = slice(start, start + BLOCK_ROWS)
                copy.write(
                    pack(rows[block], metadata[block], ids[block], vectors[block], NONE, constants)
                )
            copy.write(TRAILER)

    def _index(self, connection: psycopg.Connection, table: str) -> None:
        settings = Settings()
        connection.execute(
            "SELECT set_config('maintenance_work_mem', %s, false),"
            " set_config('max_parallel_maintenance_workers', %s, false)",
            [f"{settings.index_build_memory_mb}MB", str(settings.index_build_workers)],
        )
        connection.execute(
            sql.SQL(
                "CREATE INDEX {} ON {} USING hnsw ({} vector_cosine_ops)"
                " WITH (m = {}, ef_construction = {})"
            ).format(
                sql.Identifier(f"{table}_hnsw"),
                sql.Identifier(table),
                self._vector(),
                sql.Literal(INDEX.m),
                sql.Literal(INDEX.ef_construction),
            )
        )

    def _vector(self) -> sql.Composed:
        return sql.SQL("(embedding::vector({}))").format(sql.Literal(self.dimensions))


@dataclass(frozen=True, slots=True)
class SegmentTables(IndexedTable):
    """An LSM tree of tables: new rows in a fresh one, which is indexed once it is full.

    Nothing keeps a key from being in two of them, and every table is another grant and policy.
    """

    rows_of_a_table: int = 20_000

    def insert(
        self, connection: psycopg.Connection, rows: Sequence[EmbeddingRow], vectors: Vectors
    ) -> None:
        """A COPY into the newest table."""
        first = number_of(rows[0].source_id, rows[0].chunk_index)
        table = f"fresh_{first // self.rows_of_a_table:09}"
        with connection.transaction():
            self._create(connection, table)
            self._copy(connection, table, rows, vectors)

    def maintain(self) -> None:
        """Index the tables that are full."""
        with Database(self.url).connect() as connection:
            for table in self._tables(connection)[1:-1]:
                known = connection.execute("SELECT to_regclass(%s)", [f"{table}_hnsw"]).fetchone()
                if known == (None,):
                    self._index(connection, table)
                    connection.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(table)))

    def _tables(self, connection: psycopg.Connection) -> list[str]:
        found = connection.execute(
            "SELECT relname FROM pg_class"
            " WHERE relkind = 'r' AND (relname = 'plain' OR relname LIKE 'fresh\\_%')"
            " ORDER BY relname <> 'plain', relname"
        )
        return [name for (name,) in found]
