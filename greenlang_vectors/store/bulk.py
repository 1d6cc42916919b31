"""Bulk rows, and where they are copied to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

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


def copy_rows(
    connection: psycopg.Connection,
    table: str,
    columns: Mapping[str, str],
    rows: Iterable[tuple[Any, ...]],
) -> None:
    """COPY rows into a table, within the open transaction.

    Args:
        columns: the type of each, by name, in the order of the rows' values.
    """
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    with (
        landing(connection, sql.Identifier(table), list(columns)) as target,
        connection.cursor() as cursor,
        cursor.copy(
            sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(target, names)
        ) as copy,
    ):
        copy.set_types(list(columns.values()))
        for row in rows:
            copy.write_row(row)


def id_array(ids: Iterable[UUID]) -> str:
    """A PostgreSQL array in text: quicker to bind than thousands of UUID objects."""
    return f"{{{','.join(each.hex for each in ids)}}}"


def as_columns(rows: Iterable[Sequence[Any]], width: int) -> list[list[Any]]:
    """Rows as so many lists, one a column, for `unnest`."""
    columns: list[list[Any]] = [[] for _ in range(width)]
    for row in rows:
        for column, value in zip(columns, row, strict=True):
            column.append(value)
    return columns
