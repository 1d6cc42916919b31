"""Exporting a namespace: pg_dump and checksums in one snapshot, streamed to the backup location.

A transaction locks the namespace's tables against changes of their shape, takes a snapshot and
exports it: pg_dump, the checksums and the rows of shared tables all see it, so a write in flight is
in all of them whole or in none. The manifest is written last: what is killed before has none.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata
from typing import cast

import psycopg
from psycopg import IsolationLevel, sql

from greenlang_vectors.backup import contents, records
from greenlang_vectors.backup.checksums import checksum
from greenlang_vectors.backup.contents import Relation, SharedTable
from greenlang_vectors.backup.errors import ExportFailed
from greenlang_vectors.backup.manifest import (
    DUMP,
    ROOT,
    ROWS,
    SUBSTANCE,
    ExportedCollection,
    ExportedObject,
    ExportedTable,
    Manifest,
    key,
    load,
    namespace_of,
)
from greenlang_vectors.backup.programs import Program, find, output
from greenlang_vectors.lifecycle.location import Location, LocationUnavailable
from greenlang_vectors.lifecycle.manifest import new_id
from greenlang_vectors.lifecycle.sealing import sealed
from greenlang_vectors.progress import Progress, silent
from greenlang_vectors.settings import PROJECT_ROOT, Settings
from greenlang_vectors.store import archived, namespaces, roles, schema
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.encryption import data_keys
from greenlang_vectors.store.locks import exclusive

LOCK = "export"
LOCK_SECONDS = 60
"""How long a change of the tables may hold an export up."""


@dataclass(frozen=True, slots=True)
class Exported:
    """An export that was made.

    Attributes:
        seconds: all of it, reading back included.
    """

    export: str
    namespace: str
    rows: int
    tables: int
    size_bytes: int
    seconds: float


def create(
    database: Database,
    location: Location,
    namespace: str,
    *,
    settings: Settings,
    progress: Progress = silent,
) -> Exported | None:
    """Export a namespace (PRD 12.1); None where it holds nothing yet and never did.

    Raises:
        UnknownNamespace: it is not registered.
        UsageError: there is no pg_dump that is new enough.
        ProgramFailed: pg_dump failed.
        ExportFailed: a namespace that held something is empty, or its tables are being changed.
        LocationUnavailable: the location failed. Either way older exports stay as they are.
    """
    began = time.monotonic()
    with database.connect() as connection:
        namespaces.get(connection, namespace)
        program = find("pg_dump", settings, at_least=connection.info.server_version // 10000)
        with exclusive(connection, LOCK, namespace):
            with _snapshot(connection, namespace) as (relations, moment):
                if not _holds_anything(connection, relations):
                    _check_always_empty(location, namespace)
                    return None
                work = _Work(database, connection, location, namespace, relations, moment)
                manifest = work.write(program, settings, progress)
            seconds = time.monotonic() - began
            records.note_export(connection, manifest, seconds)
    return Exported(
        manifest.export,
        namespace,
        manifest.rows,
        len(manifest.tables),
        manifest.size_bytes,
        seconds,
    )


@contextmanager
def _snapshot(
    connection: psycopg.Connection, namespace: str
) -> Iterator[tuple[list[Relation], datetime]]:
    """A transaction that sees one moment of tables whose shape stays; the moment is told.

    The locks come first: the snapshot is taken by the first query after them. One process sums
    ten times as fast as pg_dump compresses; more would only take processors from it.
    """
    with connection.transaction():
        roles.act_as_admin(connection)
        partitions = [
            each.name
            for each in contents.relations(connection, namespace)
            if each.parent == each.root
        ]
    connection.isolation_level, connection.read_only = IsolationLevel.REPEATABLE_READ, True
    try:
        with connection.transaction():
            roles.act_as_admin(connection)
            for setting, value in (
                ("row_security", "off"),
                ("search_path", "public"),
                ("lock_timeout", f"{LOCK_SECONDS}s"),
                ("statement_timeout", "0"),
                ("idle_in_transaction_session_timeout", "0"),
                ("max_parallel_workers_per_gather", "0"),
            ):
                connection.execute(
                    sql.SQL("SET LOCAL {} = {}").format(sql.Identifier(setting), sql.Literal(value))
                )
            connection.execute(
                sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(
                    sql.SQL(", ").join(sql.Identifier("public", name) for name in partitions)
                )
            )
            row = connection.execute("SELECT now()").fetchone()
            yield contents.relations(connection, namespace), cast("tuple[datetime]", row)[0]
    except psycopg.errors.LockNotAvailable as error:
        raise ExportFailed(
            f"The tables of {namespace} were being changed for more than {LOCK_SECONDS} s.",
            "Export it again when an index build or a migration has ended.",
        ) from error
    finally:
        if not connection.closed:
            connection.isolation_level = connection.read_only = None


def _holds_anything(connection: psycopg.Connection, relations: Sequence[Relation]) -> bool:
    filled = sql.SQL(" OR ").join(
        sql.SQL("EXISTS (SELECT FROM {})").format(sql.Identifier("public", each.name))
        for each in relations
        if each.holds_rows and each.root in SUBSTANCE
    )
    return connection.execute(sql.SQL("SELECT {}").format(filled)).fetchone() == (True,)


def _check_always_empty(location: Location, namespace: str) -> None:
    known = [folder.removeprefix(f"{ROOT}/") for folder in location.folders(ROOT)]
    if any(namespace_of(each) == namespace for each in known if "-" in each):
        raise ExportFailed(
            f"{namespace} holds no document and no embedding any more; it was exported before.",
            "Its exports stay. Restore the newest (`greenlang-vectors restore`), or drop the"
            " namespace if it is to be gone.",
        )


class _Work:
    """Writing one export, in the transaction that holds its snapshot."""

    def __init__(
        self,
        database: Database,
        connection: psycopg.Connection,
        location: Location,
        namespace: str,
        relations: Sequence[Relation],
        moment: datetime,
    ) -> None:
        self._database, self._connection, self._location = database, connection, location
        self._namespace, self._relations, self._moment = namespace, relations, moment
        self._id = new_id(namespace, moment)
        self._objects: list[ExportedObject] = []

    def write(self, program: Program, settings: Settings, progress: Progress) -> Manifest:
        """Write all objects, the manifest last; of what fails nothing is left where it can be."""
        try:
            shared = [self._shared(table) for table in contents.shared_tables(self._connection)]
            tables = self._dump(program, settings.backup_compression, progress)
            manifest = self._manifest([*tables, *shared], program, settings)
            self._location.put(key(self._id), sealed(manifest))
            if load(self._location, self._id) != manifest:
                raise LocationUnavailable(  # noqa: TRY301
                    f"The manifest of {self._id} is not read back as it was written."
                )
        except BaseException:
            with suppress(LocationUnavailable):
                self._location.delete(sorted(self._location.keys(f"{ROOT}/{self._id}")))
            raise
        return manifest

    def _put(self, name: str, blocks: Iterator[bytes]) -> None:
        written = self._location.put_stream(key(self._id, name), blocks)
        self._objects.append(
            ExportedObject(name=name, size_bytes=written.size_bytes, sha256=written.sha256)
        )

    def _shared(self, table: SharedTable) -> ExportedTable:
        own = table.of(self._namespace)
        found = checksum(self._connection, "public", table.name, own)
        if found.rows:
            self._put(f"{ROWS}/{table.name}", _copied(self._connection, table, own))
        return ExportedTable(
            name=table.name,
            root=table.name,
            shared=True,
            rows=found.rows,
            checksum=found.value,
            indexes={},
        )

    def _dump(self, program: Program, compression: str, progress: Progress) -> list[ExportedTable]:
        """Dump the partitions while their checksums are computed in the same snapshot."""
        row = self._connection.execute("SELECT pg_export_snapshot()").fetchone()
        (snapshot,) = cast("tuple[str]", row)
        names = [each.name for each in self._relations]
        arguments = [
            "--format=custom",
            f"--compress={compression}",
            f"--snapshot={snapshot}",
            f"--role={roles.ADMIN}",
            f"--lock-wait-timeout={LOCK_SECONDS}s",
            "--no-password",
            "--strict-names",
            *(f'--table=public."{name}"' for name in names),
        ]
        with ThreadPoolExecutor(1) as beside:
            tables = beside.submit(self._checksums)
            try:
                with output(program, arguments, self._database.conninfo()) as blocks:
                    self._put(DUMP, _watched(blocks, progress))
            except BaseException:
                self._connection.cancel_safe()
                raise
            return tables.result()

    def _checksums(self) -> list[ExportedTable]:
        connection = self._connection
        tables = []
        for each in self._relations:
            if each.holds_rows:
                found = checksum(connection, "public", each.name)
                tables.append(
                    ExportedTable(
                        name=each.name,
                        root=each.root,
                        shared=False,
                        rows=found.rows,
                        checksum=found.value,
                        indexes=contents.indexes_of(connection, "public", each.name),
                    )
                )
        return tables

    def _manifest(
        self, tables: Sequence[ExportedTable], program: Program, settings: Settings
    ) -> Manifest:
        connection, namespace = self._connection, self._namespace
        server, pgvector = schema.versions(connection)
        keys = data_keys.of_namespace(connection, namespace)
        return Manifest(
            export=self._id,
            namespace=namespace,
            made_at=self._moment,
            schema_version=str(schema.current(connection)),
            server_version=server,
            pgvector_version=pgvector,
            pg_dump_version=program.version,
            source_revision=_revision(),
            compression=settings.backup_compression,
            collections=tuple(
                ExportedCollection(model=leaf.model, dimensions=leaf.dimensions)
                for leaf in archived.leaves_of(connection, namespace)
            ),
            master_keys=tuple(sorted({each.master_key for each in keys})),
            partitions={each.name: each.root for each in self._relations if not each.holds_rows},
            tables=tuple(tables),
            objects=tuple(self._objects),
        )


def _copied(
    connection: psycopg.Connection, table: SharedTable, own: sql.Composable
) -> Iterator[bytes]:
    statement = sql.SQL("COPY (SELECT {} FROM {} WHERE {}) TO STDOUT").format(
        table.names(), sql.Identifier("public", table.name), own
    )
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for block in copy:
            yield bytes(block)


def _watched(blocks: Iterator[bytes], progress: Progress) -> Iterator[bytes]:
    done = 0
    for block in blocks:
        yield block
        done += len(block)
        progress(done // 2**20, done // 2**20, "MiB")


def _revision() -> str:
    """Version of the program, and the commit it stands at where it is a checkout."""
    version = metadata.version("greenlang-vectors")
    with suppress(OSError, subprocess.CalledProcessError):
        commit = subprocess.run(
            ["git", "rev-parse", "HEAD"],  # noqa: S607 - whichever git there is
            cwd=PROJECT_ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        return f"{version}+{commit}"
    return version
