"""Where bulk rows are copied to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg
from psycopg import sql

_LANDING = sql.Identifier("pg_temp", "landing")


@contextmanager
def landing(
    connection: psycopg.Connection, table: sql.Identifier, columns: Sequence[str]
) -> Iterator[sql.Identifier]:
    """The table to COPY into, within the open transaction: the table itself where that can be.

    PostgreSQL refuses COPY to those whom row-level security binds (PRD 10.3): their rows land in
    a temporary table first.
    """
    bound = connection.execute(
        "SELECT row_security_active(%s::regclass)", [table.as_string(connection)]
    ).fetchone()
    if bound == (False,):
        yield table
        return
    names = {"columns": sql.SQL(", ").join(map(sql.Identifier, columns)), "table": table}
    connection.execute(
        sql.SQL("CREATE TEMP TABLE landing AS SELECT {columns} FROM {table} WITH NO DATA").format(
            **names
        )
    )
    yield _LANDING
    connection.execute(
        sql.SQL("INSERT INTO {table} ({columns}) SELECT {columns} FROM {landing}").format(
            landing=_LANDING, **names
        )
    )
    connection.execute(sql.SQL("DROP TABLE {}").format(_LANDING))
