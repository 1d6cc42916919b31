"""Counts and checksums of whole tables, computed where the rows are.

A row's checksum is 64 bits of its binary form, as every type sends it: a vector with -0.0 differs
from one with 0.0, 2.50 from 2.5. A table's is their exact sum, which no order changes and in which
two equal rows do not cancel out. The function is the one that hash partitioning rests on, whose
results PostgreSQL keeps from version to version (pg_upgrade carries such partitions over), on
machines of one byte order. It finds what happens by accident; who can write to both the backup
location and the database could deceive it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import psycopg
from psycopg import sql

from greenlang_vectors.backup.contents import values_of

EVERY_ROW = sql.SQL("true")


@dataclass(frozen=True, slots=True)
class Checksum:
    """Of the rows of a table.

    Attributes:
        value: the sum, as a decimal number.
    """

    rows: int
    value: str


def checksum(
    connection: psycopg.Connection,
    schema: str,
    table: str,
    where: sql.Composable = EVERY_ROW,
) -> Checksum:
    """Count and checksum of a table, in one pass.

    Args:
        where: which rows.
    """
    row = connection.execute(
        sql.SQL(
            "SELECT count(*), coalesce(sum(hash_record_extended(ROW(record_send({})), 0)), 0)::text"
            " FROM ONLY {} WHERE {}"
        ).format(values_of(connection, schema, table), sql.Identifier(schema, table), where)
    ).fetchone()
    rows, value = cast("tuple[int, str]", row)
    return Checksum(rows, value)
