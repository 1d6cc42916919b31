"""Rows as Parquet and back, bit by bit: any Parquet reader understands the columns."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Sequence
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from greenlang_vectors.store.archived import StoredRow

_VECTOR_HEADER = struct.Struct("!HH")
_MOMENT = pa.timestamp("us", "UTC")


def schema(dimensions: int) -> pa.Schema:
    """The columns of a part: those of the row, the vector as so many float32."""
    return pa.schema(
        {
            "id": pa.uuid(),
            "source_type": pa.string(),
            "source_id": pa.uuid(),
            "chunk_index": pa.int32(),
            "content_hash": pa.string(),
            "content_preview": pa.string(),
            "embedding": pa.list_(pa.float32(), dimensions),
            "embedding_fingerprint": pa.string(),
            "metadata": pa.string(),
            "created_at": _MOMENT,
            "updated_at": _MOMENT,
        }
    )


class PartWriter:
    """Collects pages of rows, each a row group, into one Parquet file in memory."""

    def __init__(self, dimensions: int) -> None:
        self.rows = 0
        self._dimensions = dimensions
        self._file = io.BytesIO()
        self._parquet = pq.ParquetWriter(
            self._file, schema(dimensions), compression="zstd", use_dictionary=False
        )

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self._file.tell()

    def add(self, rows: Sequence[StoredRow]) -> None:
        """Append a page."""
        self._parquet.write_batch(_encode(rows, self._dimensions))
        self.rows += len(rows)

    def finish(self) -> bytes:
        """The file."""
        self._parquet.close()
        return self._file.getvalue()


def read(data: bytes) -> Iterator[list[StoredRow]]:
    """The pages of a part.

    Raises:
        pyarrow.ArrowException: it is not such a part.
    """
    part = pq.ParquetFile(io.BytesIO(data))
    for group in range(part.num_row_groups):
        for batch in part.read_row_group(group).to_batches():
            yield _decode(batch)


def _encode(rows: Sequence[StoredRow], dimensions: int) -> pa.RecordBatch:
    columns = dict(zip(StoredRow._fields, zip(*rows, strict=True), strict=True))
    floats = b"".join(vector[_VECTOR_HEADER.size :] for vector in columns["embedding"])
    arrays = {
        **columns,
        "id": _uuids(columns["id"]),
        "source_id": _uuids(columns["source_id"]),
        "embedding": pa.FixedSizeListArray.from_arrays(
            pa.array(np.frombuffer(floats, ">f4").astype("<f4")), dimensions
        ),
    }
    fields = schema(dimensions)
    return pa.RecordBatch.from_arrays(
        [
            array if isinstance(array, pa.Array) else pa.array(array, field.type)
            for field, array in ((field, arrays[field.name]) for field in fields)
        ],
        schema=fields,
    )


def _uuids(values: Sequence[UUID]) -> pa.Array:
    stored = pa.array([value.bytes for value in values], pa.binary(16))
    return pa.ExtensionArray.from_storage(pa.uuid(), stored)


def _decode(batch: pa.RecordBatch) -> list[StoredRow]:
    columns = {name: batch.column(name) for name in StoredRow._fields}
    dimensions = columns["embedding"].type.list_size
    header, width = _VECTOR_HEADER.pack(dimensions, 0), 4 * dimensions
    floats = columns["embedding"].flatten().to_numpy().astype(">f4").tobytes()
    vectors = [header + floats[i : i + width] for i in range(0, len(floats), width)]
    values = [
        vectors if name == "embedding" else array.to_pylist() for name, array in columns.items()
    ]
    return [StoredRow(*row) for row in zip(*values, strict=True)]
