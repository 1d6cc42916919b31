"""What a leaf takes on disk, part by part, and the texts, audit records and WAL that go with it.

The columns are those of the migrations; a change there shows in the tests, which compare with a
real leaf.
"""

from __future__ import annotations

from dataclasses import dataclass

from greenlang_vectors.planning import layout
from greenlang_vectors.planning.layout import (
    INTEGER,
    SMALLINT,
    TIMESTAMP,
    TOAST_POINTER,
    UUID,
    Column,
    text,
)
from greenlang_vectors.store import index_estimates
from greenlang_vectors.store.index_settings import IndexSettings

CONTENT_HASH = 64
VECTOR_HEADER = 8

TOAST_TUPLE_TARGET = 8160
"""Of a leaf (store/leaves.py): a row may be as long before its vector leaves it."""

RANDOM_FILL = 0.69
"""How full the pages of a B-tree are whose keys come in no order: ln 2, as measured
(docs/capacity.md)."""

GROUPED_FILL = 0.62
"""The same of keys that come in groups, as the chunks of a document do: pages are split where
nothing follows; measured."""

FILTER_BYTES = 3.4
"""Of the GIN index on metadata, for each key of a row whose value many rows share; measured."""

AUDIT_BYTES = 89
"""Of the audit log for each row written: 16 of its id and 68 of its hash, out of line (migration
0003), with what finds them; measured."""

WAL_RECORD = 75
"""Beside what a row or an entry itself holds: record header, page and place of it; measured with
page splits and full pages after checkpoints in it."""

CHUNK_BYTES_A_TOKEN = 13.3
DOCUMENT_BYTES_A_TOKEN = 2.1
WORDS_BYTES_A_TOKEN = 2.3
"""Of document_chunks with its words, of documents, and of the GIN index on words, for each token
of the chunks; measured with the regulations (docs/capacity.md)."""


@dataclass(frozen=True, slots=True)
class RowShape:
    """What stands beside a vector, on average.

    Attributes:
        preview_bytes: of `content_preview`; PRD 6.1 has 500 characters.
        metadata_bytes: of the JSON as the database keeps it.
        metadata_keys: how many keys it has.
        tokens: of a chunk's text, by its model's tokenizer.
    """

    preview_bytes: int = 500
    metadata_bytes: int = 120
    metadata_keys: int = 5
    tokens: int = 400
    source_type_bytes: int = 8
    namespace_bytes: int = 6
    model_bytes: int = 16
    fingerprint_bytes: int = 32


DEFAULT_SHAPE = RowShape()


@dataclass(frozen=True, slots=True)
class LeafSizes:
    """Bytes of a leaf (PRD 6.1) and of what every embedding brings with it.

    Attributes:
        heap, toast: of the rows; vectors are in the heap unless a row is longer than a page.
        primary_key, unique_key, cell_index, filter_index: of the leaf.
        ann_index: what searches walk through.
        texts: documents, chunks, and the index on their words.
        audit: of the audit log.
        load_wal, index_wal: written to the log by loading the rows and by building the ANN index.
    """

    heap: int
    toast: int
    primary_key: int
    unique_key: int
    cell_index: int
    filter_index: int
    ann_index: int
    texts: int
    audit: int
    load_wal: int
    index_wal: int

    @property
    def keys(self) -> int:
        """The B-trees that every write goes through."""
        return self.primary_key + self.unique_key + self.cell_index

    @property
    def leaf(self) -> int:
        """The leaf with all its indexes."""
        return self.heap + self.toast + self.keys + self.filter_index + self.ann_index

    @property
    def total(self) -> int:
        """All that is stored."""
        return self.leaf + self.texts + self.audit


def leaf_sizes(
    index: IndexSettings, dimensions: int, rows: int, shape: RowShape = DEFAULT_SHAPE
) -> LeafSizes:
    """What so many embeddings take.

    Args:
        index: resolved, see `index_settings.resolved`.
    """
    vector = VECTOR_HEADER + 4 * dimensions
    in_line = _columns(shape, Column(vector, 4))
    out_of_line = layout.data_bytes(in_line) + layout.HEAP_TUPLE_HEADER > TOAST_TUPLE_TARGET
    columns = _columns(shape, Column(TOAST_POINTER, 1)) if out_of_line else in_line
    names = [text(shape.namespace_bytes), text(shape.model_bytes)]
    primary = [UUID, *names]
    unique = [UUID, INTEGER, text(shape.source_type_bytes), *names]
    ann = index_estimates.size_bytes(index, dimensions, rows)
    entries = sum(map(layout.entry_bytes, (primary, unique, [INTEGER, SMALLINT])))
    logged = layout.data_bytes(columns) + (vector if out_of_line else 0)
    return LeafSizes(
        heap=layout.heap_bytes(rows, columns),
        toast=layout.toast_bytes(rows, vector) if out_of_line else 0,
        primary_key=layout.btree_bytes(rows, primary, RANDOM_FILL),
        unique_key=layout.btree_bytes(rows, unique, GROUPED_FILL),
        cell_index=layout.deduplicated_btree_bytes(rows, RANDOM_FILL),
        filter_index=round(rows * shape.metadata_keys * FILTER_BYTES),
        ann_index=ann,
        texts=round(
            rows
            * shape.tokens
            * (CHUNK_BYTES_A_TOKEN + DOCUMENT_BYTES_A_TOKEN + WORDS_BYTES_A_TOKEN)
        ),
        audit=rows * AUDIT_BYTES,
        load_wal=rows * (logged + entries + AUDIT_BYTES + 4 * WAL_RECORD),
        index_wal=ann,
    )


def _columns(shape: RowShape, vector: Column) -> list[Column]:
    """vector_embeddings, column by column (migrations 0001, 0002 and 0012)."""
    return [
        UUID,
        text(shape.source_type_bytes),
        UUID,
        INTEGER,
        text(CONTENT_HASH),
        text(shape.preview_bytes),
        vector,
        text(shape.model_bytes),
        text(shape.fingerprint_bytes),
        text(shape.metadata_bytes),
        text(shape.namespace_bytes),
        TIMESTAMP,
        TIMESTAMP,
        INTEGER,
        SMALLINT,
    ]
