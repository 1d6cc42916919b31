"""ANN indexes over ranges of segments: building and dropping them while the leaf serves.

PostgreSQL builds no index CONCURRENTLY on a partitioned table, so each leaf has its own; and as
the leaves of all models share one column without dimensions, they are expression indexes
(PRD 5.2, 6.3).
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from greenlang_vectors.errors import IndexBuildFailed
from greenlang_vectors.progress import Progress
from greenlang_vectors.settings import Settings
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.index_estimates import BUILD_MEMORY_FACTOR, memory_bytes
from greenlang_vectors.store.index_settings import IndexSettings
from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.operators import indexed, operator_class
from greenlang_vectors.store.segments import AnnIndex

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.5
MIN_MEMORY_MB = 64
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class IndexDefinition:
    """An ANN index a leaf should have; its name says what it is and what it covers.

    Attributes:
        settings: nothing of them is left to a default that its kind needs.
        family: see `family`.
        first, last: the segments it covers.
    """

    leaf: Leaf
    settings: IndexSettings
    family: str
    first: int
    last: int

    @property
    def name(self) -> str:
        """Another leaf, other settings or another range is another name."""
        return f"{self.family}_{self.first}_{self.last}"

    def statement(self) -> sql.Composed:
        """CREATE INDEX CONCURRENTLY."""
        settings = self.settings
        options = (
            sql.SQL("m = {}, ef_construction = {}").format(
                sql.Literal(settings.m), sql.Literal(settings.ef_construction)
            )
            if settings.kind == "hnsw"
            else sql.SQL("lists = {}").format(sql.Literal(settings.lists))
        )
        return sql.SQL(
            "CREATE INDEX CONCURRENTLY {name} ON {table} USING {kind} "
            "({expression} {operators}) WITH ({options}) "
            "WHERE segment >= {first} AND segment <= {last}"
        ).format(
            name=sql.Identifier(self.name),
            table=self.leaf.table,
            kind=sql.Identifier(settings.kind),
            expression=indexed(settings, self.leaf.dimensions),
            operators=operator_class(settings),
            options=options,
            first=sql.Literal(self.first),
            last=sql.Literal(self.last),
        )


def family(leaf: Leaf, settings: IndexSettings) -> str:
    """What the names of a leaf's indexes of these settings begin with.

    How wide a search is (ef_search, probes) is no property of an index; nor are lists that
    follow the number of rows: leave them None.
    """
    built = replace(settings, ef_search=None, probes=None).as_json()
    digest = hashlib.sha256(json.dumps([leaf.name, built], sort_keys=True).encode()).hexdigest()
    return f"{settings.kind}_{digest[:12]}"


def build(
    connection: psycopg.Connection,
    database: Database,
    definition: IndexDefinition,
    rows: int,
    settings: Settings,
    progress: Progress,
) -> None:
    """Build one index while the leaf serves, and note what it took.

    Args:
        connection: in autocommit, holding the lock "index build".
        rows: how many it will hold, as far as is known.
        settings: the most memory and workers it may take.

    Raises:
        IndexBuildFailed: PostgreSQL refused or broke off the build.
    """
    _take(connection, memory_bytes(definition.settings, definition.leaf.dimensions, rows), settings)
    began = time.perf_counter()
    try:
        with watched(database, connection.info.backend_pid, progress):
            connection.execute(definition.statement())
    except psycopg.Error as error:
        raise IndexBuildFailed(
            f"The index {definition.name} could not be built: {error}.",
            "Materialize vector_index again; the unfinished index is dropped first.",
        ) from error
    _note(connection, definition, time.perf_counter() - began)


def drop(connection: psycopg.Connection, name: str) -> None:
    """Drop an index without holding up searches."""
    connection.execute(sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(sql.Identifier(name)))


def rebuild(
    connection: psycopg.Connection,
    database: Database,
    index: AnnIndex,
    settings: Settings,
    progress: Progress,
) -> None:
    """Build the same index anew beside the old one, then swap the two.

    Args:
        connection: in autocommit, holding the lock "index build".
        settings: the most memory and workers it may take.

    Raises:
        IndexBuildFailed: PostgreSQL refused or broke off the build; the old one serves.
    """
    _take(connection, int(index.size_bytes * BUILD_MEMORY_FACTOR), settings)
    try:
        with watched(database, connection.info.backend_pid, progress):
            connection.execute(
                sql.SQL("REINDEX INDEX CONCURRENTLY {}").format(sql.Identifier(index.name))
            )
    except psycopg.Error as error:
        raise IndexBuildFailed(
            f"The index {index.name} could not be rebuilt: {error}.",
            "The old one serves on; `greenlang-vectors indexes maintain` removes what is left.",
        ) from error


def _take(connection: psycopg.Connection, needed_bytes: int, settings: Settings) -> None:
    """As much memory as a build needs, if it may have it, and as many workers as it may have."""
    memory = min(max(MIN_MEMORY_MB, needed_bytes // MIB), settings.index_build_memory_mb)
    connection.execute(
        "SELECT set_config('maintenance_work_mem', %s, false),"
        " set_config('max_parallel_maintenance_workers', %s, false)",
        [f"{memory}MB", str(settings.index_build_workers)],
    )


def _note(connection: psycopg.Connection, definition: IndexDefinition, seconds: float) -> None:
    connection.execute(
        """
        INSERT INTO index_builds
            (namespace, index_name, embedding_model, settings, rows, seconds, size_bytes)
        SELECT %(namespace)s, c.relname, %(model)s, %(settings)s, greatest(c.reltuples, 0),
               %(seconds)s, pg_relation_size(c.oid)
        FROM pg_class c WHERE c.oid = to_regclass(quote_ident(%(name)s))
        """,
        {
            "namespace": definition.leaf.namespace,
            "model": definition.leaf.model,
            "settings": Jsonb(definition.settings.as_json()),
            "seconds": seconds,
            "name": definition.name,
        },
    )


@contextmanager
def watched(database: Database, builder: int, progress: Progress) -> Iterator[None]:
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
