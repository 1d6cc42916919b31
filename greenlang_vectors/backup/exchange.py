"""Restored tables take the place of those that served, in one transaction.

Whoever searches waits for the last moments of it only: what reads rows comes first, and what locks
tables that all namespaces share comes last.
"""

from __future__ import annotations

from typing import cast

import psycopg
from psycopg import sql

from greenlang_vectors.backup.contents import KEPT, SharedTable
from greenlang_vectors.backup.dump import SCHEMA
from greenlang_vectors.backup.staging import BOUNDS, Staging
from greenlang_vectors.store import audit, roles
from greenlang_vectors.store.collection_locks import changing
from greenlang_vectors.store.encryption import administration, data_keys
from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.locks import exclusive_transaction
from greenlang_vectors.store.namespaces import make_partitions, partition

REGISTRY = "namespaces"


def exchange_namespace(connection: psycopg.Connection, staging: Staging) -> None:
    """Everything of a namespace becomes what was restored; what it held before is dropped.

    Raises:
        GreenLangError: a long transaction holds the namespace's tables; nothing was changed.
    """
    namespace = staging.manifest.namespace
    with exclusive_transaction(connection, "namespaces"), changing(connection, namespace):
        roles.act_as_admin(connection)
        for table in reversed(staging.shared):
            if table.name not in (REGISTRY, *KEPT):
                connection.execute(
                    sql.SQL("DELETE FROM {} WHERE {}").format(
                        sql.Identifier(table.name), table.of(namespace)
                    )
                )
        for table in staging.shared:
            _insert(connection, staging, table)
        _advance(connection, namespace, "r")
        _record(connection, staging)
        old = partition("vector_embeddings", namespace)
        if _is_there(connection, old):
            audit.record_drop(connection, old)
        for name in reversed(staging.attached):
            connection.execute(
                sql.SQL("DROP TABLE IF EXISTS {} CASCADE").format(sql.Identifier("public", name))
            )
        _attach(connection, staging)
        make_partitions(connection, namespace)  # of what an export leaves out
        _advance(connection, namespace, "p")
        if data_keys.of_namespace(connection, namespace):
            administration.refuse_clear_text(connection, namespace)
        roles.secure_namespace(connection, namespace)


def exchange_collection(connection: psycopg.Connection, staging: Staging, leaf: Leaf) -> int:
    """One collection becomes what was restored, as far as its passages are still there.

    Returns how many rows were left out, because their passage is gone or has changed. The
    collection serves only where no other does.

    Raises:
        GreenLangError: a long transaction holds the namespace's tables; nothing was changed.
    """
    with changing(connection, leaf.namespace):
        roles.act_as_admin(connection)
        _record(connection, staging)
        left_out = _remove_strangers(connection, leaf)
        collections, cells = (
            next(table for table in staging.shared if table.name == name)
            for name in ("embedding_collections", "embedding_cells")
        )
        connection.execute(
            sql.SQL(
                """
                UPDATE {} SET serving = NOT EXISTS (
                    SELECT FROM embedding_collections
                    WHERE namespace = %s AND serving AND id <> %s)
                """
            ).format(sql.Identifier(SCHEMA, staging.staged(collections.name))),
            [leaf.namespace, leaf.collection_id],
        )
        connection.execute("DELETE FROM embedding_collections WHERE id = %s", [leaf.collection_id])
        _insert(connection, staging, collections, sql.SQL("id"), leaf)
        _insert(connection, staging, cells, sql.SQL("collection_id"), leaf)
        if _is_there(connection, leaf.table):
            audit.record_drop(connection, leaf.table)
            connection.execute(sql.SQL("DROP TABLE {}").format(leaf.table))
        _attach(connection, staging)
        connection.execute(
            sql.SQL(
                "DELETE FROM archived_embeddings a USING {} e"
                " WHERE (a.namespace, a.embedding_model, a.id) = (%s, %s, e.id)"
            ).format(leaf.table),
            [leaf.namespace, leaf.model],
        )
        roles.secure_leaf(connection, leaf.table, leaf.namespace)
    return left_out


