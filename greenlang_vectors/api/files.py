"""Files of a source folder: putting one in its place, reading it, taking it away.

Nothing here follows a symbolic link: every folder on the way is opened beneath the one before.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from uuid import uuid4

from greenlang_vectors.documents.media_types import MEDIA_TYPES
from greenlang_vectors.documents.source import (
    EVALUATION_FOLDER,
    FolderSource,
    ItemVanished,
    SourceItem,
    oversized,
    source_from_uri,
)
from greenlang_vectors.errors import ItemError, SourceUnavailable, UsageError

LONGEST_NAME = 500
BLOCK = 1 << 20


@dataclass
class Arriving:
    """A file that lies beside its place until `settle` puts it there.

    Attributes:
        file_hash: SHA-256 of the content.
        size: bytes.
    """

    file_hash: str
    size: int
    _folder: int
    _temporary: str
    _name: str

    def settle(self) -> None:
        """Give it its name, in one step; an older version is replaced.

        Raises:
            UsageError: something that is not a regular file stands in its place.
        """
        with suppress(FileNotFoundError):
            there = os.stat(self._name, dir_fd=self._folder, follow_symlinks=False)
            if not stat.S_ISREG(there.st_mode):
                raise UsageError("A folder or a link of this name is there already.")
        os.rename(self._temporary, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)


def folder_of(source_uri: str | None) -> FolderSource | None:
    """The folder documents come from; None where the source is no folder."""
    source = None if source_uri is None else source_from_uri(source_uri)
    return source if isinstance(source, FolderSource) else None


def safe_name(name: str) -> str:
    """The name as the key of a document, where an upload may have it.

    Words separated by "/" name folders; they are made. The ending says what the file is.

    Raises:
        UsageError: it leads out of the folder or into a part that is not read, has characters
            that some file system refuses, or an ending that is not read.
    """
    name = unicodedata.normalize("NFC", name)
    parts = name.split("/")
    if (
        len(name) > LONGEST_NAME
        or not all(_is_plain(part) for part in parts)
        or parts[0] == EVALUATION_FOLDER
    ):
        raise UsageError(
            "This cannot be the name of a document.",
            f"At most {LONGEST_NAME} printable characters; no part of it begins with a dot, begins"
            r' or ends with a blank, or has one of \ : * ? " < > |.',
        )
    suffix = PurePosixPath(name).suffix.lower()
    if not suffix or suffix not in MEDIA_TYPES:
        known = ", ".join(sorted(filter(None, MEDIA_TYPES)))
        raise UsageError("The name must end with a type that is read.", f"One of {known}.")
    return name


@contextmanager
def arriving(
    folder: FolderSource, name: str, content: BinaryIO, max_bytes: int
) -> Iterator[Arriving]:
    """Write the content beside its place; without `settle` nothing of it stays.

    Args:
        name: see `safe_name`.

    Raises:
        UsageError: it is too large, or a link or a file stands where a folder is needed.
        SourceUnavailable: the folder cannot be written.
    """
    temporary = f".upload-{uuid4().hex}"
    try:
        with _parent(folder.root, name, make=True) as (parent, last):
            try:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
                with os.fdopen(os.open(temporary, flags, 0o644, dir_fd=parent), "wb") as file:
                    file_hash, size = _copy(content, file, max_bytes)
                    file.flush()
                    os.fsync(file.fileno())
                yield Arriving(file_hash, size, parent, temporary, last)
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(temporary, dir_fd=parent)
    except OSError as error:
        raise _unavailable(error) from error


def delete(folder: FolderSource, key: str) -> bool:
    """Take a document's file away; False if there is none.

    Raises:
        UsageError: a link or a file stands where the key has a folder.
        SourceUnavailable: the file cannot be removed.
    """
    if not _names_a_file(key):
        return False
    try:
        with _parent(folder.root, key, make=False) as (parent, last):
            os.unlink(last, dir_fd=parent)
    except (FileNotFoundError, IsADirectoryError):
        return False
    except OSError as error:
        raise _unavailable(error) from error
    return True


def read(folder: FolderSource, key: str, max_bytes: int) -> bytes | None:
    """The bytes of a document's file; None where it cannot be had."""
    if not _names_a_file(key):
        return None
    with suppress(ItemVanished, ItemError):
        return folder.read(SourceItem(key, 0, ""), max_bytes).data
    return None


def media_type(key: str) -> str:
    """What the file's ending claims; text where it claims nothing."""
    return MEDIA_TYPES.get(PurePosixPath(key).suffix.lower(), "text/plain")


@contextmanager
def _parent(root: Path, name: str, *, make: bool) -> Iterator[tuple[int, str]]:
    """The open folder that holds the file of this name, and the file's own name."""
    *folders, last = name.split("/")
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in folders:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(part, dir_fd=descriptor)
            try:
                flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
                inner = os.open(part, flags, dir_fd=descriptor)
            except OSError as error:
                if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                    raise
                raise UsageError(f"{part!r} is a file or a link, not a folder.") from None
            os.close(descriptor)
            descriptor = inner
        yield descriptor, last
    finally:
        os.close(descriptor)


def _copy(content: BinaryIO, file: BinaryIO, max_bytes: int) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    while block := content.read(BLOCK):
        size += len(block)
        if size > max_bytes:
            error = oversized(size, max_bytes)
            raise UsageError(error.message, error.remedy)
        digest.update(block)
        file.write(block)
    return digest.hexdigest(), size


def _is_plain(part: str) -> bool:
    return (
        part.isprintable()
        and _fits(part)
        and not part.startswith(".")
        and part == part.strip()
        and not set('\\:*?"<>|') & set(part)
    )


def _names_a_file(key: str) -> bool:
    """Whether a source folder may hold a file of this key, written as it is."""
    return (
        "\x00" not in key
        and "\\" not in key
        and all(_fits(part) and not part.startswith(".") for part in key.split("/"))
        and len(key.encode()) < 4096
    )


def _fits(part: str) -> bool:
    """Whether a folder entry can be as long as this; 255 bytes, as on Linux."""
    return 0 < len(part.encode()) <= 255


def _unavailable(error: OSError) -> SourceUnavailable:
    return SourceUnavailable(
        f"The source folder cannot be changed ({error.strerror}).",
        "Check that the service may write to it, and the space on its disk.",
    )
