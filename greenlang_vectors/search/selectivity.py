"""How many rows of a leaf pass a filter: an estimate from a sample, for choosing a plan.

PostgreSQL's statistics hold whole metadata values, of which each is its own: of one key they say
little. So some pages spread over the leaf are read, the same ones for as long as the leaf does
not grow: equal searches choose the same plan.
"""

from __future__ import annotations

import json
import time
from math import ceil
from typing import NamedTuple

import psycopg
from psycopg import sql

from greenlang_vectors.search.conditions import condition, findable
from greenlang_vectors.search.filters import Filter, as_json
from greenlang_vectors.store.leaves import Leaf

SAMPLE_ROWS = 1_000
"""Rows of a sample, read in a millisecond or two; where 2% pass, it is off by a fifth or so."""

KEPT_SECONDS = 30.0
"""An estimate serves as long."""

KEPT = 1_000
"""So many estimates are kept."""

UNKNOWN_ROWS = 50
"""Of a page, where the leaf was never analyzed."""


_PAGES = sql.SQL(
    """
    e.ctid = ANY(ARRAY(
        SELECT format('(%%s,%%s)', page, item)::tid
        FROM generate_series(0, %(wanted)s::integer - 1) AS stratum,
             floor((stratum + (hashint4(stratum) + 2147483648.0) / 4294967296.0)
                   * %(pages)s::bigint / %(wanted)s::integer) AS page,
             generate_series(1, %(items)s::integer) AS item))
    """
)
"""Rows of one page out of each of as many equal parts of the leaf."""


class Selectivity(NamedTuple):
    """About how many rows a leaf holds, pass a filter, and are read where an index finds them.

    Attributes:
        reached: rows that pass what indexes answer of the filter; all where they answer nothing.
    """

    rows: float
    passing: float
    reached: float


_Key = tuple[str, int, str, Leaf, str]
_kept: dict[_Key, tuple[float, Selectivity]] = {}


def estimate(connection: psycopg.Connection, leaf: Leaf, filter: Filter) -> Selectivity:
    """What the leaf holds and how much of it passes the filter."""
    info = connection.info
    text = json.dumps(as_json(filter), sort_keys=True)
    key = (info.host, info.port, info.dbname, leaf, text)
    now = time.monotonic()
    until, known = _kept.get(key, (0.0, None))
    if known is None or until < now:
        rows, passing = _sampled(connection, leaf, filter)
        part = findable(filter)
        reached = rows if part is None else passing
        if part is not None and part != filter:
            reached = estimate(connection, leaf, part).passing
        known = Selectivity(rows, passing, reached)
        if len(_kept) >= KEPT:
            _kept.clear()
        _kept[key] = (now + KEPT_SECONDS, known)
    return known


def forget() -> None:
    """Estimate anew."""
    _kept.clear()


def _sampled(connection: psycopg.Connection, leaf: Leaf, filter: Filter) -> tuple[float, float]:
    """Rows, and those of them that pass."""
    passing, parameters = condition(filter, "e")
    size = connection.execute(
        """
        SELECT coalesce(pg_relation_size(oid), 0) / current_setting('block_size')::integer,
               CASE WHEN relpages > 0 AND reltuples > 0 THEN reltuples / relpages END
        FROM pg_class WHERE oid = to_regclass(%s)
        """,
        [leaf.table.as_string(connection)],
    ).fetchone()
    pages, rows_of_a_page = size or (0, None)
    items = ceil(2 * (rows_of_a_page or UNKNOWN_ROWS))
    wanted = max(1, 2 * SAMPLE_ROWS // items)
    if pages <= 2 * wanted:
        where, read = sql.SQL("true"), pages
    else:
        where, read = _PAGES, wanted
    row = connection.execute(
        sql.SQL("SELECT count(*), count(*) FILTER (WHERE {}) FROM {} e WHERE {}").format(
            passing, leaf.table, where
        ),
        parameters
        | {"namespace": leaf.namespace, "pages": pages, "wanted": wanted, "items": items},
        prepare=False,
    ).fetchone()
    rows, found = row or (0, 0)
    if read < pages:
        found = max(found, 0.5)
    scale = pages / max(1, read)
    return rows * scale, found * scale
