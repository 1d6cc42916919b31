"""HNSW indexes: one on each leaf, built while the leaf serves (PRD 5.2.1, 6.3).

PostgreSQL builds no index CONCURRENTLY on a partitioned table, so each leaf has its own; and as
the leaves of all models share one column without dimensions, it is an expression index.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import sql

from greenlang_vectors.errors import IndexBuildFailed
from greenlang_vectors.progress import Progress, silent
from greenlang_vectors.settings import Profile
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.embeddings import Leaf
from greenlang_vectors.store.identity import identifier
from greenlang_vectors.store.locks import exclusive

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.5
MIN_MEMORY_MB = 64


@dataclass(frozen=True, slots=True)
class HnswIndex:
    """The index a leaf should have; its name says how it was built."""

    leaf: Leaf
    m: int
    ef_construction: int

    @classmethod
    def of(cls, leaf: Leaf, profile: Profile) -> HnswIndex:
        """The index of a leaf under a profile."""
        return cls(leaf, profile.m, profile.ef_construction)

    @property
    def name(self) -> str:
        """Its name: another m or ef_construction is another index."""
        return identifier(self.leaf.name, f"hnsw_m{self.m}_ef{self.ef_construction}")

    @property
    def expression(self) -> sql.Composed:
        """What is indexed: the column, cast to the leaf's dimensions."""
        return sql.SQL("(embedding::vector({}))").format(sql.Literal(self.leaf.dimensions))


@dataclass(frozen=True, slots=True)
class IndexState:
    """An HNSW index found on a leaf."""

    name: str
    valid: bool
    size_bytes: int


def on_leaf(connection: psycopg.Connection, leaf: Leaf) -> list[IndexState]:
    """The HNSW indexes of a leaf, valid or left over from a build that failed."""
    rows = connection.execute(
        """
        SELECT c.relname, i.indisvalid, pg_relation_size(c.oid)
        FROM pg_index i
        JOIN pg_class c ON c.oid = i.indexrelid
        JOIN pg_am a ON a.oid = c.relam
        WHERE i.indrelid = to_regclass(%s) AND a.amname = 'hnsw'
        ORDER BY c.relname
        """,
        [leaf.table.as_string(connection)],
    )
    return [IndexState(*row) for row in rows]


def build(
    database: Database,
    index: HnswIndex,
    *,
    memory_mb: int,
    workers: int,
    progress: Progress = silent,
) -> bool:
    """Give the leaf exactly this index; return False if it was there and valid.

    Invalid leftovers go first; indexes of other parameters go once the new one serves.

    Args:
        memory_mb: the most `maintenance_work_mem` may be; a graph that does not fit builds slowly.
        workers: parallel workers beside the one that builds.

    Raises:
        IndexBuildFailed: PostgreSQL refused or broke off the build.
    """
    with database.connect() as connection, exclusive(connection, "index build"):
        found = on_leaf(connection, index.leaf)
        for state in found:
            if not state.valid:
                logger.warning("Dropping the invalid index %s of a failed build.", state.name)
                _drop(connection, state.name)
        serving = {state.name for state in found if state.valid}
        missing = index.name not in serving
        if missing:
            _set_resources(connection, index.leaf, memory_mb, workers)
            with _watched(database, connection.info.backend_pid, progress):
                _create(connection, index)
        for name in serving - {index.name}:
            _drop(connection, name)
        return missing


def _create(connection: psycopg.Connection, index: HnswIndex) -> None:
    statement = sql.SQL(
        "CREATE INDEX CONCURRENTLY {name} ON {table} "
        "USING hnsw ({expression} vector_cosine_ops) "
        "WITH (m = {m}, ef_construction = {ef_construction})"
    ).format(
        name=sql.Identifier(index.name),
        table=index.leaf.table,
        expression=index.expression,
        m=sql.Literal(index.m),
        ef_construction=sql.Literal(index.ef_construction),
    )
    try:
        connection.execute(statement)
    except psycopg.Error as error:
        raise IndexBuildFailed(
            f"The index {index.name} could not be built: {error}.",
            "Materialize vector_index again; the unfinished index is dropped first.",
        ) from error


def _drop(connection: psycopg.Connection, name: str) -> None:
    connection.execute(sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(sql.Identifier(name)))


def _set_resources(
    connection: psycopg.Connection, leaf: Leaf, memory_mb: int, workers: int
) -> None:
    """As much memory as the graph needs, if the machine has it; as many workers as it has cores."""
    row = connection.execute(
        sql.SQL("SELECT pg_relation_size(to_regclass(%s))"), [leaf.table.as_string(connection)]
    ).fetchone()
    table_mb = 0 if row is None else int(row[0]) // (1024 * 1024)
    needed = max(MIN_MEMORY_MB, 2 * table_mb)
    connection.execute(
        "SELECT set_config('maintenance_work_mem', %s, false),"
        " set_config('max_parallel_maintenance_workers', %s, false)",
        [f"{min(needed, memory_mb)}MB", str(workers)],
    )


@contextmanager
def _watched(database: Database, builder: int, progress: Progress) -> Iterator[None]:
    """Report `pg_stat_progress_create_index` of a backend while the body runs."""
    done = threading.Event()

    def watch() -> None:
        try:
            with database.connect() as connection:
                while not done.wait(POLL_SECONDS):
                    row = connection.execute(
                        """
                        SELECT phase, blocks_done, blocks_total
                        FROM pg_stat_progress_create_index WHERE pid = %s
                        """,
                        [builder],
                    ).fetchone()
                    if row and row[2]:
                        progress(row[1], row[2], f"blocks, {row[0]}")
        except Exception:
            logger.debug("Index build progress is not available.", exc_info=True)

    watcher = threading.Thread(target=watch, name="index-progress", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
