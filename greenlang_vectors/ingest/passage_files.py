"""Files of ready-made passages: a JSON object a line, or Parquet; with vectors, or without."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from greenlang_vectors.documents.direct import MAX_SOURCE_TYPE
from greenlang_vectors.errors import ItemError, UsageError, said
from greenlang_vectors.store.documents import SOURCE_TYPE

LONGEST_LINE = 64 * 2**20
"""Bytes; what exceeds it is refused without being held."""

PARQUET_ROWS = 1000
"""Rows that are decoded at once."""

EMBEDDING = "embedding"


class Passage(BaseModel):
    """One row: a passage of a document, in the order of the file.

    Attributes:
        source_id: the key of the document; its rows stand together.
        heading_path: headings above it, outermost first.
        page: the page it begins on, counted from 1.
    """

    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True)

    source_id: str = Field(min_length=1, max_length=1024)
    content: str
    source_type: str = Field(default=SOURCE_TYPE, min_length=1, max_length=MAX_SOURCE_TYPE)
    title: str | None = None
    heading_path: tuple[str, ...] = ()
    page: int | None = Field(default=None, ge=1, le=2**31 - 1)
    metadata: dict[str, Any] = Field(default_factory=dict)

    @field_validator("content")
    @classmethod
    def _has_text(cls, content: str) -> str:
        content = content.replace("\x00", "")
        if not content.strip():
            raise ValueError("it is empty")
        return content

    @field_validator("metadata", mode="before")
    @classmethod
    def _as_object(cls, value: object) -> object:
        """Parquet has objects as JSON, as pairs of a map, or with fields that are null."""
        if isinstance(value, str):
            value = json.loads(value)
        if isinstance(value, list) and all(isinstance(pair, tuple) for pair in value):
            value = dict(value)
        if isinstance(value, Mapping):
            return {key: each for key, each in value.items() if each is not None}
        return value

    @field_validator("heading_path", mode="before")
    @classmethod
    def _as_list(cls, value: object) -> object:
        return () if value is None else value


COLUMNS = frozenset({*Passage.model_fields, EMBEDDING})


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """A row of a file, as far as it could be read.

    Attributes:
        item: names the row and its file, for dead letters.
        place: how far the file has been read with it, in the file's units.
        passage, error: the one or the other.
        vector: as it stands there; None where the row has none.
    """

    item: str
    place: int
    passage: Passage | None = None
    vector: NDArray[np.float32] | None = None
    error: ItemError | None = None


class PassageFile:
    """A file of passages.

    Args:
        path: it ends with .jsonl or .parquet.

    Attributes:
        path: it, from the root on.
        ending: with which the name of each of its rows ends.
        total, unit: how long it is, for progress.
        ignored: columns that mean nothing here, as far as it was read.

    Raises:
        UsageError: there is no such file, or it is of another kind.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        if not self.path.is_file() or path.suffix not in {".jsonl", ".parquet"}:
            raise UsageError(f"{str(path)!r} is no file of passages.", "Give a .jsonl or .parquet.")
        self.ending = f" of {self.path}"
        self.ignored: set[str] = set()
        if path.suffix == ".jsonl":
            self.total, self.unit = self.path.stat().st_size // 1024, "KiB"
        else:
            with self._readable(), self._parquet() as file:
                self.total, self.unit = file.metadata.num_rows, "rows"

    def rows(self) -> Iterator[Row]:
        """Every row that is not blank, in order.

        Raises:
            UsageError: the file cannot be read on.
        """
        with self._readable():
            yield from self._lines() if self.unit == "KiB" else self._records()

    def _lines(self) -> Iterator[Row]:
        read = 0
        with self.path.open("rb") as file:
            number = 0
            while line := file.readline(LONGEST_LINE + 1):
                number += 1
                read += len(line)
                long = len(line) > LONGEST_LINE
                while long and not line.endswith(b"\n") and (line := file.readline(LONGEST_LINE)):
                    read += len(line)
                item = f"line {number}{self.ending}"
                if long:
                    yield Row(item, read // 1024, error=_damaged("the line is too long"))
                elif line.strip():
                    yield self._row(item, read // 1024, line)

    def _row(self, item: str, place: int, line: bytes) -> Row:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            return Row(item, place, error=_damaged(f"it is no JSON ({error})"))
        if not isinstance(record, dict):
            return Row(item, place, error=_damaged("it is no JSON object"))
        return self._parsed(item, place, record, record.pop(EMBEDDING, None))

    def _records(self) -> Iterator[Row]:
        number = 0
        with self._parquet() as file:
            for batch in file.iter_batches(PARQUET_ROWS):
                columns = [name for name in batch.schema.names if name != EMBEDDING]
                vectors = (
                    batch.column(EMBEDDING).to_numpy(zero_copy_only=False)
                    if EMBEDDING in batch.schema.names
                    else [None] * batch.num_rows
                )
                records = batch.select(columns).to_pylist()
                for record, vector in zip(records, vectors, strict=True):
                    number += 1
                    filled = {key: value for key, value in record.items() if value is not None}
                    yield self._parsed(f"row {number}{self.ending}", number, filled, vector)

    def _parsed(self, item: str, place: int, record: dict[str, Any], vector: object) -> Row:
        self.ignored |= record.keys() - COLUMNS
        try:
            passage = Passage.model_validate(record)
            _storable(passage)
            return Row(item, place, passage, None if vector is None else _numbers(vector))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            return Row(item, place, error=_damaged(f"{where}: {first['msg']}"))
        except (ValueError, TypeError, RecursionError) as error:
            return Row(item, place, error=_damaged(str(error)))

    def _parquet(self) -> Any:  # noqa: ANN401 - pyarrow carries no types
        import pyarrow.parquet as pq  # noqa: PLC0415 - loads slowly

        return pq.ParquetFile(self.path)

    @contextmanager
    def _readable(self) -> Iterator[None]:
        import pyarrow as pa  # noqa: PLC0415

        try:
            yield
        except (OSError, pa.ArrowException) as error:
            raise UsageError(
                f"{str(self.path)!r} cannot be read: {said(error)}.",
                "What came before is stored; mend the file and import it again.",
            ) from error


def _storable(passage: Passage) -> None:
    """Refuse what PostgreSQL cannot hold: NUL, lone surrogates, numbers that are none."""
    written = json.dumps(passage.model_dump(), allow_nan=False, ensure_ascii=False)
    written.encode()
    if "\\u0000" in written:
        raise ValueError("it holds NUL")


def _numbers(vector: object) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        made = np.asarray(vector, dtype=np.float32)
    if made.ndim != 1 or not len(made):
        raise ValueError("embedding: it is no list of numbers")
    return made


def _damaged(what: str) -> ItemError:
    return ItemError(
        "damaged",
        f"The row is no passage: {what}.",
        "Give each row a source_id and a content; docs/sources.md has the columns.",
    )
