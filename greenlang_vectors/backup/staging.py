"""Restored tables before anybody sees them: filled, indexed, and compared with the manifest.

They lie in the schema `restoring` under the names they will have. Rows come before indexes, the
indexes of few bytes side by side, ANN indexes one after the other with all the memory and workers
that the settings allow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import TypeVar

import psycopg
from psycopg import sql

from greenlang_vectors.backup.checksums import checksum
from greenlang_vectors.backup.contents import SharedTable, indexes_of
from greenlang_vectors.backup.dump import SCHEMA, Dump, Statement
from greenlang_vectors.backup.manifest import ROWS, ExportedTable, Manifest
from greenlang_vectors.backup.verification import Object
from greenlang_vectors.progress import Progress
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import roles
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.identity import identifier
from greenlang_vectors.store.indexes import MIN_MEMORY_MB, watched

T = TypeVar("T")
R = TypeVar("R")

BLOCK_BYTES = 2**20

INDEXES = {"INDEX", "CONSTRAINT"}
ANN = (" USING hnsw ", " USING ivfflat ")

BOUNDS = "restored_bounds"
"""A CHECK that says what a partition's bounds will say: attaching it then reads no row."""


class Staging:
    """The tables of one restore.

    Attributes:
        tables: those of the namespace that are restored.
        statements: what the dump makes of them.
        shared: the shared tables whose rows are restored.
    """

    def __init__(
        self,
        database: Database,
        manifest: Manifest,
        dump: Dump,
        settings: Settings,
        tables: Sequence[ExportedTable],
        shared: Sequence[SharedTable],
    ) -> None:
        self.manifest, self.tables, self.shared = manifest, tables, shared
        self.statements = dump.statements()
        self._database, self._dump, self._settings = database, dump, settings
        leaves = {leaf.name for leaf in manifest.leaves}
        self._roots = manifest.partitions | {
            each.name: each.root for each in tables if each.name not in leaves
        }
        self._jobs = settings.index_build_workers + 1

    def fill(self, objects: Object, progress: Progress) -> None:
        """Make the tables and put their rows in.

        Raises:
            psycopg.Error: what PostgreSQL refused.
            ExportDamaged: pg_restore cannot read the dump.
        """
        with self._session() as connection:
            for statement in self._of("TABLE"):
                connection.execute(self._like_its_root(statement) or statement.text.encode())
        loaded = _Count(progress, sum(each.rows for each in self.tables), "rows")
        biggest_first = sorted(self.tables, key=lambda each: -each.rows)
        self._side_by_side(lambda session, each: self._load(session, each, loaded), biggest_first)
        with self._session() as connection:
            for table in self.shared:
                self._load_shared(connection, table, objects(f"{ROWS}/{table.name}"))

    def index(self, progress: Progress) -> None:
        """Build the indexes, attach leaves to their partition, then what refers to other tables.

        Raises:
            psycopg.Error: what PostgreSQL refused; a row that breaks a key among it.
        """
        made = [each for each in self.statements if each.kind in INDEXES]
        ann = [each for each in made if any(word in each.text for word in ANN)]
        built = _Count(progress, len(made), "indexes")
        self._side_by_side(
            lambda session, each: self._build(session, each, built),
            [each for each in made if each not in ann],
            memory=max(MIN_MEMORY_MB, self._settings.index_build_memory_mb // self._jobs),
        )
        for statement in ann:
            self._build_ann(statement, built, progress)
        done = {"TABLE", "TABLE ATTACH", "FK CONSTRAINT", *INDEXES}
        with self._session() as connection:
            for statement in (
                *(each for each in self._of("TABLE ATTACH") if each.attached is None),
                *self._of("FK CONSTRAINT"),
                *(each for each in self.statements if each.kind not in done),
            ):
                connection.execute(statement.text.encode())
            for table in self.tables:
                connection.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(SCHEMA, table.name)))

    @property
    def attached(self) -> list[str]:
        """The restored tables that are attached to tables which are not restored."""
        return [each.attached for each in self.statements if each.attached is not None]

    def bound(self, bounds: sql.Composable) -> None:
        """Have PostgreSQL know that all rows lie within the bounds their tables will have."""
        with self._session() as connection:
            for name in self.attached:
                connection.execute(
                    sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} CHECK ({})").format(
                        sql.Identifier(SCHEMA, name), sql.Identifier(BOUNDS), bounds
                    )
                )

    def differences(self, progress: Progress) -> list[str]:
        """In which tables something else was restored than was exported, and how it differs."""
        wanted = [
            *self.tables,
            *(each for each in self.manifest.tables if each.name in {t.name for t in self.shared}),
        ]
        compared = _Count(progress, len(wanted), "checksums")
        found = self._side_by_side(
            lambda session, each: self._difference(session, each, compared),
            wanted,
            search_path="public",
        )
        return [said for said in found if said is not None]

    def staged(self, table: str) -> str:
        """What a shared table's restored rows lie in."""
        return identifier(f"{table}_{self.manifest.namespace}")

    def _of(self, kind: str) -> list[Statement]:
        return [each for each in self.statements if each.kind == kind]

    def _like_its_root(self, statement: Statement) -> sql.Composed | None:
        """The same for a partition of a table that is not restored; None for any other.

        A CHECK does not always read as it was written (`IN` becomes `= ANY`), and PostgreSQL
        attaches no table whose CHECKs read otherwise than its own: they have to be copied.
        """
        name = statement.name
        if name not in self.attached or name not in self._roots:
            return None
        return sql.SQL(
            "CREATE TABLE {} (LIKE {} INCLUDING ALL EXCLUDING INDEXES EXCLUDING IDENTITY"
            " EXCLUDING COMMENTS EXCLUDING STATISTICS) {}"
        ).format(
            sql.Identifier(SCHEMA, name),
            sql.Identifier("public", self._roots[name]),
            sql.SQL(statement.partitioned),
        )

    def _load(self, connection: psycopg.Connection, table: ExportedTable, loaded: _Count) -> None:
        with (
            self._dump.rows(table.name) as (statement, blocks),
            connection.cursor() as cursor,
            cursor.copy(statement.encode()) as copy,
        ):
            for block in blocks:
                copy.write(block)
                loaded.add(block.count(b"\n"))

    def _load_shared(
        self, connection: psycopg.Connection, table: SharedTable, file: Path | None
    ) -> None:
        staged = sql.Identifier(SCHEMA, self.staged(table.name))
        connection.execute(
            sql.SQL("CREATE TABLE {} AS SELECT {} FROM {} WITH NO DATA").format(
                staged, table.names(), sql.Identifier("public", table.name)
            )
        )
        if file is None:
            return
        statement = sql.SQL("COPY {} ({}) FROM STDIN").format(staged, table.names())
        with (
            file.open("rb") as rows,
            connection.cursor() as cursor,
            cursor.copy(statement) as copy,
        ):
            while block := rows.read(BLOCK_BYTES):
                copy.write(block)

    def _build(self, connection: psycopg.Connection, statement: Statement, built: _Count) -> None:
        connection.execute(statement.text.encode())
        built.add(1)

    def _build_ann(self, statement: Statement, built: _Count, progress: Progress) -> None:
        settings = self._settings
        with (
            self._session(
                memory=settings.index_build_memory_mb, workers=settings.index_build_workers
            ) as connection,
            watched(self._database, connection.info.backend_pid, progress),
        ):
            connection.execute(statement.text.encode())
        built.add(1)

    def _difference(
        self, connection: psycopg.Connection, table: ExportedTable, compared: _Count
    ) -> str | None:
        name = self.staged(table.name) if table.shared else table.name
        found = checksum(connection, SCHEMA, name)
        indexes = indexes_of(connection, SCHEMA, name)
        compared.add(1)
        if found.rows != table.rows:
            return f"{table.name} has {found.rows} rows, not {table.rows}"
        if found.value != table.checksum:
            return f"the rows of {table.name} are not those that were exported"
        moved = {
            index: definition.replace(f" ON {SCHEMA}.", " ON public.", 1)
            for index, definition in indexes.items()
        }
        if moved != table.indexes:
            other = sorted(index for index, _ in moved.items() ^ table.indexes.items())
            return f"{table.name} has other indexes ({', '.join(dict.fromkeys(other))})"
        return None

    @contextmanager
    def _session(
        self, *, search_path: str = "", memory: int = MIN_MEMORY_MB, workers: int = 0
    ) -> Iterator[psycopg.Connection]:
        """A session as pg_restore's, with the rights of vector_admin.

        Args:
            memory: MiB that an index build may take.
        """
        with self._database.connect() as connection:
            for setting, value in (
                ("role", roles.ADMIN),
                ("search_path", search_path),
                ("statement_timeout", "0"),
                ("maintenance_work_mem", f"{memory}MB"),
                ("max_parallel_maintenance_workers", str(workers)),
            ):
                connection.execute("SELECT pg_catalog.set_config(%s, %s, false)", [setting, value])
            yield connection

    def _side_by_side(
        self,
        work: Callable[[psycopg.Connection, T], R],
        items: Sequence[T],
        *,
        search_path: str = "",
        memory: int = MIN_MEMORY_MB,
    ) -> list[R]:
        """The work on each item, in a few sessions at once (see `_session`)."""
        free: SimpleQueue[psycopg.Connection] = SimpleQueue()

        def run(item: T) -> R:
            connection = free.get()
            try:
                return work(connection, item)
            finally:
                free.put(connection)

        with ExitStack() as sessions, ThreadPoolExecutor(self._jobs) as pool:
            for _ in range(self._jobs):
                free.put(
                    sessions.enter_context(self._session(search_path=search_path, memory=memory))
                )
            return list(pool.map(run, items))


class _Count:
    """How far work is that several threads do."""

    def __init__(self, progress: Progress, total: int, unit: str) -> None:
        self._progress, self._total, self._unit = progress, total, unit
        self._done, self._lock = 0, Lock()

    def add(self, count: int) -> None:
        """So much more is done."""
        with self._lock:
            self._done += count
            self._progress(self._done, self._total, self._unit)


def clear(connection: psycopg.Connection) -> None:
    """Drop whatever an earlier restore left in the schema; acting as vector_admin."""
    left = connection.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace(%s)"
        " AND relkind IN ('r', 'p') AND NOT relispartition",
        [SCHEMA],
    ).fetchall()
    for (name,) in left:
        connection.execute(
            sql.SQL("DROP TABLE IF EXISTS {} CASCADE").format(sql.Identifier(SCHEMA, name))
        )
