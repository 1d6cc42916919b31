"""Rows as Parquet and back: every bit of every column."""

from __future__ import annotations

import io
import struct
from datetime import UTC, datetime
from uuid import UUID

import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from greenlang_vectors.lifecycle import parquet
from greenlang_vectors.store.archived import StoredRow

DIMENSIONS = 3
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
moments = st.datetimes(
    datetime(1, 1, 2),
    datetime(9999, 12, 30),
    timezones=st.just(UTC),
)
vectors = st.lists(
    st.floats(width=32, allow_nan=False, allow_infinity=False),
    min_size=DIMENSIONS,
    max_size=DIMENSIONS,
).map(lambda floats: struct.pack(f"!HH{DIMENSIONS}f", DIMENSIONS, 0, *floats))
rows = st.builds(
    StoredRow,
    st.uuids(),
    texts,
    st.uuids(),
    st.integers(-(2**31), 2**31 - 1),
    texts,
    st.none() | texts,
    vectors,
    texts,
    texts,
    moments,
    moments,
)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(rows, min_size=1, max_size=5), min_size=1, max_size=4))
def test_what_is_written_is_read_back(pages: list[list[StoredRow]]) -> None:
    writer = parquet.PartWriter(DIMENSIONS)
    for page in pages:
        writer.add(page)
    assert writer.rows == sum(map(len, pages))
    assert list(parquet.read(writer.finish())) == pages


def test_other_readers_find_plain_columns() -> None:
    moment = datetime(2026, 3, 1, 12, tzinfo=UTC)
    vector = struct.pack("!HH2f", 2, 0, 0.5, -1)
    row = StoredRow(
        UUID(int=1), "document", UUID(int=2), 7, "h", None, vector, "f", "{}", *[moment] * 2
    )
    writer = parquet.PartWriter(2)
    writer.add([row])
    assert pq.read_table(io.BytesIO(writer.finish())).to_pylist() == [
        {
            "id": UUID(int=1),
            "source_type": "document",
            "source_id": UUID(int=2),
            "chunk_index": 7,
            "content_hash": "h",
            "content_preview": None,
            "embedding": [0.5, -1.0],
            "embedding_fingerprint": "f",
            "metadata": "{}",
            "created_at": moment,
            "updated_at": moment,
        }
    ]
