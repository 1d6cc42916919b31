"""Two tenants whose namespaces hold a row in every table, and what their SQL sees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

from greenlang_vectors.store.database import Database

Connect = Callable[..., psycopg.Connection]
PASSWORD = "correct horse battery"  # noqa: S105 - of logins that live as long as a test
DIMENSIONS = 8
MODEL = "test-model"

UNBOUND = {"alembic_version", "api_keys", "embedding_cache", "heartbeat"}
"""Tables whose rows belong to no namespace."""

VALUES = {
    "uuid": "gen_random_uuid()",
    "embedding": f"'{[1.0] * DIMENSIONS}'",
    "query_embedding": f"'{[1.0] * DIMENSIONS}'",
    "jsonb": "'{}'",
    "boolean": "true",
    "timestamp with time zone": "now()",
    "bytea": "'x'",
    "ARRAY": "'{}'",
}
"""What a column of a type or name is filled with; else 1 where it is a number, or text."""
CHECKED = {"origin": "'sdk'", "state": "'current'", "operation": "'INSERT'"}
"""Columns that take certain words only."""


@dataclass(frozen=True)
class Tenants:
    """Two namespaces filled alike."""

    ours: str
    theirs: str


def fill(superuser: psycopg.Connection, namespace: str) -> None:
    """A row in every table, with the namespace's name in each text that has room for it."""
    superuser.execute("SET session_replication_role = replica")
    known = {"namespace": f"'{namespace}'", "embedding_model": f"'{MODEL}'", **CHECKED}
    for table in {*namespaced_tables(superuser)} - {"namespaces", "embedding_collections"}:
        columns = superuser.execute(
            "SELECT column_name, data_type, coalesce(character_maximum_length, 999)"
            " FROM information_schema.columns WHERE table_name = %s AND is_generated = 'NEVER'"
            " AND is_identity = 'NO' AND (column_default IS NULL OR column_name = 'namespace')",
            [table],
        ).fetchall()
        text = {
            name: f"'{f'the secret of {namespace} in {table}'[:length]}'"
            if "char" in kind or kind == "text"
            else "1"
            for name, kind, length in columns
        }
        values = [
            known.get(name) or VALUES.get(kind) or VALUES.get(name) or text[name]
            for name, kind, _ in columns
        ]
        superuser.execute(
            sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
                sql.Identifier(table),
                sql.SQL(", ").join(sql.Identifier(name) for name, _, _ in columns),
                sql.SQL(", ").join(map(sql.SQL, values)),
            )
        )
    superuser.execute("RESET session_replication_role")


def url_of(database: Database, login: str, password: str = PASSWORD) -> str:
    return urlunsplit(urlsplit(database.url)._replace(netloc=f"{login}:{quote(password)}@"))


def tables(connection: psycopg.Connection, *, partitions: bool) -> list[str]:
    """Every table of the schema, or every partition and leaf."""
    return [
        name
        for (name,) in connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " AND relkind IN ('r', 'p') AND relispartition = %s ORDER BY 1",
            [partitions],
        )
    ]


def namespaced_tables(connection: psycopg.Connection) -> list[str]:
    return [table for table in tables(connection, partitions=False) if table not in UNBOUND]


def partitions_of(connection: psycopg.Connection, namespace: str) -> list[str]:
    found = tables(connection, partitions=True)
    return [table for table in found if table.partition("__")[0].endswith(f"_{namespace}")]


def count(connection: psycopg.Connection, table: str) -> int:
    query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))
    row = connection.execute(query).fetchone()
    assert row is not None
    return int(row[0])


def shown(connection: psycopg.Connection, table: str) -> str:
    """Every row it is shown, as text."""
    query = sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(table))
    return "\n".join(row for (row,) in connection.execute(query))
