"""Checksums of tables: any changed bit shows, no order does."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import sql

from greenlang_vectors.backup.checksums import Checksum, checksum
from greenlang_vectors.store.database import Database

pytestmark = pytest.mark.integration

ROW = (
    "(7, 'text', '[0, 1.5]'::vector, '{\"n\": 2.50}'::jsonb, 0.0::float8, NULL, ARRAY['a', 'b'],"
    " '2026-01-02 03:04:05.678901+00'::timestamptz)"
)
CHANGED = {
    "the sign of a zero in a vector": ("'[0, 1.5]'", "'[-0, 1.5]'"),
    "the last bit of a float32": ("1.5]'", "1.5000001]'"),
    "a number written otherwise": ("2.50", "2.5"),
    "the sign of a zero": ("0.0::", "'-0.0'::"),
    "NULL and the empty text": ("NULL", "''"),
    "where texts of an array end": ("ARRAY['a', 'b']", "ARRAY['ab']"),
    "a microsecond": ("678901", "678902"),
    "a blank at the end": ("'text'", "'text '"),
}


def of(connection: psycopg.Connection, *rows: str) -> Checksum:
    """The checksum of a table of these rows."""
    connection.execute("DROP TABLE IF EXISTS summed")
    connection.execute(
        "CREATE TABLE summed (a integer, b text, c vector, d jsonb, e float8, f text, g text[],"
        " h timestamptz, i integer GENERATED ALWAYS AS (a + 1) STORED)"
    )
    for row in rows:
        connection.execute(
            sql.SQL("INSERT INTO summed VALUES {}").format(sql.SQL(row))  # type: ignore[arg-type]
        )
    return checksum(connection, "public", "summed")


@pytest.mark.parametrize("change", CHANGED.values(), ids=CHANGED)
def test_every_changed_bit_shows(database: Database, change: tuple[str, str]) -> None:
    with database.connect() as connection:
        as_it_was, again = of(connection, ROW), of(connection, ROW)
        assert as_it_was == again
        assert change[0] in ROW
        assert of(connection, ROW.replace(*change)) != as_it_was


def test_order_does_not_show_and_number_does(database: Database) -> None:
    other = ROW.replace("7", "8")
    with database.connect() as connection:
        both = of(connection, ROW, other)
        assert of(connection, other, ROW) == both
        assert of(connection) == Checksum(0, "0")
        twice = of(connection, ROW, ROW)
        assert twice.rows == 2
        assert twice.value not in {"0", of(connection, ROW).value}


def test_a_type_of_an_extension_is_summed_alike_in_another_database(
    database: Database, server: str
) -> None:
    """Its number differs from database to database."""
    with database.connect() as connection:
        here = of(connection, ROW)
        number = connection.execute("SELECT 'vector'::regtype::oid").fetchone()
    with psycopg.connect(server, autocommit=True) as superuser:
        superuser.execute("DROP DATABASE IF EXISTS summed")
        superuser.execute("CREATE DATABASE summed")
        with psycopg.connect(server, dbname="summed", autocommit=True) as connection:
            connection.execute("CREATE TABLE takes_numbers (a integer)")
            connection.execute("CREATE EXTENSION vector")
            assert connection.execute("SELECT 'vector'::regtype::oid").fetchone() != number
            there = of(connection, ROW)
        superuser.execute("DROP DATABASE summed")
    assert there == here
