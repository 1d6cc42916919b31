"""Objects out of the Parquet files that a Weaviate server exports, as its pages would give them.

A row holds an object as the server stores it. Vectors without a name are little-endian float32;
those with one are JSON, as the properties are. JSON knows one kind of number, and the server writes
5 for 5.0: the schema tells what each is.

Source: the server's `usecases/export/parquet_writer.go` (ParquetRow) and
`entities/storobj` (ExportFieldsFromBinary), 1.37.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from greenlang_vectors.documents.model import JSON
from greenlang_vectors.errors import GreenLangError
from greenlang_vectors.lifecycle.location import Location
from greenlang_vectors.migration.mapping import Mapper
from greenlang_vectors.migration.objects import WeaviateObject
from greenlang_vectors.migration.schema import BEACON, REFERENCE, PropertyInfo

BLOCK_BYTES = 4 * 2**20
"""Read at once of a column: older servers write a file of millions of rows as one row group."""

UNSET = "Unset GREENLANG_WEAVIATE_EXPORT_BACKEND to have the backfill read pages in its place."

_COLUMNS = ("id", "update_time", "vector", "named_vectors", "multi_vectors", "properties")
_PHONE: dict[str, JSON] = {
    "input": "",
    "internationalFormatted": "",
    "nationalFormatted": "",
    "defaultCountry": "",
    "countryCode": 0,
    "national": 0,
    "valid": False,
}
"""What the server leaves out of a phone number, as its pages have it."""

# All numbers of JSON come as float64, as the server reads them, and -0 is none of Python's ints.
_parse = json.JSONDecoder(parse_int=float).decode


class ExportUnreadable(GreenLangError):
    """A file of an export is not there, or is not what a Weaviate server writes."""

    def __init__(self, message: str) -> None:
        super().__init__(message, f"Check GREENLANG_WEAVIATE_EXPORT_LOCATION. {UNSET}")


class ExportedFile:
    """One file of an export: objects of one shard, in the order of their ids.

    Args:
        key: in the location.

    Raises:
        ExportUnreadable: it is no such file.
        LocationUnavailable: it cannot be read.
    """

    def __init__(self, location: Location, key: str) -> None:
        self.key = key
        try:
            self._file = pq.ParquetFile(
                _Ranged(location, key), buffer_size=BLOCK_BYTES, pre_buffer=False
            )
        except (pa.ArrowException, OSError) as error:
            raise ExportUnreadable(f"{key} is no Parquet file.") from error
        if missing := set(_COLUMNS) - set(self._file.schema_arrow.names):
            raise ExportUnreadable(f"{key} has no column {min(missing)}.")

    @property
    def rows(self) -> int:
        """How many objects it holds."""
        return int(self._file.metadata.num_rows)

    def bounds(self) -> tuple[UUID, UUID]:
        """The ids of its first and its last object; there is one at least."""
        groups = (0, self._file.num_row_groups - 1)
        first, last = (self._file.read_row_group(each, columns=["id"])["id"] for each in groups)
        return UUID(first[0].as_py()), UUID(last[-1].as_py())

    def pages(
        self, mapper: Mapper, tenant: str, *, skip: int, size: int
    ) -> Iterator[list[WeaviateObject]]:
        """Its objects, so many at once, with what the mapper asks of each.

        Args:
            skip: objects that are left out at the beginning.

        Raises:
            ExportUnreadable, LocationUnavailable: it cannot be read to its end.
        """
        read = _Rows(mapper, tenant)
        group = 0
        while group < self._file.num_row_groups:
            rows = self._file.metadata.row_group(group).num_rows
            if skip < rows:
                break
            skip, group = skip - rows, group + 1
        try:
            for batch in self._file.iter_batches(
                size,
                row_groups=range(group, self._file.num_row_groups),
                columns=read.columns,
                use_threads=False,
            ):
                left = batch.slice(min(skip, batch.num_rows))
                skip -= batch.num_rows - left.num_rows
                if left.num_rows:
                    yield read.objects(left)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise ExportUnreadable(f"{self.key} is damaged ({type(error).__name__}).") from error


class _Ranged(io.RawIOBase):
    """An object of a location, of which only what is asked for is read.

    Args:
        key: the object's.
    """

    def __init__(self, location: Location, key: str) -> None:
        super().__init__()
        size = location.size(key)
        if size is None:
            raise ExportUnreadable(f"{key} is not there.")
        self._location, self._key, self._size = location, key, size
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        self._place = start + offset
        return self._place

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - a writable buffer
        length = min(len(buffer), self._size - self._place)
        if length > 0:
            buffer[:length] = self._location.part(self._key, self._place, length)
            self._place += length
        return max(length, 0)


class _Rows:
    """Rows as objects, with what a mapper asks for."""

    def __init__(self, mapper: Mapper, tenant: str) -> None:
        self._tenant, self._vectors = tenant, mapper.vectors
        self._known = [
            mapper.info.properties[name]
            for name in mapper.properties
            if name in mapper.info.properties
        ]
        vectors = ["vector"] if None in mapper.vectors else []
        if set(mapper.vectors) - {None}:
            vectors += ["named_vectors", "multi_vectors"]
        self.columns = ["id", "update_time", "properties", *vectors]

    def objects(self, batch: pa.RecordBatch) -> list[WeaviateObject]:
        """The objects of a batch of rows."""
        columns = {name: batch.column(name).to_pylist() for name in self.columns}
        nothing = [None] * batch.num_rows
        return [
            WeaviateObject(
                UUID(identity),
                self._tenant,
                self._properties(properties),
                self._found(vector, named, multi),
                updated,
            )
            for identity, updated, properties, vector, named, multi in zip(
                columns["id"],
                columns["update_time"],
                columns["properties"],
                columns.get("vector", nothing),
                columns.get("named_vectors", nothing),
                columns.get("multi_vectors", nothing),
                strict=True,
            )
        ]

    def _properties(self, stored: bytes | None) -> dict[str, JSON]:
        found = {} if stored is None else _parse(stored.decode())
        return _fields(found, self._known, all_of_them=True)

    def _found(
        self, vector: bytes | None, named: bytes | None, multi: bytes | None
    ) -> dict[str | None, NDArray[np.float32]]:
        by_name: dict[str | None, NDArray[np.float32]] = {}
        if vector:
            by_name[None] = np.frombuffer(vector, "<f4")
        for encoded in (named, multi):
            if encoded:
                for name, numbers in json.loads(encoded, parse_int=float).items():
                    if name in self._vectors:
                        by_name[name] = np.array(numbers, np.float32)
        return by_name


def _fields(
    found: Mapping[str, JSON], known: Iterable[PropertyInfo], *, all_of_them: bool
) -> dict[str, JSON]:
    """Properties by name; those that are missing as None, if all of them are wanted."""
    properties: dict[str, JSON] = {}
    for each in known:
        value = found.get(each.name)
        if value is not None:
            properties[each.name] = _value(value, each)
        elif all_of_them and each.data_type != REFERENCE:
            properties[each.name] = None
    return properties


def _value(value: Any, known: PropertyInfo) -> JSON:  # noqa: ANN401 - what JSON holds
    kind = known.data_type
    if kind.endswith("[]"):
        read = _READ.get(kind.removesuffix("[]"))
        return [read(each, known) for each in value] if read else list(value)
    read = _READ.get(kind)
    found: JSON = read(value, known) if read else value
    return found


def _geo(value: Any, _known: PropertyInfo) -> JSON:  # noqa: ANN401
    return {name: float(value.get(name, 0)) for name in ("latitude", "longitude")}


def _phone(value: Any, _known: PropertyInfo) -> JSON:  # noqa: ANN401
    whole: dict[str, Any] = {name: value.get(name, lacked) for name, lacked in _PHONE.items()}
    return whole | {name: int(whole[name]) for name in ("countryCode", "national")}


def _beacons(value: Any, known: PropertyInfo) -> JSON:  # noqa: ANN401
    """References as `wire` reads them; an old one lacks its collection."""
    paths = [each["beacon"].removeprefix(BEACON) for each in value]
    return [BEACON + (path if "/" in path else f"{known.targets[0]}/{path}") for path in paths]


_READ: dict[str, Callable[[Any, PropertyInfo], JSON]] = {
    "int": lambda value, _: int(value),
    "number": lambda value, _: float(value),
    "geoCoordinates": _geo,
    "phoneNumber": _phone,
    "object": lambda value, known: _fields(value, known.nested.values(), all_of_them=False),
    REFERENCE: _beacons,
}
"""What JSON does not tell: text, uuid, date, blob and boolean are what they are."""
