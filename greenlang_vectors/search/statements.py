"""The SQL of nearest neighbours: by the indexes of a leaf's ranges, or by comparing rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from psycopg import sql

from greenlang_vectors.store.index_settings import IndexSettings
from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.operators import exact_distance, index_distance
from greenlang_vectors.store.segments import Segment

EVERY_ROW = sql.SQL("true")


def search_statement(
    leaf: Leaf,
    index: IndexSettings,
    layout: Sequence[Segment],
    passing: sql.Composable = EVERY_ROW,
) -> sql.Composed:
    """The search over these ranges: of each by its index, or exactly where it has none.

    Its parameters are query, k, candidates (how many rows an index gives), those that
    `cells_parameter` names, and those of `passing`, a condition over `vector_embeddings AS e`.
    """
    return sql.SQL(
        """
        SELECT source_id, chunk_index, distance FROM ({branches}) nearest
        ORDER BY distance, source_id, chunk_index LIMIT %(k)s
        """
    ).format(
        branches=sql.SQL(" UNION ALL ").join(
            _exact(leaf, index, part, passing)
            if part.index is None
            else _ordered(leaf, replace(index, storage=part.index.storage), part, passing)
            for part in layout
        ),
    )


def cells_parameter(part: Segment) -> str:
    """What the statement calls the cells to search in a range that lies in cells."""
    return f"cells_{part.first}"


def _exact(
    leaf: Leaf, index: IndexSettings, part: Segment, passing: sql.Composable
) -> sql.Composed:
    """The nearest of one range among the rows to compare: no index orders by a sum."""
    cells: sql.Composable = EVERY_ROW
    if part.cells is not None:
        cells = sql.SQL("cell = ANY({}::smallint[])").format(sql.Placeholder(cells_parameter(part)))
    return sql.SQL(
        "(SELECT source_id, chunk_index, ({distance}) + 0 AS distance FROM {table} AS e"
        " WHERE {range} AND {cells} AND {passing} ORDER BY distance, source_id, chunk_index"
        " LIMIT %(k)s)"
    ).format(
        distance=exact_distance(index, leaf.dimensions),
        table=leaf.table,
        range=part.condition(),
        cells=cells,
        passing=passing,
    )


def _ordered(
    leaf: Leaf, index: IndexSettings, part: Segment, passing: sql.Composable
) -> sql.Composed:
    """The nearest of one range as its index orders them, with all that tie with the last."""
    return sql.SQL(
        "(SELECT source_id, chunk_index, {distance} AS distance FROM {table} AS e"
        " WHERE {range} AND {passing} ORDER BY {order}"
        " FETCH FIRST %(candidates)s ROWS WITH TIES)"
    ).format(
        distance=exact_distance(index, leaf.dimensions),
        table=leaf.table,
        range=part.condition(),
        passing=passing,
        order=index_distance(index, leaf.dimensions),
    )
