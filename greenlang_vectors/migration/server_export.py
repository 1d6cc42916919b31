"""The export that a Weaviate server makes of itself, in place of reading it page by page.

From 1.37 on a server writes a collection to one of its backends as Parquet files, from a snapshot
of each shard (`EXPORT_ENABLED`). The export is made anew for a backfill, after dual writing has
begun: what is written later comes across as ever. Its name is kept before it is asked for, so that
a backfill that is killed goes on waiting for it; its files are the backfill's ranges.

Source: docs.weaviate.io/deploy/configuration/export; the server's `usecases/export`.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg

from greenlang_vectors.errors import GreenLangError, UsageError
from greenlang_vectors.lifecycle.location import Location, open_location
from greenlang_vectors.migration.exported import UNSET, ExportedFile
from greenlang_vectors.migration.mapping import Mapper
from greenlang_vectors.migration.objects import NO_TENANT, WeaviateObject
from greenlang_vectors.migration.peer import EXPORTS_FROM, Peer, WeaviateRefused
from greenlang_vectors.migration.unfit import Problem
from greenlang_vectors.progress import Progress
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import weaviate_migrations
from greenlang_vectors.store.weaviate_ranges import Range

POLL_SECONDS = 1.0
"""Between two questions how far the server is."""

FILES_AT_ONCE = 2
"""Files read side by side: memory holds a batch of each."""

_MADE, _BROKEN = "SUCCESS", frozenset({"FAILED", "CANCELED"})


class ExportFailed(GreenLangError):
    """The server gave up an export, or what it wrote is not all there."""


@dataclass(frozen=True, slots=True)
class Exports:
    """Where a server writes its exports.

    Attributes:
        backend: as the server calls it: "s3", "gcs", "azure" or "filesystem".
        location: where that can be read from here; each export is a folder of its name in it.
    """

    backend: str
    location: Location

    def pages(self, mapper: Mapper, part: Range) -> Iterator[list[WeaviateObject]]:
        """What is left of a range that is a file, a batch of the plan's at once.

        Raises:
            ExportUnreadable, LocationUnavailable: it cannot be read.
        """
        if part.file is None:
            raise AssertionError("a range of no file is read from the server")
        file = ExportedFile(self.location, part.file)
        yield from file.pages(mapper, part.tenant, skip=part.objects, size=mapper.plan.batch)


def exports_of(settings: Settings) -> Exports | None:
    """Where the server of these settings exports to; None where backfills read it page by page.

    Raises:
        UsageError: only one of both settings is made, or the location can be none.
        LocationUnavailable: it is a folder that cannot be.
    """
    backend, where = settings.weaviate_export_backend, settings.weaviate_export_location
    if backend is None:
        return None
    if where is None:
        raise UsageError(
            f"Nothing says where Weaviate's exports to {backend} can be read.",
            f"Set GREENLANG_WEAVIATE_EXPORT_LOCATION to a folder or s3://BUCKET/PREFIX. {UNSET}",
        )
    return Exports(backend, open_location(where, "GREENLANG_WEAVIATE_EXPORT_LOCATION"))


def problem(peer: Peer, exports: Exports) -> Problem | None:
    """What keeps the server from exporting; None where nothing is known to."""
    if not peer.can_export():
        major, minor = EXPORTS_FROM
        message = f"Weaviate exports collections from {major}.{minor} on, and this one is older."
    else:
        try:
            peer.export_status(exports.backend, "greenlang-is-there-such-a-backend")
        except WeaviateRefused as error:
            message = f"Weaviate does not export to {exports.backend}. {error.message}"
        else:
            return None
    return Problem(exports.backend, "no_export", message, UNSET)


def files(
    connection: psycopg.Connection,
    peer: Peer,
    mapper: Mapper,
    exports: Exports,
    tenants: Sequence[str],
    progress: Progress,
) -> list[Range]:
    """The files of an export of the mapper's collection, as ranges of these tenants.

    It is asked for, unless it was for this backfill already, and waited for.

    Raises:
        UsageError: the server cannot export to the backend.
        ExportFailed: it gave up, or its files hold other objects than it says.
        ExportUnreadable, LocationUnavailable: a file cannot be read.
        WeaviateUnavailable: the server does not answer; the next run goes on.
    """
    if found := problem(peer, exports):
        raise UsageError(found.message, found.remedy)
    collection = mapper.info.name
    export = _begun(connection, peer, mapper.namespace, collection, exports.backend)
    total = sum(peer.count(collection, tenant) for tenant in tenants)
    made = _waited_for(peer, exports.backend, export, collection, total, progress)
    ranges = []
    rows = 0
    for key in exports.location.keys(export):
        if not key.endswith(".parquet"):
            continue
        file = ExportedFile(exports.location, key)
        rows += file.rows
        tenant = _shard(key, collection) if mapper.info.multi_tenant else NO_TENANT
        if file.rows and tenant in tenants:
            ranges.append(Range(tenant, *file.bounds(), file=key))
    if rows != made:
        raise ExportFailed(
            f"Weaviate says that its export {export} holds {made:,} objects, and {rows:,} are in"
            f" its files at the location.",
            f"Check GREENLANG_WEAVIATE_EXPORT_LOCATION. {UNSET}",
        )
    weaviate_migrations.record(
        connection,
        mapper.namespace,
        "export",
        {"export": export, "backend": exports.backend, "objects": made, "files": len(ranges)},
    )
    return ranges


def _begun(
    connection: psycopg.Connection, peer: Peer, namespace: str, collection: str, backend: str
) -> str:
    """The export of this backfill, which the server is making or has made."""
    export = weaviate_migrations.get(connection, namespace).export
    known = None if export is None else peer.export_status(backend, export)
    if export is None or (known is not None and known["status"] in _BROKEN):
        moment = f"{datetime.now(UTC):%Y%m%dt%H%M%S}-{secrets.token_hex(3)}"
        export, known = f"greenlang-{namespace}-{moment}", None
        weaviate_migrations.note_export(connection, namespace, export)
    if known is None:
        try:
            peer.start_export(backend, export, collection)
        except WeaviateRefused as error:
            if peer.export_status(backend, export) is None:  # else it was asked for twice
                raise UsageError(
                    f"Weaviate does not export {collection} to {backend}. {error.message}",
                    f"Mend what it names, then run again. {UNSET}",
                ) from error
    return export


def _waited_for(
    peer: Peer, backend: str, export: str, collection: str, total: int, progress: Progress
) -> int:
    """Wait until the server has made the export; how many objects it says it holds."""
    while True:
        known = peer.export_status(backend, export)
        status = "FAILED" if known is None else known["status"]
        if known is None or status in _BROKEN:
            reason = "it is gone" if known is None else known.get("error") or "no reason given"
            raise ExportFailed(
                f"Weaviate's export {export} has ended as {status} ({reason}).",
                f"Run again to have it made anew. {UNSET}",
            )
        done = _exported(known, collection)
        progress(min(done, total), total, "objects exported")
        if status == _MADE:
            return done
        time.sleep(POLL_SECONDS)


def _exported(known: dict[str, Any], collection: str) -> int:
    shards = (known.get("shardStatus") or {}).get(collection) or {}
    return sum(each.get("objectsExported", 0) for each in shards.values())


def _shard(key: str, collection: str) -> str:
    """The tenant that a file is of: `COLLECTION_SHARD_0000.parquet`."""
    name = key.rpartition("/")[2].removesuffix(".parquet")
    return name.removeprefix(f"{collection}_").rpartition("_")[0]