def _insert(
    connection: psycopg.Connection,
    staging: Staging,
    table: SharedTable,
    column: sql.SQL | None = None,
    leaf: Leaf | None = None,
) -> None:
    """Restored rows of a shared table, or those of one collection.

    Args:
        column: what names the collection.
    """
    conflict: sql.Composable = sql.SQL("")
    if table.name == REGISTRY:
        values = sql.SQL(", ").join(
            sql.SQL("{0} = EXCLUDED.{0}").format(sql.Identifier(name)) for name in table.columns
        )
        conflict = sql.SQL("ON CONFLICT (name) DO UPDATE SET {}").format(values)
    elif table.name in KEPT:
        conflict = sql.SQL("ON CONFLICT DO NOTHING")
    connection.execute(
        sql.SQL(
            "INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE"
            " SELECT {columns} FROM {staged} WHERE {own} {conflict}"
        ).format(
            table=sql.Identifier(table.name),
            columns=table.names(),
            staged=sql.Identifier(SCHEMA, staging.staged(table.name)),
            own=sql.SQL("true")
            if column is None or leaf is None
            else sql.SQL("{} = {}").format(column, sql.Literal(leaf.collection_id)),
            conflict=conflict,
        )
    )


def _record(connection: psycopg.Connection, staging: Staging) -> None:
    """Every restored embedding in the audit log, as a load leaves it there."""
    for table in staging.tables:
        if table.root == "vector_embeddings":
            connection.execute(
                sql.SQL(
                    """
                    INSERT INTO vector_audit_log
                        (operation, table_name, namespace, embedding_model, record_ids, new_hashes)
                    SELECT 'INSERT', {name}, namespace, embedding_model,
                           array_agg(id), array_agg(hash)
                    FROM (SELECT namespace, embedding_model, id, content_hash::text AS hash,
                                 (row_number() OVER () - 1) / 10000 AS slice
                          FROM {staged}) AS restored
                    GROUP BY namespace, embedding_model, slice ORDER BY slice
                    """
                ).format(name=sql.Literal(table.name), staged=sql.Identifier(SCHEMA, table.name))
            )


def _attach(connection: psycopg.Connection, staging: Staging) -> None:
    for statement in staging.statements:
        if statement.attached is not None:
            connection.execute(statement.text.encode())
    for name in staging.attached:
        connection.execute(
            sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(
                sql.Identifier(SCHEMA, name), sql.Identifier(BOUNDS)
            )
        )
    for name in (*staging.manifest.partitions, *(table.name for table in staging.tables)):
        if _is_there(connection, sql.Identifier(SCHEMA, name)):
            connection.execute(
                sql.SQL("ALTER TABLE {} SET SCHEMA public").format(sql.Identifier(SCHEMA, name))
            )


def _remove_strangers(connection: psycopg.Connection, leaf: Leaf) -> int:
    """Remove restored embeddings of passages that are gone or have changed since."""
    return connection.execute(
        sql.SQL(
            """
            DELETE FROM {} e WHERE NOT EXISTS (
                SELECT FROM document_chunks c
                WHERE c.namespace = %s AND c.document_id = e.source_id
                  AND c.chunk_index = e.chunk_index AND c.content_hash = e.content_hash
                  AND c.level = 0)
            """
        ).format(sql.Identifier(SCHEMA, leaf.name)),
        [leaf.namespace],
    ).rowcount


def _advance(connection: psycopg.Connection, namespace: str, kind: str) -> None:
    """Let identity columns go on after what was restored.

    Args:
        kind: of tables, as pg_class says: "r" or "p".
    """
    counted = connection.execute(
        """
        SELECT c.relname, attname, pg_get_serial_sequence(found::text, attname)::regclass::text
        FROM namespaced_tables() AS found
        JOIN pg_class c ON c.oid = found AND relkind = %s
        JOIN pg_attribute ON attrelid = c.oid AND attidentity <> ''
        """,
        [kind],
    ).fetchall()
    for table, column, sequence in cast("list[tuple[str, str, str]]", counted):
        connection.execute(
            sql.SQL(
                "SELECT setval(%s::regclass, greatest((SELECT last_value FROM {}),"
                " (SELECT max({}) FROM {} WHERE namespace = %s)))"
            ).format(
                sql.Identifier(*sequence.split(".")),
                sql.Identifier(column),
                sql.Identifier(table),
            ),
            [sequence, namespace],
        )


def _is_there(connection: psycopg.Connection, table: sql.Identifier) -> bool:
    row = connection.execute(
        "SELECT to_regclass(%s) IS NOT NULL", [table.as_string(connection)]
    ).fetchone()
    return row == (True,)
