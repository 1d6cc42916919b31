"""The audit log (PRD 10.4): what records changes of embeddings, and reading what it recorded.

Statement-level triggers write `vector_audit_log`; its migration says what a record holds. They
see whole rows in transition tables, which spill to disk beyond `work_mem`; the writer's COPY
statements (`writing.STATEMENT_BLOCKS`) are small enough for its default.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import class_row

Operation = Literal["INSERT", "UPDATE", "DELETE", "TRUNCATE", "DROP"]

PGAUDIT_SETTINGS = {
    "pgaudit.log": "write, ddl",
    "pgaudit.log_catalog": "off",
    "pgaudit.log_relation": "on",
    "pgaudit.log_statement_once": "on",
}
"""PRD 10.4."""

_FILTER = sql.SQL(
    """
    namespace = %(namespace)s
    AND (%(operation)s::text IS NULL OR operation = %(operation)s)
    AND (%(since)s::timestamptz IS NULL OR changed_at >= %(since)s)
    """
)


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One statement's change of one model's embeddings, or 10,000 embeddings of it.

    Attributes:
        changed_by: who was logged in.
        acting_as: the role in force.
        transaction_id: the same for all that was committed together.
        table: the one the statement named.
        embeddings: how many it changed.
    """

    changed_at: datetime
    changed_by: str
    acting_as: str
    transaction_id: int
    operation: Operation
    table: str
    model: str
    embeddings: int


@dataclass(frozen=True, slots=True)
class EmbeddingChange:
    """What one statement did to one embedding.

    Attributes:
        old_hash, new_hash: of its text; None before an insert and after a removal.
        old_metadata, new_metadata: of updates that changed it and of removals; None where empty.
            What an insert brought is in the row until one of these records it.
    """

    changed_at: datetime
    changed_by: str
    acting_as: str
    transaction_id: int
    operation: Operation
    table: str
    model: str
    old_hash: str | None
    new_hash: str | None
    old_metadata: dict[str, Any] | None
    new_metadata: dict[str, Any] | None


def watch(connection: psycopg.Connection, table: sql.Identifier) -> None:
    """Record what statements do that name this part of vector_embeddings."""
    connection.execute("SELECT audit_vector_table(to_regclass(%s))", [table.as_string(connection)])


def record_drop(connection: psycopg.Connection, table: sql.Identifier) -> None:
    """Record every embedding of this leaf or namespace as dropped; the drop follows in the same
    transaction. Nothing is written to it meanwhile, searches go on."""
    connection.execute("SELECT audit_vector_drop(to_regclass(%s))", [table.as_string(connection)])


def records(
    connection: psycopg.Connection,
    namespace: str,
    *,
    operation: Operation | None = None,
    since: datetime | None = None,
    limit: int,
) -> list[AuditRecord]:
    """The newest records of a namespace, which may be gone by now; newest first."""
    with connection.cursor(row_factory=class_row(AuditRecord)) as cursor:
        return cursor.execute(
            sql.SQL(
                """
                SELECT changed_at, changed_by, acting_as, transaction_id::text::bigint AS
                       transaction_id, operation, table_name AS table, embedding_model AS model,
                       cardinality(record_ids) AS embeddings
                FROM vector_audit_log WHERE {} ORDER BY id DESC LIMIT %(limit)s
                """
            ).format(_FILTER),
            {"namespace": namespace, "operation": operation, "since": since, "limit": limit},
        ).fetchall()


def history(
    connection: psycopg.Connection,
    namespace: str,
    embedding: UUID,
    *,
    operation: Operation | None = None,
    since: datetime | None = None,
    limit: int,
) -> list[EmbeddingChange]:
    """The newest changes of one embedding, newest first; it reads the namespace's whole log."""
    with connection.cursor(row_factory=class_row(EmbeddingChange)) as cursor:
        return cursor.execute(
            sql.SQL(
                """
                SELECT changed_at, changed_by, acting_as, transaction_id::text::bigint AS
                       transaction_id, operation, table_name AS table, embedding_model AS model,
                       old_hashes[place] AS old_hash, new_hashes[place] AS new_hash,
                       old_metadata[place] AS old_metadata, new_metadata[place] AS new_metadata
                FROM vector_audit_log
                CROSS JOIN LATERAL array_position(record_ids, %(embedding)s) AS place
                WHERE place IS NOT NULL AND {} ORDER BY id DESC LIMIT %(limit)s
                """
            ).format(_FILTER),
            {
                "namespace": namespace,
                "embedding": embedding,
                "operation": operation,
                "since": since,
                "limit": limit,
            },
        ).fetchall()


def configure_pgaudit(connection: psycopg.Connection) -> str:
    """Have pgaudit log writes and DDL of this database (PRD 10.4); says what came of it.

    The settings go to the database, not to `ALTER SYSTEM`, which Aurora refuses: there
    `shared_preload_libraries` belongs to the cluster parameter group. They hold for connections
    made from now on.
    """
    where = connection.info.dbname
    available = connection.execute(
        "SELECT FROM pg_available_extensions WHERE name = 'pgaudit'"
    ).fetchone()
    if available is None:
        return (
            "pgaudit is not installed on this server; changes of embeddings are in "
            "vector_audit_log all the same. On Aurora add pgaudit to shared_preload_libraries in "
            "the cluster parameter group, restart, and run this again."
        )
    try:
        with connection.transaction():
            connection.execute("CREATE EXTENSION IF NOT EXISTS pgaudit")
            for name, value in PGAUDIT_SETTINGS.items():
                connection.execute(
                    sql.SQL("ALTER DATABASE {} SET {} = {}").format(
                        sql.Identifier(where), sql.Identifier(*name.split(".")), sql.Literal(value)
                    )
                )
    except psycopg.errors.InsufficientPrivilege as error:
        return (
            f"pgaudit is here, but {connection.info.user} may not configure it for {where} "
            f"({error.diag.message_primary}). Run this as the owner of the database; on Aurora as "
            "a member of rds_superuser, or set pgaudit.* in the cluster parameter group."
        )
    except psycopg.errors.ObjectNotInPrerequisiteState as error:
        return (
            f"pgaudit is installed but not loaded ({error.diag.message_primary}). Add it to "
            "shared_preload_libraries (on Aurora in the cluster parameter group), restart, and "
            "run this again."
        )
    settings = ", ".join(f"{name} = {value!r}" for name, value in PGAUDIT_SETTINGS.items())
    return f"pgaudit is configured for {where}: {settings}. New connections are logged."
