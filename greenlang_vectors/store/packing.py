"""Rows as PostgreSQL's binary COPY format, packed with numpy.

Everything of one length (keys, hashes, vectors, what a batch has in common) is laid out for all
rows at once; only texts and metadata are joined row by row. Format: PostgreSQL documentation,
"COPY", section "Binary Format"; a vector is two 16-bit integers (dimensions, 0) and big-endian
float32 (pgvector, `vector_send`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from struct import Struct
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
from numpy.typing import NDArray

if TYPE_CHECKING:
    from greenlang_vectors.store.leaves import Leaf
    from greenlang_vectors.store.writing import EmbeddingRow

COLUMNS = (
    "id",
    "source_id",
    "chunk_index",
    "cell",
    "content_hash",
    "embedding",
    "segment",
    "embedding_model",
    "embedding_fingerprint",
    "namespace",
    "source_type",
    "content_preview",
    "metadata",
)
"""The columns of a packed row, in their order."""

BLOCK_ROWS = 64
"""Rows to pack at once. A block of 384 dimensions fits into a socket's buffer (208 KiB on Linux):
the server works on it while the next one is packed."""

HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
TRAILER = b"\xff\xff"
_NULL = b"\xff\xff\xff\xff"
_JSONB_VERSION = b"\x01"
_length = Struct("!i").pack
_standard_json = json.JSONEncoder(ensure_ascii=False).encode
_JSON_OPTIONS = orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_PASSTHROUGH_DATETIME


class BatchConstants:
    """What all rows of a batch have in common, and the layout that follows from it."""

    def __init__(self, leaf: Leaf, fingerprint: str, segment: int) -> None:
        self.fingerprint = fingerprint
        self._dimensions = leaf.dimensions
        self._values: dict[str, int | bytes] = {
            "segment": segment,
            "model": leaf.model.encode(),
            "fingerprint": fingerprint.encode(),
            "namespace": leaf.namespace.encode(),
        }
        fields: list[tuple[str, str] | tuple[str, str, int]] = [("columns", ">i2")]
        for name, kind in {
            "id": "V16",
            "source_id": "V16",
            "chunk_index": ">i4",
            "cell": ">i2",
            "content_hash": "S64",
        }.items():
            fields += [(f"{name}_length", ">i4"), (name, kind)]
        fields += [
            ("vector_length", ">i4"),
            ("dimensions", ">i2"),
            ("unused", ">i2"),
            ("vector", ">f4", leaf.dimensions),
        ]
        for name, value in self._values.items():
            kind = ">i4" if isinstance(value, int) else f"S{len(value)}"
            fields += [(f"{name}_length", ">i4"), (name, kind)]
        self.layout = np.dtype(fields)

    def table(self, rows: int) -> NDArray[Any]:
        """Rows with everything filled in that they have in common."""
        table = np.zeros(rows, dtype=self.layout)
        table["columns"] = len(COLUMNS)
        table["dimensions"] = self._dimensions
        table["vector_length"] = 4 + 4 * self._dimensions
        for name in ("id", "source_id", "chunk_index", "cell", "content_hash", *self._values):
            table[f"{name}_length"] = self.layout[name].itemsize
        for name, value in self._values.items():
            table[name] = value
        return table


def pack(
    rows: Sequence[EmbeddingRow],
    metadata: Sequence[Mapping[str, object] | None],
    ids: NDArray[np.void],
    vectors: NDArray[np.float32],
    cells: NDArray[np.int16] | int,
    constants: BatchConstants,
) -> bytes:
    """The rows, to stand between HEADER and TRAILER; BLOCK_ROWS at once are a good number.

    Args:
        metadata: of each row; None for none.
        ids: 16 bytes each, shape (n,).
        vectors: shape (n, dimensions).
        cells: in which they lie, shape (n,), or one for all.
    """
    table = constants.table(len(rows))
    table["id"] = ids
    table["source_id"] = np.frombuffer(b"".join(row.source_id.bytes for row in rows), dtype="V16")
    table["chunk_index"] = [row.chunk_index for row in rows]
    table["content_hash"] = [row.content_hash for row in rows]
    table["vector"] = vectors
    table["cell"] = cells
    fixed, width = table.tobytes(), constants.layout.itemsize
    parts: list[bytes] = []
    for i, (source_type, _, _, _, preview, _) in enumerate(rows):
        kind, json = source_type.encode(), _json(metadata[i])
        parts += (fixed[i * width : (i + 1) * width], _length(len(kind)), kind)
        if preview is None:
            parts.append(_NULL)
        else:
            text = preview.encode()
            parts += (_length(len(text)), text)
        parts += (_length(len(json) + 1), _JSONB_VERSION, json)
    return b"".join(parts)


def _json(metadata: Mapping[str, object] | None) -> bytes:
    """JSON of the value that Python's encoder writes, from orjson where both agree.

    orjson writes NaN and infinity, which the server is to refuse, as null.
    """
    if not metadata:
        return b"{}"
    try:
        encoded = orjson.dumps(metadata, None, _JSON_OPTIONS)
    except TypeError:
        return _standard_json(metadata).encode()
    return encoded if b"null" not in encoded else _standard_json(metadata).encode()
