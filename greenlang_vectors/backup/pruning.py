"""Exports that nobody needs any more, and what killed runs left: found, and deleted when asked.

`retention.expired` says which exports may go, one namespace at a time, counting only good ones as
a reason. What was never finished goes a day after it was last written to, by the location's own
clock and only because something else was written there since: no clock here can make it look old.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from importlib.util import find_spec
from itertools import groupby
from typing import Any
from urllib.parse import urlsplit

import psycopg

from greenlang_vectors import aws
from greenlang_vectors.backup import export, exports, records
from greenlang_vectors.backup.exports import Export
from greenlang_vectors.backup.manifest import ROOT, key
from greenlang_vectors.backup.retention import Copy, expired
from greenlang_vectors.errors import said
from greenlang_vectors.lifecycle.location import Location, LocationUnavailable
from greenlang_vectors.settings import Settings
from greenlang_vectors.store.locks import exclusive

UNFINISHED = timedelta(days=1)
"""How long what has no manifest is left alone."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """What is, or would be, deleted.

    Attributes:
        expired: whole exports that their retention lets go, oldest first in each namespace.
        unfinished: exports without a manifest that nobody works on.
        uploads: keys of uploads to a bucket that were never completed.
        kept: whole exports that stay.
        deleted: whether all of it is gone now.
    """

    expired: tuple[Export, ...]
    unfinished: tuple[Export, ...]
    uploads: tuple[str, ...]
    kept: int
    deleted: bool


def prune(
    connection: psycopg.Connection,
    location: Location,
    *,
    settings: Settings,
    now: datetime,
    delete: bool,
) -> Pruned:
    """Find what may be deleted by the days the settings keep each tier, and delete it if asked.

    Exports under way are left alone, and so are damaged ones: a person decides about those.

    Args:
        connection: of its own, in autocommit.
        now: the present, with a time zone.

    Raises:
        LocationUnavailable: it cannot be read, or refused to delete; what is left is found again.
    """
    known = exports.list_exports(location)
    whole = [each for each in known if each.manifest is not None]
    old = [
        each
        for _, of_one in groupby(whole, key=lambda each: each.namespace)
        for each in _expired(list(of_one), settings, now)
    ]
    left = list(_unfinished(connection, known))
    uploads = _Uploads(settings.backup_location)
    if delete:
        for each in (*old, *left):
            _delete(connection, location, each)
        uploads.abort()
    return Pruned(tuple(old), tuple(left), uploads.keys, kept=len(whole) - len(old), deleted=delete)


def _expired(of_one: list[Export], settings: Settings, now: datetime) -> list[Export]:
    keep = {
        "daily": timedelta(days=settings.backup_daily_days),
        "weekly": timedelta(days=settings.backup_weekly_days),
        "monthly": timedelta(days=settings.backup_monthly_days),
    }
    by_id = {each.id: each for each in of_one}
    copies = [
        Copy(each.id, each.made_at, each.tier, each.state == "good", each.pinned) for each in of_one
    ]
    return [by_id[copy.id] for copy in expired(copies, keep, now)]


def _unfinished(connection: psycopg.Connection, known: list[Export]) -> Iterator[Export]:
    written = [found.modified_at for each in known for found in each.objects]
    for each in known:
        if each.state == "unfinished":
            last = max(found.modified_at for found in each.objects)
            with exclusive(connection, export.LOCK, each.namespace, wait=False) as nobody:
                if nobody and max(written) - last > UNFINISHED:
                    yield each


def _delete(connection: psycopg.Connection, location: Location, each: Export) -> None:
    """The manifest goes first: what a killed run leaves then is unfinished, and found again."""
    names = {found.key for found in each.objects}
    manifest = key(each.id)
    if manifest in names:
        location.delete([manifest])
    location.delete(sorted(names - {manifest}))
    records.forget(connection, each.id)


class _Uploads:
    """Uploads in parts that a killed export left in a bucket: no listing of objects shows them.

    They are found where boto3 is installed; elsewhere a lifecycle rule of the bucket
    (AbortIncompleteMultipartUpload) removes them.

    Attributes:
        keys: of those begun more than a day before the bucket's own present.
    """

    def __init__(self, where: str) -> None:
        self._found: list[dict[str, Any]] = []
        url = urlsplit(where)
        if url.scheme == "s3" and find_spec("boto3") is not None:
            prefix = "/".join(filter(None, (url.path.strip("/"), ROOT, "")))
            with _named(where):
                listing = _s3().get_paginator("list_multipart_uploads")
                for page in listing.paginate(Bucket=url.netloc, Prefix=prefix):
                    present = parsedate_to_datetime(page["ResponseMetadata"]["HTTPHeaders"]["date"])
                    self._found += [
                        {"Bucket": url.netloc, "Key": each["Key"], "UploadId": each["UploadId"]}
                        for each in page.get("Uploads", [])
                        if present - each["Initiated"] > UNFINISHED
                    ]
        self._where = where
        self.keys = tuple(each["Key"] for each in self._found)

    def abort(self) -> None:
        """Have the bucket forget them."""
        for each in self._found:
            with _named(self._where):
                _s3().abort_multipart_upload(**each)


def _s3() -> Any:  # noqa: ANN401 - boto3 carries no types
    return aws.client("s3", raising=LocationUnavailable)


@contextmanager
def _named(where: str) -> Iterator[None]:
    try:
        yield
    except aws.failures() as error:
        raise LocationUnavailable(
            f"The backup location {where} failed: {said(error)}.",
            "Check the rights to list and abort multipart uploads.",
        ) from error
