"""Restoring an export: beside what serves, compared with the manifest, then exchanged.

Nothing is read that does not match the manifest, and nothing that serves is touched before all
that was restored matches it: a restore that fails, or is killed, leaves what was there.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import psycopg
from psycopg import sql

from greenlang_vectors.backup import contents, export, exports
from greenlang_vectors.backup.contents import SharedTable
from greenlang_vectors.backup.dump import Dump
from greenlang_vectors.backup.errors import ExportDamaged, RestoreFailed
from greenlang_vectors.backup.exchange import exchange_collection, exchange_namespace
from greenlang_vectors.backup.manifest import DUMP, ExportedTable, Manifest
from greenlang_vectors.backup.programs import find
from greenlang_vectors.backup.staging import Staging, clear
from greenlang_vectors.backup.verification import Object, fetched
from greenlang_vectors.errors import (
    GreenLangError,
    UnknownCollection,
    UnknownNamespace,
    UsageError,
    said,
)
from greenlang_vectors.lifecycle.location import Location
from greenlang_vectors.progress import Progress, silent
from greenlang_vectors.retries import retry_context
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import namespaces, roles, schema, weaviate_migrations
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.encryption.administration import nothing_written
from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.locks import exclusive

LOCK = "restore"
OF_A_COLLECTION = ("embedding_collections", "embedding_cells")

EXCHANGE_SECONDS = 180
"""How long a restore that is ready waits for transactions that hold the namespace's tables."""


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """What was restored.

    Attributes:
        collection: the only one that was; None for the whole namespace.
        rows: that were restored and compared.
        left_out: of them, embeddings whose passage is gone or has changed since; of a collection.
        indexes: that were built.
        seconds: from the first byte fetched to the end.
        master_keys: what must be at hand to read an encrypted namespace.
    """

    export: str
    namespace: str
    collection: str | None
    database: str
    rows: int
    left_out: int
    tables: int
    indexes: int
    seconds: float
    master_keys: tuple[str, ...]


def restore(
    database: Database,
    location: Location,
    export_id: str,
    *,
    settings: Settings,
    model: str | None = None,
    replace: bool = False,
    progress: Progress = silent,
) -> RestoreReport:
    """Restore a namespace, or one collection of it, out of an export.

    Args:
        model: restore the collection of this embedding model alone; the namespace must be there.
        replace: drop what is there now, once what was restored has been compared.

    Raises:
        UnknownExport: the location holds nothing of it.
        ExportDamaged: it is not what was written, or does not restore to what was exported.
        UsageError: it does not fit the database, something is there that may not be replaced, or
            the namespace is being moved from Weaviate.
        RestoreFailed: the database refused. Whatever is raised, what was there before still is.
    """
    began = time.monotonic()
    with database.connect() as connection:
        manifest = exports.opened(connection, location, export_id)
        _check_versions(connection, manifest)
        program = find(
            "pg_restore", settings, at_least=int(manifest.pg_dump_version.partition(".")[0])
        )
        tables, partitions, leaf = _wanted(manifest, model)
        with exclusive(connection, LOCK):
            _check_free(connection, manifest, leaf, replace=replace)
            with fetched(location, manifest, progress) as objects:
                dump = Dump(
                    program,
                    cast("Path", objects(DUMP)),
                    export_id,
                    [*partitions, *(table.name for table in tables)],
                )
                with _staged(connection, database, manifest, dump, settings, tables, leaf) as made:
                    _fill(made, objects, leaf, progress)
                    left_out = _exchange(connection, made, leaf)
    return RestoreReport(
        export=export_id,
        namespace=manifest.namespace,
        collection=None if leaf is None else f"{leaf.namespace}/{leaf.model}",
        database=database.name,
        rows=sum(table.rows for table in tables),
        left_out=left_out,
        tables=len(tables),
        indexes=sum(len(table.indexes) for table in tables),
        seconds=time.monotonic() - began,
        master_keys=manifest.master_keys,
    )


@contextmanager
def _staged(
    connection: psycopg.Connection,
    database: Database,
    manifest: Manifest,
    dump: Dump,
    settings: Settings,
    tables: Sequence[ExportedTable],
    leaf: Leaf | None,
) -> Iterator[Staging]:
    """An empty schema to restore into; empty again at the end. Errors get their names here."""
    try:
        with connection.transaction():
            roles.act_as_admin(connection)
            clear(connection)
            shared = _shared(connection, leaf)
        yield Staging(database, manifest, dump, settings, tables, shared)
    except (psycopg.DataError, psycopg.IntegrityError) as error:
        raise ExportDamaged(manifest.export, f"its rows are refused ({said(error)})") from error
    except psycopg.Error as error:
        raise RestoreFailed(
            f"{manifest.export} could not be restored: {said(error)}.",
            "What was there before still is; restore it again once that is mended.",
        ) from error
    finally:
        if not connection.closed:
            with suppress(psycopg.Error), connection.transaction():
                roles.act_as_admin(connection)
                clear(connection)


