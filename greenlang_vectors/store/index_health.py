"""The state of a leaf's indexes: bloat, dead rows, failed builds, and what to do about them.

A deleted or replaced row stays in a graph until VACUUM has mended the graph around it, and its
place stays in the file until the index is built anew.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import psycopg

from greenlang_vectors.store import leaves, segments
from greenlang_vectors.store.index_estimates import size_bytes
from greenlang_vectors.store.index_settings import IndexSettings
from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.segments import AnnIndex, Segment

BLOAT_LIMIT = 1.5
"""An index this many times as large as its rows need should be built anew."""

DEAD_LIMIT = 0.2
"""Share of dead rows from which searches notice: they are visited and thrown away."""


@dataclass(frozen=True, slots=True)
class IndexHealth:
    """One index, or the tail that has none.

    Attributes:
        name: None for rows that have none, and are searched by cells or compared.
        rows: rows of the leaf in its range now.
        bloat: its size over what so many rows need; None where it has no size.
        dead_share: dead rows of the whole leaf over all, as PostgreSQL's statistics know them.
        advice: what to do; empty where nothing is to be done.
    """

    name: str | None
    kind: str
    storage: str
    first: int
    last: int | None
    rows: int
    size_bytes: int
    valid: bool
    bloat: float | None
    dead_share: float
    advice: str


def health(connection: psycopg.Connection, leaf: Leaf) -> list[IndexHealth]:
    """Every index of the leaf and what is scanned without one, by segment."""
    found = segments.on_leaf(connection, leaf)
    wanted = leaves.index_settings(connection, leaf)
    dead = _dead_share(connection, leaf)
    said = [
        _judged(connection, leaf, wanted, Segment(index.first, index.last, index), index, dead)
        for index in found
    ]
    said += [
        _judged(connection, leaf, wanted, part, None, dead)
        for part in segments.cover(found)
        if part.index is None
    ]
    return sorted(said, key=lambda each: each.first)


def _judged(
    connection: psycopg.Connection,
    leaf: Leaf,
    wanted: IndexSettings,
    part: Segment,
    index: AnnIndex | None,
    dead: float,
) -> IndexHealth:
    rows = segments.rows_in(connection, leaf, part)
    bloat = None
    advice = ""
    if index is not None:
        bloat = index.size_bytes / _expected(connection, leaf, wanted, index, rows)
        if not index.valid:
            advice = "its build failed: greenlang-vectors indexes maintain drops it"
        elif bloat > BLOAT_LIMIT and rows:
            advice = "bloated: REINDEX it with greenlang-vectors indexes rebuild"
        elif dead > DEAD_LIMIT:
            advice = "many dead rows: VACUUM the leaf, then greenlang-vectors indexes rebuild"
    return IndexHealth(
        name=None if index is None else index.name,
        kind="no index" if index is None else index.kind,
        storage="" if index is None else index.storage,
        first=part.first,
        last=part.last,
        rows=rows,
        size_bytes=0 if index is None else index.size_bytes,
        valid=index is None or index.valid,
        bloat=bloat,
        dead_share=dead,
        advice=advice,
    )


def _expected(
    connection: psycopg.Connection,
    leaf: Leaf,
    wanted: IndexSettings,
    index: AnnIndex,
    rows: int,
) -> int:
    row = connection.execute(
        """
        SELECT (SELECT option_value::integer FROM pg_options_to_table(reloptions)
                WHERE option_name = 'm')
        FROM pg_class WHERE oid = to_regclass(quote_ident(%s))
        """,
        [index.name],
    ).fetchone()
    m = row[0] if row is not None and row[0] is not None else 16
    built = replace(wanted, kind=index.kind, storage=index.storage, m=m, lists=index.lists or 1)
    return size_bytes(built, leaf.dimensions, rows)


def _dead_share(connection: psycopg.Connection, leaf: Leaf) -> float:
    row = connection.execute(
        """
        SELECT n_dead_tup::float8 / greatest(n_live_tup + n_dead_tup, 1)
        FROM pg_stat_user_tables WHERE relid = to_regclass(%s)
        """,
        [leaf.table.as_string(connection)],
    ).fetchone()
    return 0.0 if row is None else float(row[0])
