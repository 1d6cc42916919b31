"""The registry of namespaces, and the partitions that hold everything of each one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import cast

import psycopg
from psycopg import sql
from psycopg.errors import DeadlockDetected
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from greenlang_vectors.chunking.model import STRATEGIES, StrategyName
from greenlang_vectors.errors import InvalidNamespaceName, UnknownNamespace, UsageError
from greenlang_vectors.retries import retry
from greenlang_vectors.settings import get_settings
from greenlang_vectors.store import audit, roles
from greenlang_vectors.store.identity import identifier
from greenlang_vectors.store.locks import exclusive_transaction

PRD_NAMESPACES = ("csrd", "cbam", "eudr", "vcci", "default")

PARTITIONED_TABLES = (
    "documents",
    "document_chunks",
    "vector_embeddings",
    "embedding_jobs",
    "index_builds",
    "dead_letters",
    "search_quality",
    "check_results",
    "archives",
    "archived_embeddings",
    "vector_search_logs",
    "text_statistics",
    "text_terms",
    "uploads",
    "weaviate_objects",
    "weaviate_outbox",
)

_NAME = re.compile(r"[a-z][a-z0-9]*(?:[_-][a-z0-9]+)*")
_MAX_NAME = 40

_again_after_deadlock = retry(on=DeadlockDetected, attempts=5, timeout=None)
"""Of what takes the tables of all namespaces one after the other, while others write to them: in
a deadlock PostgreSQL undoes one of the two."""


@dataclass(frozen=True, slots=True)
class Namespace:
    """One tenant application's corpus.

    Attributes:
        name: see `validate_name`.
        source_uri: where its documents come from; None when only the SDK writes to it.
        chunking: how its documents are cut (PRD 7.3).
        chunking_by_media_type: exceptions, e.g. {"text/plain": "fixed"}.
        source_fingerprint: the listing of the source last worked through; None before that.
        recall_target: the recall@10 that its searches are promised, within (0, 1].
    """

    name: str
    source_uri: str | None
    chunking: StrategyName
    chunking_by_media_type: dict[str, StrategyName]
    source_fingerprint: str | None
    recall_target: float

    def strategy_for(self, media_type: str) -> StrategyName:
        """How a document of this type is cut."""
        return self.chunking_by_media_type.get(media_type, self.chunking)


def validate_name(name: str) -> str:
    """Return the name if it can be a namespace.

    A name is at most 40 lower-case letters and digits, beginning with a letter, its words joined
    by single hyphens or underscores: it is a partition key, a folder and part of table names.

    Raises:
        InvalidNamespaceName: it is anything else.
    """
    if len(name) <= _MAX_NAME and _NAME.fullmatch(name):
        return name
    suggestion = (
        re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-0123456789")[:_MAX_NAME].strip("-")
    )
    raise InvalidNamespaceName(
        f"{name!r} cannot be a namespace: at most {_MAX_NAME} lower-case letters and digits, "
        "beginning with a letter, words joined by - or _.",
        f"Try {suggestion!r}." if suggestion else "",
    )


@_again_after_deadlock
def register(
    connection: psycopg.Connection,
    name: str,
    *,
    source_uri: str | None = None,
    chunking: str | None = None,
    chunking_by_media_type: dict[str, str] | None = None,
    recall_target: float | None = None,
) -> Namespace:
    """Add a namespace and its partitions, or change the settings that are given.

    Raises:
        InvalidNamespaceName: see `validate_name`.
        UsageError: an unknown chunking strategy, or a recall that cannot be.
        DeadlockDetected: with others who write, in each of several attempts.
    """
    validate_name(name)
    if recall_target is not None and not 0 < recall_target <= 1:
        raise UsageError(f"The recall target must be above 0 and at most 1, not {recall_target}.")
    for strategy in filter(None, (chunking, *(chunking_by_media_type or {}).values())):
        if strategy not in STRATEGIES:
            raise UsageError(
                f"Unknown chunking strategy {strategy!r}.", f"Known: {', '.join(STRATEGIES)}."
            )
    with exclusive_transaction(connection, "namespaces"):
        roles.act_as_admin(connection)
        connection.execute(
            """
            INSERT INTO namespaces AS known
                (name, source_uri, chunking, chunking_by_media_type, recall_target)
            VALUES (%(name)s, %(uri)s, coalesce(%(chunking)s, 'semantic'),
                    coalesce(%(by_type)s::jsonb, '{}'), coalesce(%(recall)s, %(usual_recall)s))
            ON CONFLICT (name) DO UPDATE SET
                source_uri = coalesce(%(uri)s, known.source_uri),
                chunking = coalesce(%(chunking)s, known.chunking),
                chunking_by_media_type = coalesce(%(by_type)s, known.chunking_by_media_type),
                recall_target = coalesce(%(recall)s, known.recall_target)
            """,
            {
                "name": name,
                "uri": source_uri,
                "chunking": chunking,
                "recall": recall_target,
                "usual_recall": get_settings().recall_target,
                "by_type": None
                if chunking_by_media_type is None
                else Jsonb(chunking_by_media_type),
            },
        )
        _create_partitions(connection, name)
    return get(connection, name)


def get(connection: psycopg.Connection, name: str) -> Namespace:
    """The namespace of this name.

    Raises:
        UnknownNamespace: it is not registered; the message names those that are.
    """
    known = list_all(connection)
    for namespace in known:
        if namespace.name == name:
            return namespace
    names = ", ".join(namespace.name for namespace in known) or "none yet"
    raise UnknownNamespace(f"Unknown namespace {name!r}.", f"Known: {names}.")


def list_all(connection: psycopg.Connection) -> list[Namespace]:
    """Every registered namespace, by name."""
    with connection.cursor(row_factory=class_row(Namespace)) as cursor:
        return cursor.execute(
            """
            SELECT name, source_uri, chunking, chunking_by_media_type, source_fingerprint,
                   recall_target
            FROM namespaces ORDER BY name
            """
        ).fetchall()


@_again_after_deadlock
def drop(connection: psycopg.Connection, name: str) -> None:
    """Remove a namespace with everything in it.

    Raises:
        UnknownNamespace: it is not registered.
        DeadlockDetected: as of `register`.
    """
    get(connection, name)
    with exclusive_transaction(connection, "namespaces"):
        roles.act_as_admin(connection)
        audit.record_drop(connection, partition("vector_embeddings", name))
        for table in reversed(PARTITIONED_TABLES):
            connection.execute(
                sql.SQL("DROP TABLE IF EXISTS {} CASCADE").format(partition(table, name))
            )
        connection.execute("DELETE FROM namespaces WHERE name = %s", [name])
        roles.forget_namespace(connection, name)


def remember_listing(connection: psycopg.Connection, name: str, fingerprint: str) -> None:
    """Note that the documents stage has worked through this listing of the source."""
    connection.execute(
        "UPDATE namespaces SET source_fingerprint = %s WHERE name = %s", [fingerprint, name]
    )


def partition(table: str, namespace: str) -> sql.Identifier:
    """The partition of a table that holds one namespace."""
    return sql.Identifier(identifier(f"{table}_{namespace}"))


def make_partitions(connection: psycopg.Connection, name: str) -> None:
    """Make the partitions that the namespace lacks, bare of what belongs to them."""
    for table in PARTITIONED_TABLES:
        connection.execute(
            sql.SQL("CREATE TABLE IF NOT EXISTS {} PARTITION OF {} FOR VALUES IN ({}) {}").format(
                partition(table, name),
                sql.Identifier(table),
                sql.Literal(name),
                sql.SQL(
                    "PARTITION BY LIST (embedding_model)" if table == "vector_embeddings" else ""
                ),
            )
        )


def _create_partitions(connection: psycopg.Connection, name: str) -> None:
    make_partitions(connection, name)
    audit.watch(connection, partition("vector_embeddings", name))
    chunks, documents = partition("document_chunks", name), partition("documents", name)
    constraint = "chunk_has_document"
    if not _has_constraint(connection, identifier(f"document_chunks_{name}"), constraint):
        connection.execute(
            sql.SQL(
                "ALTER TABLE {} ADD CONSTRAINT {} FOREIGN KEY (namespace, document_id) "
                "REFERENCES {} ON DELETE CASCADE"
            ).format(chunks, sql.Identifier(constraint), documents)
        )
    roles.secure_namespace(connection, name)


def _has_constraint(connection: psycopg.Connection, table: str, constraint: str) -> bool:
    row = connection.execute(
        """
        SELECT EXISTS (
            SELECT FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid
            WHERE relname = %s AND conname = %s
        )
        """,
        [table, constraint],
    ).fetchone()
    return bool(cast("tuple[bool]", row)[0])
