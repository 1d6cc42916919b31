"""Where documents come from: the interface of a source, local folders, and JSON-lines corpora.

A source is listed whole or not at all: a listing that fails raises `SourceUnavailable`, so that
nothing is ever deleted because something could not be read.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from greenlang_vectors.errors import ExtractionError, SourceUnavailable, UsageError

EVALUATION_FOLDER = "_evaluation"
"""Held-back questions and judgements at the top of a folder: not documents."""


@dataclass(frozen=True, slots=True)
class SourceItem:
    """One entry of a listing.

    Attributes:
        key: the item's name within its source, storable as PostgreSQL text; for a folder its
            POSIX path, with bytes that are not UTF-8 written as `\\xNN`.
        size: bytes.
        fingerprint: changes when the item changes.
    """

    key: str
    size: int
    fingerprint: str


@dataclass(frozen=True, slots=True)
class RawDocument:
    """An item as it was read.

    Attributes:
        data: the bytes.
        name: file name, whose ending says what the file claims to be.
        title: what the source calls the document, where it says so.
        media_type: the type, where the source is certain of it; otherwise it is sniffed.
    """

    data: bytes
    name: str
    title: str | None = None
    media_type: str | None = None


class ItemVanished(Exception):
    """The item was listed and is gone or changed: skip it, the next listing tells."""


class Source(Protocol):
    """A place documents come from."""

    @property
    def uri(self) -> str:
        """Names the source; the same source always has the same."""

    def list(self) -> list[SourceItem]:
        """All items, sorted by key.

        Raises:
            SourceUnavailable: anything at all could not be listed.
        """

    def read(self, item: SourceItem, max_bytes: int) -> RawDocument:
        """One listed item.

        Raises:
            ItemVanished: it is no longer what was listed.
            ExtractionError: "oversized" above `max_bytes` (found out without reading it all),
                "unreadable" or another reason why this item cannot be had.
        """


def listing_fingerprint(items: Iterable[SourceItem]) -> str:
    """SHA-256 over keys and fingerprints: equal for equal listings."""
    digest = hashlib.sha256()
    for item in items:
        digest.update(f"{len(item.key)} {item.key} {item.fingerprint}\n".encode())
    return digest.hexdigest()


def oversized(size: int, max_bytes: int) -> ExtractionError:
    """The error of an item of more than `max_bytes`."""
    return ExtractionError(
        "oversized",
        f"It has {size:,} bytes or more, over the limit of {max_bytes:,}.",
        "Split it, or raise GREENLANG_MAX_DOCUMENT_BYTES.",
    )


class FolderSource:
    """All files below a folder.

    Left out: names beginning with "." and the folder `_evaluation` at the top. Symbolic links to
    files inside the folder are read. Links that lead out of it, links to folders (which could
    loop) and anything that is not a regular file are listed, and refused when read: each becomes
    a dead letter instead of being passed over in silence.

    Args:
        root: the folder; may itself be a link.
    """

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


class JsonlSource:
    """A corpus file with one JSON object a line: `_id`, `text` and, if any, `title`.

    The layout of the BEIR collections (Thakur et al. 2021). Keys are the `_id`s. A line that is no
    such object, or repeats an `_id`, is listed as "line N" and refused when read.
    Memory grows with the number of lines, not with their length.
    """

    LONGEST_LINE = 64 * 1024 * 1024
    """Bytes; what exceeds it is refused without being held."""

    def __init__(self, path: Path) -> None:
        self._file = Path(os.path.realpath(path))
        self._places: dict[str, tuple[int, int]] = {}

    @property
    def uri(self) -> str:
        """The file as a `file://` URI."""
        return self._file.as_uri()

    def list(self) -> list[SourceItem]:
        """See `Source.list`."""
        items: list[SourceItem] = []
        places: dict[str, tuple[int, int]] = {}
        try:
            for number, (offset, line) in enumerate(self._lines(), start=1):
                if not line.strip():
                    continue
                try:
                    key = _record(line, self.LONGEST_LINE).id
                except ExtractionError:
                    key = ""
                if not key or key in places:
                    key = f"line {number}"
                places[key] = (offset, len(line))
                fingerprint = hashlib.sha256(line).hexdigest()[:32]
                items.append(SourceItem(key=key, size=len(line), fingerprint=fingerprint))
        except OSError as error:
            raise SourceUnavailable(
                f"The corpus {self._file} cannot be read ({error.strerror}).",
                "Nothing was changed; make it readable and run again.",
            ) from error
        self._places = places
        return sorted(items, key=lambda item: item.key)

    def read(self, item: SourceItem, max_bytes: int) -> RawDocument:
        """See `Source.read`."""
        if item.key not in self._places:
            self.list()
        if item.key not in self._places:
            raise ItemVanished(item.key)
        if item.size > max_bytes:
            raise oversized(item.size, max_bytes)
        offset, length = self._places[item.key]
        try:
            with self._file.open("rb") as file:
                file.seek(offset)
                line = file.read(length)
        except OSError as error:
            raise ItemVanished(item.key) from error
        if hashlib.sha256(line).hexdigest()[:32] != item.fingerprint:
            raise ItemVanished(item.key)
        record = _record(line, self.LONGEST_LINE)
        if record.id != item.key:
            raise ExtractionError(
                "duplicate",
                f"An earlier line has the same _id {record.id!r}.",
                "Give every line an _id of its own.",
            )
        title, text = (record.title or "").strip(), record.text
        if title and not " ".join(text.split()).startswith(" ".join(title.split())):
            text = f"{title}\n\n{text}"
        return RawDocument(
            data=text.encode(),
            name=item.key,
            title=title or None,
            media_type="text/plain",
        )

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        """Each line with its offset; of a line that is too long, what exceeds the limit is cut."""
        limit = self.LONGEST_LINE + 1
        with self._file.open("rb") as file:
            offset = 0
            while line := file.readline(limit):
                rest = line
                end = offset + len(line)
                while len(rest) == limit and not rest.endswith(b"\n"):
                    rest = file.readline(limit)
                    end += len(rest)
                yield offset, line
                offset = end


class _Record(BaseModel):
    model_config = ConfigDict(coerce_numbers_to_str=True)

    id: str = Field(alias="_id", min_length=1, pattern=r"^[^\x00]+$")
    title: str | None = None
    text: str


def _record(line: bytes, longest: int) -> _Record:
    """One line of a corpus file."""
    if len(line) > longest:
        raise oversized(len(line), longest)
    try:
        return _Record.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ExtractionError(
            "damaged",
            f"The line is no JSON object with _id and text ({place}: {first['msg']}).",
            'Write one object a line: {"_id": "…", "title": "…", "text": "…"}.',
        ) from error


def source_from_uri(uri: str) -> Source:
    """The source that `uri` names: `file:///folder` or a path; `….jsonl` is a corpus file.

    Raises:
        UsageError: the URI is of a kind that is not supported.
    """
    parts = urlsplit(uri)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        path = Path(unquote(parts.path, errors="surrogateescape"))
    elif "://" not in uri and uri:
        path = Path(uri)
    else:
        raise UsageError(f"The source {uri!r} is not supported.", "Give a folder or a .jsonl file.")
    return JsonlSource(path) if path.suffix == ".jsonl" else FolderSource(path)


def evaluation_folder(uri: str) -> Path | None:
    """Where a source keeps its held-back questions and judgements; None if it has none.

    Raises:
        UsageError: the URI is of a kind that is not supported.
    """
    source = source_from_uri(uri)
    if not isinstance(source, FolderSource):
        return None
    folder = source.root / EVALUATION_FOLDER
    return folder if folder.is_dir() else None
