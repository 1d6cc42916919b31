"""What an export of a namespace holds: its partitions and leaves, and its rows of shared tables.

Both are found in the catalog, by their column `namespace`, so that a table that is added later is
exported without anybody thinking of it. What is left out is named here, with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import cast

import psycopg
from psycopg import sql
from psycopg.rows import class_row

LEFT_OUT = {
    "vector_search_logs": "what was asked is kept for search_log_days, not longer in a backup",
    "weaviate_shadow_reads": "as logged searches",
    "backup_exports": "the backup location tells which exports there are",
    "backup_drills": "as exports",
}
"""Tables of namespaces that are not exported. A restore leaves those of a namespace that is there
alone, and makes them, empty, for one that is not."""

OF_NO_NAMESPACE = {
    "alembic_version": "the manifest tells the schema's version",
    "api_keys": "a key may open several namespaces; whoever restores one decides who gets in",
    "embedding_cache": "vectors that are there in the leaves, or are made again",
    "heartbeat": "a clock of this server",
}
"""Tables that belong to no namespace: no export holds any of them."""

KEPT = ("vector_audit_log",)
"""Shared tables whose rows outlive a namespace: a restore adds those that are missing."""

_FIRST_EXTENSION_OID = 16384


@dataclass(frozen=True, slots=True)
class Relation:
    """A partition of a namespace, or a leaf below one.

    Attributes:
        parent: what it is attached to.
        root: the table that callers name.
        holds_rows: false for a partition that has partitions itself.
    """

    name: str
    parent: str
    root: str
    holds_rows: bool


@dataclass(frozen=True, slots=True)
class SharedTable:
    """A table that holds rows of all namespaces.

    Attributes:
        key: the column that names the namespace.
        columns: those that are not generated, in their order.
    """

    name: str
    key: str
    columns: tuple[str, ...]

    def names(self) -> sql.Composed:
        """Its columns, for SQL."""
        return sql.SQL(", ").join(map(sql.Identifier, self.columns))

    def of(self, namespace: str) -> sql.Composed:
        """The condition that a row is of this namespace."""
        return sql.SQL("{} = {}").format(sql.Identifier(self.key), sql.Literal(namespace))


def relations(connection: psycopg.Connection, namespace: str) -> list[Relation]:
    """The partitions and leaves of a namespace, by name; acting as vector_admin."""
    with connection.cursor(row_factory=class_row(Relation)) as cursor:
        return cursor.execute(
            """
            SELECT c.relname AS name, parent.relname AS parent, root.relname AS root,
                   c.relkind = 'r' AS holds_rows
            FROM namespaced_tables() AS found
            JOIN pg_class root ON root.oid = found AND root.relkind = 'p'
            JOIN pg_inherits ON inhparent = root.oid
            JOIN pg_class part ON part.oid = inhrelid
                 AND pg_get_expr(part.relpartbound, part.oid)
                     = format('FOR VALUES IN (%%L)', %(namespace)s::text)
            CROSS JOIN LATERAL pg_partition_tree(part.oid) AS tree
            JOIN pg_class c ON c.oid = tree.relid
            JOIN pg_class parent ON parent.oid = tree.parentrelid
            WHERE root.relname <> ALL(%(left_out)s)
            ORDER BY c.relname
            """,
            {"namespace": namespace, "left_out": list(LEFT_OUT)},
        ).fetchall()


def shared_tables(connection: psycopg.Connection) -> list[SharedTable]:
    """The shared tables, each after those it refers to; acting as vector_admin."""
    found = connection.execute(
        """
        SELECT c.relname, namespace_column(c.oid),
               array_agg(attname::text ORDER BY attnum),
               ARRAY(SELECT f.relname::text FROM pg_constraint
                     JOIN pg_class f ON f.oid = confrelid
                     WHERE conrelid = c.oid AND contype = 'f')
        FROM namespaced_tables() AS found
        JOIN pg_class c ON c.oid = found AND c.relkind = 'r'
        JOIN pg_attribute ON attrelid = c.oid AND attnum > 0
             AND NOT attisdropped AND attgenerated = ''
        WHERE c.relname <> ALL(%s)
        GROUP BY c.oid, c.relname ORDER BY c.relname
        """,
        [list(LEFT_OUT)],
    ).fetchall()
    tables = {name: SharedTable(name, key, tuple(columns)) for name, key, columns, _ in found}
    order = TopologicalSorter({name: set(refers) for name, _, _, refers in found})
    return [tables[name] for name in order.static_order() if name in tables]


def values_of(connection: psycopg.Connection, schema: str, table: str) -> sql.Composed:
    """A row of a table as one value, whose binary form holds every bit of it.

    Columns come by name. Types of extensions have other numbers in other databases, and a binary
    row holds the numbers of its types: such a column is put in as its own binary form. Generated
    columns follow from the others.
    """
    columns = connection.execute(
        """
        SELECT attname, CASE WHEN atttypid >= %(first)s THEN send.nspname END, proname
        FROM pg_attribute
        JOIN pg_type ON pg_type.oid = atttypid
        JOIN pg_proc ON pg_proc.oid = typsend
        JOIN pg_namespace send ON send.oid = pronamespace
        WHERE attrelid = to_regclass(%(table)s) AND attnum > 0
          AND NOT attisdropped AND attgenerated = ''
        ORDER BY attname
        """,
        {
            "first": _FIRST_EXTENSION_OID,
            "table": sql.Identifier(schema, table).as_string(connection),
        },
    ).fetchall()
    return sql.SQL("ROW({})").format(
        sql.SQL(", ").join(
            sql.Identifier(name)
            if schema_of_send is None
            else sql.SQL("{}({})").format(
                sql.Identifier(schema_of_send, send), sql.Identifier(name)
            )
            for name, schema_of_send, send in columns
        )
    )


def indexes_of(connection: psycopg.Connection, schema: str, table: str) -> dict[str, str]:
    """The definitions of a table's indexes that are valid, by name."""
    return dict(
        cast(
            "list[tuple[str, str]]",
            connection.execute(
                """
                SELECT relname, pg_get_indexdef(indexrelid)
                FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
                WHERE indrelid = to_regclass(%s) AND indisvalid
                ORDER BY relname
                """,
                [sql.Identifier(schema, table).as_string(connection)],
            ).fetchall(),
        )
    )