def _fill(staging: Staging, objects: Object, leaf: Leaf | None, progress: Progress) -> None:
    """Restore beside what serves, and see that it is what was exported."""
    manifest = staging.manifest
    staging.fill(objects, progress)
    staging.index(progress)
    if found := staging.differences(progress):
        raise ExportDamaged(manifest.export, f"it restores to something else: {'; '.join(found)}")
    bounds = sql.SQL("namespace = {}").format(sql.Literal(manifest.namespace))
    if leaf is not None:
        bounds += sql.SQL(" AND embedding_model = {}").format(sql.Literal(leaf.model))
    staging.bound(bounds)


def _exchange(connection: psycopg.Connection, staging: Staging, leaf: Leaf | None) -> int:
    """Exchange when nobody writes to the namespace, exports it or changes its tables."""
    namespace = staging.manifest.namespace
    with (
        nothing_written(connection, namespace),
        exclusive(connection, export.LOCK, namespace),
    ):
        for attempt in retry_context(
            on=GreenLangError, attempts=None, timeout=EXCHANGE_SECONDS, wait_max=10
        ):
            with attempt:
                if leaf is not None:
                    return exchange_collection(connection, staging, leaf)
                exchange_namespace(connection, staging)
    return 0


def _wanted(
    manifest: Manifest, model: str | None
) -> tuple[list[ExportedTable], list[str], Leaf | None]:
    """The tables to restore, the partitions without rows above them, the leaf of one collection."""
    own = [table for table in manifest.tables if not table.shared]
    if model is None:
        return own, [*manifest.partitions], None
    for leaf in manifest.leaves:
        if leaf.model == model:
            return [table for table in own if table.name == leaf.name], [], leaf
    known = ", ".join(f"{manifest.namespace}/{each.model}" for each in manifest.collections)
    raise UnknownCollection(
        f"{manifest.export} holds no collection {manifest.namespace}/{model}.",
        f"It holds {known or 'none'}.",
    )


def _shared(connection: psycopg.Connection, leaf: Leaf | None) -> list[SharedTable]:
    found = contents.shared_tables(connection)
    return [each for each in found if leaf is None or each.name in OF_A_COLLECTION]


def _check_versions(connection: psycopg.Connection, manifest: Manifest) -> None:
    pgvector = schema.versions(connection).pgvector
    current, major = schema.current(connection), connection.info.server_version // 10000
    if current != manifest.schema_version:
        raise UsageError(
            f"{manifest.export} is of schema {manifest.schema_version}, the database of {current}.",
            f"Restore it into a new database with the release that made it"
            f" ({manifest.source_revision}), then upgrade that.",
        )
    if major < manifest.server_major or _numbers(pgvector) < _numbers(manifest.pgvector_version):
        raise UsageError(
            f"{manifest.export} is of PostgreSQL {manifest.server_version} with pgvector"
            f" {manifest.pgvector_version}, newer than the database's {major} with {pgvector}.",
            "Upgrade the server first.",
        )


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".") if part.isdecimal()]


def _check_free(
    connection: psycopg.Connection, manifest: Manifest, leaf: Leaf | None, *, replace: bool
) -> None:
    """See that nothing is there that may not be replaced.

    Raises:
        UsageError: something is, or the namespace is being moved.
        UnknownNamespace: a collection is wanted of one that is not registered.
    """
    namespace = manifest.namespace
    if leaf is not None:
        _check_registered(connection, namespace)
    with connection.transaction():
        roles.act_as_admin(connection)
        try:
            weaviate_migrations.check_not_under_way(connection, namespace)
        except UsageError as error:
            raise UsageError(error.message, "Restore it when the move has ended.") from error
        for each in contents.relations(connection, namespace):
            if replace or not each.holds_rows or (leaf is not None and each.name != leaf.name):
                continue
            filled = sql.SQL("SELECT EXISTS (SELECT FROM {})").format(
                sql.Identifier("public", each.name)
            )
            if connection.execute(filled).fetchone() == (True,):
                raise UsageError(
                    f"{namespace} holds something in {each.name}; nothing was restored over it.",
                    "Say --replace to have what is there dropped once the export is restored and"
                    " compared, or restore it into another database with --into.",
                )


def _check_registered(connection: psycopg.Connection, namespace: str) -> None:
    try:
        namespaces.get(connection, namespace)
    except UnknownNamespace as error:
        raise UnknownNamespace(
            error.message, "Restore the whole namespace: a collection alone has no passages."
        ) from error
