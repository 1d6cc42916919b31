"""What is stored now, out of catalogue and statistics, beside what the model predicts of it.

No row of a leaf is read, however large it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, LiteralString

import psycopg

from greenlang_vectors.planning.builds import MeasuredBuild, machine_factor
from greenlang_vectors.planning.sizes import DEFAULT_SHAPE, LeafSizes, RowShape, leaf_sizes
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import collections, leaves, segments
from greenlang_vectors.store.collections import Collection
from greenlang_vectors.store.index_estimates import size_bytes
from greenlang_vectors.store.index_settings import IndexSettings, resolved

MANY_ROWS = 10_000
"""Of fewer a page more or less shows: the model's deviation is told of larger leaves."""

BUILDS = 5
"""The newest builds that the machine is judged by."""


@dataclass(frozen=True, slots=True)
class PresentLeaf:
    """A leaf as it is.

    Attributes:
        rows: about, as the catalogue knows.
        heap_bytes, toast_bytes, key_bytes, filter_bytes, ann_bytes: measured.
        predicted: what the model says of as many rows, and of an index over those that have one.
    """

    collection: Collection
    rows: int
    heap_bytes: int
    toast_bytes: int
    key_bytes: int
    filter_bytes: int
    ann_bytes: int
    shape: RowShape
    predicted: LeafSizes

    @property
    def bytes(self) -> int:
        """All of the leaf."""
        parts = (self.heap_bytes, self.toast_bytes, self.key_bytes, self.filter_bytes)
        return sum(parts) + self.ann_bytes

    @property
    def deviation(self) -> float | None:
        """How far the prediction is off, over what was measured; None of small leaves."""
        if self.rows < MANY_ROWS:
            return None
        return (self.predicted.leaf - self.bytes) / self.bytes


@dataclass(frozen=True, slots=True)
class Present:
    """The whole database.

    Attributes:
        database_bytes: with documents, chunks, logs and everything else.
        machine: how many times as long builds take here as on the machine of docs/capacity.md;
            None before one was timed.
        at: by the database's clock.
    """

    leaves: tuple[PresentLeaf, ...]
    database_bytes: int
    machine: float | None
    at: datetime

    @property
    def rows(self) -> int:
        """Of all leaves."""
        return sum(each.rows for each in self.leaves)


def present(connection: psycopg.Connection, settings: Settings) -> Present:
    """What is there."""
    found = tuple(_leaf(connection, each, settings) for each in collections.list_all(connection))
    row = connection.execute(
        "SELECT pg_database_size(current_database()), clock_timestamp()"
    ).fetchone()
    assert row is not None  # noqa: S101 - a statement without FROM has one row
    builds = _builds(connection)
    return Present(
        leaves=found,
        database_bytes=row[0],
        machine=machine_factor(builds, cores=settings.index_build_workers + 1),
        at=row[1],
    )


def shape_of(connection: psycopg.Connection, collection: Collection) -> RowShape:
    """How wide a leaf's rows are, by the statistics that ANALYZE left; the default without."""
    leaf = collection.leaf
    widths: dict[str, int] = dict(
        connection.execute(
            "SELECT attname, avg_width FROM pg_stats"
            " WHERE schemaname = 'public' AND tablename = %s",
            [leaf.name],
        ).fetchall()
    )
    shape = replace(
        DEFAULT_SHAPE,
        namespace_bytes=len(leaf.namespace),
        model_bytes=len(leaf.model.encode()),
    )
    if "metadata" not in widths:
        return shape
    return replace(
        shape,
        preview_bytes=_without_header(widths.get("content_preview", 0)),
        metadata_bytes=_without_header(widths["metadata"]),
        source_type_bytes=_without_header(widths["source_type"]),
        fingerprint_bytes=_without_header(widths["embedding_fingerprint"]),
    )


def _leaf(
    connection: psycopg.Connection, collection: Collection, settings: Settings
) -> PresentLeaf:
    leaf = collection.leaf
    measured = _parts(connection, leaf.table.as_string(connection))
    rows = leaves.about(connection, leaf)
    shape = shape_of(connection, collection)
    index = resolved(collection.index, settings.index, rows)
    indexed = sum(each.rows for each in segments.on_leaf(connection, leaf) if each.valid)
    predicted = replace(
        leaf_sizes(index, leaf.dimensions, rows, shape),
        ann_index=size_bytes(index, leaf.dimensions, indexed) if indexed else 0,
    )
    return PresentLeaf(
        collection=collection, rows=rows, shape=shape, predicted=predicted, **measured
    )


_PARTS: LiteralString = """
    SELECT pg_relation_size(t.oid) AS heap_bytes,
           coalesce(pg_total_relation_size(nullif(t.reltoastrelid, 0)), 0) AS toast_bytes,
           coalesce(sum(i.size) FILTER (WHERE i.kind = 'btree'), 0)::bigint AS key_bytes,
           coalesce(sum(i.size) FILTER (WHERE i.kind = 'gin'), 0)::bigint AS filter_bytes,
           coalesce(sum(i.size) FILTER (WHERE i.kind IN ('hnsw', 'ivfflat')), 0)::bigint
               AS ann_bytes
    FROM pg_class t
    LEFT JOIN LATERAL (
        SELECT am.amname AS kind, pg_relation_size(c.oid) AS size
        FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid JOIN pg_am am ON am.oid = c.relam
        WHERE x.indrelid = t.oid) i ON true
    WHERE t.oid = to_regclass(%s)
    GROUP BY t.oid, t.reltoastrelid
"""


def _parts(connection: psycopg.Connection, table: str) -> dict[str, int]:
    cursor = connection.execute(_PARTS, [table])
    row = cursor.fetchone()
    names = [column.name for column in cursor.description or ()]
    return dict(zip(names, row or [0] * len(names), strict=True))


def _builds(connection: psycopg.Connection) -> Sequence[MeasuredBuild]:
    """The newest builds whose settings are known whole."""
    rows: list[tuple[dict[str, Any], int, int, float]] = connection.execute(
        """
        SELECT b.settings, c.dimensions, b.rows, b.seconds
        FROM index_builds b JOIN embedding_collections c USING (namespace, embedding_model)
        WHERE b.seconds >= 1 AND b.rows > 0 ORDER BY b.finished_at DESC LIMIT %s
        """,
        [BUILDS],
    ).fetchall()
    return [
        MeasuredBuild(IndexSettings(**settings), dimensions, count, seconds)
        for settings, dimensions, count, seconds in rows
    ]


def _without_header(width: int) -> int:
    """A value's own bytes: a short one has a header of 1, a longer one of 4."""
    return max(0, width - (1 if width <= 127 else 4))
