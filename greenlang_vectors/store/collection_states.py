"""What collections hold: rows, what is missing, bytes, the newest recall."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import psycopg

from greenlang_vectors.store import leaves
from greenlang_vectors.store.collections import Collection
from greenlang_vectors.store.completeness import unfinished
from greenlang_vectors.store.records import newest_search_quality


@dataclass(frozen=True, slots=True)
class CollectionState:
    """What a collection holds.

    Attributes:
        rows: its embeddings.
        chunks: the chunks it should have an embedding of.
        missing: those it has none of (see `unfinished`).
        table_bytes, index_bytes: on disk: rows with their keys, and the indexes for searching.
        recall_at_10: its newest measurement; None before the first.
    """

    collection: Collection
    rows: int
    chunks: int
    missing: int
    table_bytes: int
    index_bytes: int
    recall_at_10: float | None


def state_of(connection: psycopg.Connection, collection: Collection) -> CollectionState:
    """What a collection holds now."""
    missing, chunks = unfinished(connection, collection.leaf)
    measured = newest_search_quality(connection, collection.leaf)
    total, indexed = cast(
        "tuple[int, int]",
        connection.execute(
            """
            SELECT coalesce(pg_total_relation_size(leaf), 0),
                   coalesce((SELECT sum(pg_relation_size(indexrelid)) FROM pg_index
                             JOIN pg_class c ON c.oid = indexrelid
                             JOIN pg_am a ON a.oid = c.relam
                             WHERE indrelid = leaf AND amname IN ('hnsw', 'ivfflat')), 0)::bigint
            FROM to_regclass(%s) AS leaf
            """,
            [collection.leaf.table.as_string(connection)],
        ).fetchone(),
    )
    return CollectionState(
        collection=collection,
        rows=leaves.count(connection, collection.leaf),
        chunks=chunks,
        missing=missing,
        table_bytes=total - indexed,
        index_bytes=indexed,
        recall_at_10=None if measured is None else measured.recall_at_10,
    )
