"""A corpus file with one JSON object a line."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from greenlang_vectors.documents.sources.model import (
    ItemVanished,
    RawDocument,
    SourceItem,
    oversized,
)
from greenlang_vectors.errors import ExtractionError, SourceUnavailable


class JsonlSource:
    """A corpus file with one JSON object a line: `_id`, `text` and, if any, `title`.

    The layout of the BEIR collections (Thakur et al. 2021). Keys are the `_id`s. A line that is no
    such object, or repeats an `_id`, is listed as "line N" and refused when read.
    Memory grows with the number of lines, not with their length.
    """

    tells_content = False

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
