"""The backup location: objects under keys, in a folder or an S3 bucket, through one interface."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import RawIOBase
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, S3Store

from greenlang_vectors.errors import GreenLangError, UsageError
from greenlang_vectors.settings import get_settings

if TYPE_CHECKING:
    from obstore.store import S3Config

SETTING = "GREENLANG_BACKUP_LOCATION"

REQUEST_SECONDS = 300
RETRY_SECONDS = 60
"""How long a request that fails, or that a bucket puts off, is tried again."""

BLOCK_BYTES = 2**20
PART_BYTES = 16 * 2**20
"""Of a multipart upload: S3 takes 10,000 parts, so an object may have 156 GiB."""

PARTS_AT_ONCE = 4


class LocationUnavailable(GreenLangError):
    """The backup location cannot be reached, or refused a request."""


@dataclass(frozen=True, slots=True)
class Listed:
    """An object that is there.

    Attributes:
        modified_at: when it was written, by the location's own clock.
    """

    key: str
    size_bytes: int
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class Written:
    """What was written, as it was read back.

    Attributes:
        sha256: hexadecimal.
    """

    size_bytes: int
    sha256: str


class Location:
    """Objects under keys such as "archives/x/manifest.json"; each is written once, whole."""

    def __init__(
        self, store: ObjectStore, folder: Path | None = None, setting: str = SETTING
    ) -> None:
        """Args: folder: where the store keeps its files, if it is a folder.
        setting: what names the location, as errors tell it.
        """
        self._store = store
        self._folder = folder
        self._setting = setting

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

    def size(self, key: str) -> int | None:
        """How many bytes an object has; None if there is none."""
        with self._named(key):
            try:
                return int(obstore.head(self._store, key)["size"])
            except FileNotFoundError:
                return None

    def part(self, key: str, start: int, length: int) -> bytes:
        """So many bytes of an object, from a place on."""
        with self._named(key):
            return bytes(obstore.get_range(self._store, key, start=start, length=length))

    def put_stream(self, key: str, blocks: Iterable[bytes]) -> Written:
        """Write an object as its blocks come, in parts, then read it back; durable on return.

        Where the blocks break off, a bucket has no such object and a folder what came so far.

        Raises:
            LocationUnavailable: it cannot be written, or is not read back as it was written.
            Exception: what the blocks raised.
        """
        written = Hashed(blocks)
        try:
            with self._named(key):
                if self._folder is None:
                    obstore.put(
                        self._store,
                        key,
                        written.parts(PART_BYTES),
                        use_multipart=True,
                        chunk_size=PART_BYTES,
                        max_concurrency=PARTS_AT_ONCE,
                    )
                else:
                    _write(self._folder / key, written)
        except Exception:
            if written.broken is not None:
                raise written.broken from None
            raise
        if self._read_back(key) != written.result:
            raise LocationUnavailable(
                f"What the backup location holds as {key!r} is not what was written.",
                "Try again; where it happens again, do not trust this location.",
            )
        return written.result

    def stream(self, key: str) -> Iterator[bytes] | None:
        """The blocks of an object; None if there is none.

        Raises:
            LocationUnavailable: also from the iterator.
        """
        with self._named(key):
            try:
                if self._folder is not None:
                    return self._blocks(key, _read((self._folder / key).open("rb", buffering=0)))
                found = obstore.get(self._store, key)
            except FileNotFoundError:
                return None
        return self._blocks(key, (bytes(block) for block in found.stream(BLOCK_BYTES)))

    def path(self, key: str) -> Path | None:
        """The file of an object, where the location is a folder."""
        return None if self._folder is None else self._folder / key

    def keys(self, folder: str) -> list[str]:
        """Every key below a folder, sorted."""
        return [found.key for found in self.listed(folder)]

    def listed(self, folder: str) -> list[Listed]:
        """Every object below a folder, by key."""
        with self._named(folder):
            return sorted(
                (
                    Listed(str(found["path"]), found["size"], found["last_modified"])
                    for page in obstore.list(self._store, folder)
                    for found in page
                ),
                key=lambda found: found.key,
            )

    def folders(self, folder: str) -> list[str]:
        """The folders directly in a folder, sorted."""
        with self._named(folder):
            return sorted(obstore.list_with_delimiter(self._store, folder)["common_prefixes"])

    def delete(self, keys: Sequence[str]) -> None:
        """Delete these objects."""
        if keys:
            with self._named(keys[0]):
                obstore.delete(self._store, list(keys))

    def _blocks(self, key: str, blocks: Iterable[bytes]) -> Iterator[bytes]:
        with self._named(key):
            yield from blocks

    def _read_back(self, key: str) -> Written | None:
        blocks = self.stream(key)
        if blocks is None:
            return None
        read = Hashed(blocks)
        for _ in read:
            pass
        return read.result

    @contextmanager
    def _named(self, key: str) -> Iterator[None]:
        try:
            yield
        except (BaseError, OSError) as error:
            reason = str(error).partition("\n")[0].rstrip(".")
            raise LocationUnavailable(
                f"The backup location failed at {key!r}: {reason}.",
                f"Check {self._setting} and the rights to it.",
            ) from error


class Hashed:
    """Blocks that are counted and hashed as they pass; what broke them is kept.

    The client that uploads turns any error of its input into one of its own.
    """

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self.broken: Exception | None = None
        self._blocks = blocks
        self._sha256 = hashlib.sha256()
        self._size = 0

    def __iter__(self) -> Iterator[bytes]:
        try:
            for block in self._blocks:
                self._sha256.update(block)
                self._size += len(block)
                yield block
        except Exception as error:
            self.broken = error
            raise

    def parts(self, size: int) -> Iterator[bytes]:
        """The same in blocks of this size, the last one smaller."""
        waiting = bytearray()
        for block in self:
            waiting += block
            while len(waiting) >= size:
                yield bytes(waiting[:size])
                del waiting[:size]
        yield bytes(waiting)

    @property
    def result(self) -> Written:
        """Of what has passed so far."""
        return Written(self._size, self._sha256.hexdigest())


def _read(file: RawIOBase) -> Iterator[bytes]:
    with file:
        while block := file.read(BLOCK_BYTES):
            yield block


def _write(path: Path, blocks: Iterable[bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        for block in blocks:
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    _sync(path.parent)


def open_location(where: str, setting: str = SETTING) -> Location:
    """The location of this name.

    Args:
        where: a folder, created when it is missing, or "s3://bucket/prefix": credentials, region
            and endpoint come from the AWS_* environment variables or the instance's role; an
            endpoint without TLS wants AWS_ALLOW_HTTP=true. What is written there is encrypted
            with GREENLANG_BACKUP_KMS_KEY where that is set (SSE-KMS), else as the bucket says.
        setting: where the name stands, as errors tell it.

    Raises:
        UsageError: another kind of URL.
        LocationUnavailable: the folder cannot be created.
    """
    scheme, separator, _ = where.partition("://")
    if separator and scheme == "s3":
        config: S3Config = {"checksum_algorithm": "SHA256"}
        if (kms_key := get_settings().backup_kms_key) is not None:
            config |= {"server_side_encryption": "aws:kms", "sse_kms_key_id": kms_key}
        return Location(
            S3Store.from_url(
                where,
                config=config,
                retry_config={"retry_timeout": timedelta(seconds=RETRY_SECONDS)},
                client_options={
                    "timeout": timedelta(seconds=REQUEST_SECONDS),
                    "allow_http": os.environ.get("AWS_ALLOW_HTTP", "").lower() == "true",
                },
            ),
            setting=setting,
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
            f"Check {setting} and the rights to it.",
        ) from error
    return Location(LocalStore(folder, automatic_cleanup=True), folder, setting)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
