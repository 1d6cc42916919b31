"""All files below a local folder."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from greenlang_vectors.documents.sources.model import (
    EVALUATION_FOLDER,
    ItemVanished,
    RawDocument,
    SourceItem,
    oversized,
)
from greenlang_vectors.errors import ExtractionError, SourceUnavailable


class FolderSource:
    """All files below a folder.

    Left out: names beginning with "." and the folder `_evaluation` at the top. Symbolic links to
    files inside the folder are read. Links that lead out of it, links to folders (which could
    loop) and anything that is not a regular file are listed, and refused when read: each becomes
    a dead letter instead of being passed over in silence.

    Args:
        root: the folder; may itself be a link.
    """

    tells_content = False

    def __init__(self, root: Path) -> None:
        self.root = Path(os.path.realpath(root))

    @property
    def uri(self) -> str:
        """The folder as a `file://` URI."""
        return self.root.as_uri()

    def list(self) -> list[SourceItem]:
        """See `Source.list`."""
        items: list[SourceItem] = []
        folders = [""]
        while folders:
            prefix = folders.pop()
            try:
                with os.scandir(self.root / prefix) as entries:
                    for entry in entries:
                        path = prefix + entry.name
                        if entry.name.startswith(".") or path == EVALUATION_FOLDER:
                            continue
                        if entry.is_dir(follow_symlinks=False):
                            folders.append(path + "/")
                        elif (item := _listed(entry, path)) is not None:
                            items.append(item)
            except OSError as error:
                raise SourceUnavailable(
                    f"The folder {error.filename or self.root} cannot be listed "
                    f"({error.strerror}).",
                    "Nothing was changed; make it readable and run again.",
                ) from error
        return sorted(items, key=lambda item: item.key)

    def read(self, item: SourceItem, max_bytes: int) -> RawDocument:
        """See `Source.read`. Never waits for a pipe or a device."""
        path = self.root / _path(item.key)
        try:
            data = self._read(path, max_bytes)
        except OSError as error:
            if isinstance(error, FileNotFoundError | NotADirectoryError) and not path.is_symlink():
                raise ItemVanished(item.key) from error
            raise ExtractionError(
                "unreadable",
                f"It cannot be read ({error.strerror}).",
                "Check the file, its permissions and the disk it lies on.",
            ) from error
        return RawDocument(data=data, name=item.key.rpartition("/")[2])

    def _read(self, path: Path, max_bytes: int) -> bytes:
        real = Path(os.path.realpath(path, strict=True))
        if not real.is_relative_to(self.root):
            raise ExtractionError(
                "unreadable",
                "It is a link that leads out of the folder.",
                "Put the file itself into the folder.",
            )
        if not stat.S_ISREG(real.stat().st_mode):
            raise ExtractionError(
                "unreadable",
                "It is not a regular file (a link to a folder, a pipe, a socket or a device).",
                "Put the files themselves into the folder.",
            )
        descriptor = os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "rb") as file:
            size = os.fstat(descriptor).st_size
            if size > max_bytes:
                raise oversized(size, max_bytes)
            data = file.read(max_bytes + 1)
        if len(data) > max_bytes:
            raise oversized(len(data), max_bytes)
        return data


def _listed(entry: os.DirEntry[str], path: str) -> SourceItem | None:
    try:
        status = entry.stat()
    except OSError as error:
        if entry.is_symlink():
            status = entry.stat(follow_symlinks=False)
        elif isinstance(error, FileNotFoundError):
            return None
        else:
            raise
    # The time of the last status change too: a file made readable again must be read again.
    fingerprint = f"{status.st_size}-{status.st_mtime_ns}-{status.st_ctime_ns}"
    return SourceItem(key=_key(path), size=status.st_size, fingerprint=fingerprint)


def _key(path: str) -> str:
    """`path` with bytes that are not UTF-8 as `\\xNN`; `_path` is the inverse."""
    escaped = re.sub(r"\\(?=x[0-9a-f]{2})", r"\\x5c", path)
    return escaped.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _path(key: str) -> str:
    def byte(match: re.Match[str]) -> str:
        return os.fsdecode(bytes.fromhex(match[1]))

    return re.sub(r"\\x([0-9a-f]{2})", byte, key)
