"""The backup location: objects under keys, in a folder or an S3 bucket, through one interface."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, S3Store

from greenlang_vectors.errors import GreenLangError, UsageError

REQUEST_SECONDS = 300


class LocationUnavailable(GreenLangError):
    """The backup location cannot be reached, or refused a request."""


class Location:
    """Objects under keys such as "archives/x/manifest.json"; each is written once, whole."""

    def __init__(self, store: ObjectStore, folder: Path | None = None) -> None:
        """Args: folder: where the store keeps its files, if it is a folder."""
        self._store = store
        self._folder = folder

    def put(self, key: str, data: bytes) -> None:
        """Write an object that is not there yet; it is durable when this returns.

        Raises:
            LocationUnavailable: the object is there already, or cannot be written.
        """
        with self._named(key):
            obstore.put(self._store, key, data, mode="create")
            if self._folder is not None:
                _sync(self._folder / key)
                _sync((self._folder / key).parent)

    def get(self, key: str) -> bytes | None:
        """The object whole; None if there is none."""
        with self._named(key):
            try:
                return bytes(obstore.get(self._store, key).bytes())
            except FileNotFoundError:
                return None

    def keys(self, folder: str) -> list[str]:
        """Every key below a folder, sorted."""
        with self._named(folder):
            pages = obstore.list(self._store, folder)
            return sorted(str(found["path"]) for page in pages for found in page)

    def folders(self, folder: str) -> list[str]:
        """The folders directly in a folder, sorted."""
        with self._named(folder):
            return sorted(obstore.list_with_delimiter(self._store, folder)["common_prefixes"])

    def delete(self, keys: Sequence[str]) -> None:
        """Delete these objects."""
        if keys:
            with self._named(keys[0]):
                obstore.delete(self._store, list(keys))

    @contextmanager
    def _named(self, key: str) -> Iterator[None]:
        try:
            yield
        except (BaseError, OSError) as error:
            reason = str(error).partition("\n")[0].rstrip(".")
            raise LocationUnavailable(
                f"The backup location failed at {key!r}: {reason}.",
                "Check GREENLANG_BACKUP_LOCATION and the rights to it.",
            ) from error


def open_location(where: str) -> Location:
    """The location of this name.

    Args:
        where: a folder, created when it is missing, or "s3://bucket/prefix": credentials, region
            and endpoint come from the AWS_* environment variables or the instance's role; an
            endpoint without TLS wants AWS_ALLOW_HTTP=true.

    Raises:
        UsageError: another kind of URL.
        LocationUnavailable: the folder cannot be created.
    """
    scheme, separator, _ = where.partition("://")
    if separator and scheme == "s3":
        return Location(
            S3Store.from_url(
                where,
                client_options={
                    "timeout": timedelta(seconds=REQUEST_SECONDS),
                    "allow_http": os.environ.get("AWS_ALLOW_HTTP", "").lower() == "true",
                },
            )
        )
    if separator:
        raise UsageError(
            f"{where!r} cannot be the backup location.", "Name a folder or s3://BUCKET/PREFIX."
        )
    folder = Path(where).expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LocationUnavailable(
            f"The backup location {where!r} cannot be created: {error.strerror}.",
            "Check GREENLANG_BACKUP_LOCATION and the rights to it.",
        ) from error
    return Location(LocalStore(folder, automatic_cleanup=True), folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
