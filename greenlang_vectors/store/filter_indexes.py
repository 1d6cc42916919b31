"""Indexes that find the rows of a narrow filter, over the segments that no row is written to.

A GIN index on `metadata` that every insert had to keep would cost more than the insert. So each
range of segments that an ANN index serves gets a partial one of its own, and the open tail, which
stays short, has none: new rows touch no GIN index at all.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import psycopg
from psycopg import sql

from greenlang_vectors.errors import IndexBuildFailed
from greenlang_vectors.store import indexes
from greenlang_vectors.store.identity import derived_id
from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.segments import Segment

_NAME = re.compile(r"filter_[0-9a-f]{12}_(\d+)_(\d+)")


def ranges(connection: psycopg.Connection, leaf: Leaf) -> list[Segment]:
    """Ranges that hold every segment number once, cut so that an index fits where one can.

    Of two indexes that overlap (a merge whose forerunners are not dropped yet) the wider serves.
    """
    parts: list[Segment] = []
    position = 0
    for first, last in sorted(
        (_range(name) for name, valid in _on_leaf(connection, leaf) if valid),
        key=lambda found: (found[0], -found[1]),
    ):
        if first < position:
            continue
        if first > position:
            parts.append(Segment(position, first - 1, None))
        parts.append(Segment(first, last, None))
        position = last + 1
    return [*parts, Segment(position, None, None)]


def follow(connection: psycopg.Connection, leaf: Leaf, layout: Sequence[Segment]) -> None:
    """Have an index over each range that an ANN index serves, and no other.

    Builds take about a second for 200,000 rows, while the leaf serves; doing it again changes
    nothing, and what a killed build left is removed.

    Args:
        connection: in autocommit, holding the lock "index build".
        layout: how the leaf is searched (`segments.cover`).

    Raises:
        IndexBuildFailed: PostgreSQL refused or broke off a build; searches go on without it.
    """
    wanted = {
        _name(leaf, part.index.first, part.index.last): (part.index.first, part.index.last)
        for part in layout
        if part.index is not None
    }
    found = dict(_on_leaf(connection, leaf))
    for name in [name for name, valid in found.items() if not valid]:
        indexes.drop(connection, name)
        del found[name]
    for name in wanted.keys() - found.keys():
        _build(connection, leaf, name, *wanted[name])
    for name in found.keys() - wanted.keys():
        indexes.drop(connection, name)


def _build(connection: psycopg.Connection, leaf: Leaf, name: str, first: int, last: int) -> None:
    statement = sql.SQL(
        "CREATE INDEX CONCURRENTLY {} ON {} USING gin (metadata jsonb_path_ops)"
        " WHERE segment >= {} AND segment <= {}"
    ).format(sql.Identifier(name), leaf.table, sql.Literal(first), sql.Literal(last))
    try:
        connection.execute(statement)
    except psycopg.Error as error:
        raise IndexBuildFailed(
            f"The index {name} on metadata could not be built: {error}.",
            "Materialize vector_index again; the unfinished index is dropped first.",
        ) from error


def _on_leaf(connection: psycopg.Connection, leaf: Leaf) -> list[tuple[str, bool]]:
    """Names of the leaf's indexes of this kind, and whether they are valid."""
    rows = connection.execute(
        """
        SELECT c.relname, i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
        WHERE i.indrelid = to_regclass(%s)
        """,
        [leaf.table.as_string(connection)],
    )
    return [(name, valid) for name, valid in rows if _NAME.fullmatch(name)]


def _name(leaf: Leaf, first: int, last: int) -> str:
    digest = derived_id("filter index", leaf.name).hex[:12]
    return f"filter_{digest}_{first}_{last}"


def _range(name: str) -> tuple[int, int]:
    first, last = name.split("_")[2:]
    return int(first), int(last)
