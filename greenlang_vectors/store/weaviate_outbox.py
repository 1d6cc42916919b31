"""The outbox of dual writing: which documents Weaviate has to be given as they are here.

Triggers fill it in the writer's own transaction (revision 0013). It names documents, not changes:
whoever empties it brings across what is stored when it looks, so that a note may be followed
twice, and those of one document as one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import class_row, scalar_row

from greenlang_vectors.store import roles
from greenlang_vectors.store.identity import document_id
from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.namespaces import partition

FIRST_WAIT = 1.0
LONGEST_WAIT = 300.0
"""Seconds before a document that could not be brought across is tried again; doubled each time."""

NEWEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Noted:
    """A document that has to be brought across.

    Attributes:
        ids: the notes that say so, among those that were read.
        source_type, source_key: of one that was deleted; None where its row tells them.
    """

    document_id: UUID
    ids: tuple[int, ...]
    source_type: str | None
    source_key: str | None


@dataclass(frozen=True, slots=True)
class Lag:
    """How far Weaviate is behind.

    Attributes:
        documents: noted and not brought across.
        refused: those of them that Weaviate refuses (dead letters of the stage "relay").
        oldest_seconds: since the oldest note of one that is not refused; 0 where there is none.
    """

    documents: int
    refused: int
    oldest_seconds: float


def install(connection: psycopg.Connection, namespace: str, leaves: Sequence[Leaf]) -> None:
    """Have the documents noted whose embeddings in these leaves change; in a transaction.

    It waits until whoever writes to them has ended, and makes new writers wait until the
    transaction ends: what is committed before it can be seen, and what comes later is noted.
    Tables are locked in the order in which writers do.
    """
    roles.act_as_admin(connection)
    _call(connection, "dual_write_documents", partition("documents", namespace))
    for table in [partition("vector_embeddings", namespace), *(leaf.table for leaf in leaves)]:
        _call(connection, "dual_write_embeddings", table)


def remove(connection: psycopg.Connection, namespace: str) -> None:
    """Note nothing any more; in a transaction."""
    roles.act_as_admin(connection)
    for parent in ("documents", "vector_embeddings"):
        _call(connection, "end_dual_write", partition(parent, namespace))


def _call(connection: psycopg.Connection, function: str, table: sql.Identifier) -> None:
    connection.execute(
        sql.SQL("SELECT {}(%s::regclass)").format(sql.Identifier(function)),
        [table.as_string(connection)],
    )


@contextmanager
def from_weaviate(connection: psycopg.Connection) -> Iterator[None]:
    """A transaction that writes what Weaviate has: none of it is noted for the way back."""
    with connection.transaction():
        connection.execute("SELECT set_config('greenlang.from_weaviate', 'on', true)")
        yield


def note_present(connection: psycopg.Connection, namespace: str) -> int:
    """Note every document that did not come from Weaviate; return how many."""
    return connection.execute(
        """
        INSERT INTO weaviate_outbox (namespace, document_id)
        SELECT namespace, id FROM documents WHERE namespace = %s AND origin <> 'weaviate'
        """,
        [namespace],
    ).rowcount


def note_deletions(
    connection: psycopg.Connection, namespace: str, source_type: str, keys: Iterable[str]
) -> None:
    """Note that documents that are not here are deleted, if the namespace is written to both.

    Weaviate may have them: the relay deletes them there, and no backfill brings them here.
    """
    connection.execute(
        """
        SELECT note_deletion_for_weaviate(%(namespace)s, gone.id, %(type)s, gone.key)
        FROM unnest(%(ids)s::uuid[], %(keys)s::text[]) AS gone (id, key)
        WHERE EXISTS (
            SELECT FROM weaviate_migrations WHERE namespace = %(namespace)s AND dual_write)
        """,
        {
            "namespace": namespace,
            "type": source_type,
            "keys": (given := list(keys)),
            "ids": [document_id(namespace, source_type, key) for key in given],
        },
    )


def newest(connection: psycopg.Connection, namespace: str) -> int:
    """The number of the newest note; 0 where there is none."""
    row = connection.execute(
        "SELECT coalesce(max(id), 0) FROM weaviate_outbox WHERE namespace = %s", [namespace]
    ).fetchone()
    return cast("tuple[int]", row)[0]


def read(
    connection: psycopg.Connection,
    namespace: str,
    notes: int,
    last: int = NEWEST,
    documents: Collection[UUID] | None = None,
) -> list[Noted]:
    """The documents of the oldest notes whose time has come, oldest first.

    Args:
        notes: so many of them at most.
        last: none after this one.
        documents: of these alone.
    """
    rows = connection.execute(
        """
        SELECT id, document_id, source_type, source_key FROM weaviate_outbox
        WHERE namespace = %(namespace)s AND id <= %(last)s
          AND (not_before IS NULL OR not_before <= now())
          AND (%(documents)s::uuid[] IS NULL OR document_id = ANY(%(documents)s))
        ORDER BY id LIMIT %(notes)s
        """,
        {
            "namespace": namespace,
            "last": last,
            "notes": notes,
            "documents": None if documents is None else list(documents),
        },
    ).fetchall()
    found: dict[UUID, Noted] = {}
    for identity, document, source_type, source_key in rows:
        known = found.get(document, Noted(document, (), None, None))
        found[document] = Noted(
            document,
            (*known.ids, identity),
            source_type or known.source_type,
            source_key or known.source_key,
        )
    return list(found.values())


def forget(connection: psycopg.Connection, namespace: str, done: Sequence[Noted]) -> None:
    """Take away the notes of documents that were brought across, and older ones put off."""
    connection.execute(
        "DELETE FROM weaviate_outbox WHERE namespace = %s AND id = ANY(%s)",
        [namespace, _ids(done)],
    )
    connection.execute(
        """
        DELETE FROM weaviate_outbox
        WHERE namespace = %s AND document_id = ANY(%s) AND not_before IS NOT NULL
        """,
        [namespace, [each.document_id for each in done]],
    )


def defer(connection: psycopg.Connection, namespace: str, failed: Sequence[Noted]) -> None:
    """Put documents off that may go through later, each time for twice as long."""
    connection.execute(
        """
        UPDATE weaviate_outbox
        SET attempts = attempts + 1,
            not_before = now() + make_interval(
                secs => least(%(longest)s, %(first)s * 2.0 ^ least(attempts, 30)))
        WHERE namespace = %(namespace)s AND id = ANY(%(ids)s)
        """,
        {
            "first": FIRST_WAIT,
            "longest": LONGEST_WAIT,
            "namespace": namespace,
            "ids": _ids(failed),
        },
    )


def set_aside(connection: psycopg.Connection, namespace: str, refused: Sequence[Noted]) -> None:
    """Put documents off until they change, or until `retry`."""
    connection.execute(
        """
        UPDATE weaviate_outbox SET attempts = attempts + 1, not_before = 'infinity'
        WHERE namespace = %s AND id = ANY(%s)
        """,
        [namespace, _ids(refused)],
    )


def retry(
    connection: psycopg.Connection, namespace: str, documents: Collection[UUID] | None = None
) -> int:
    """Let documents that were put off be tried again now; return how many notes.

    Args:
        documents: these alone.
    """
    return connection.execute(
        """
        UPDATE weaviate_outbox SET not_before = NULL
        WHERE namespace = %(namespace)s AND not_before IS NOT NULL
          AND (%(documents)s::uuid[] IS NULL OR document_id = ANY(%(documents)s))
        """,
        {
            "namespace": namespace,
            "documents": None if documents is None else list(documents),
        },
    ).rowcount


def refused(connection: psycopg.Connection, namespace: str) -> list[str]:
    """The keys of the documents that Weaviate refuses."""
    with connection.cursor(row_factory=scalar_row) as cursor:
        return cursor.execute(
            """
            SELECT DISTINCT coalesce(o.source_key, d.source_key, o.document_id::text)
            FROM weaviate_outbox o
            LEFT JOIN documents d ON d.namespace = %(namespace)s AND d.id = o.document_id
            WHERE o.namespace = %(namespace)s AND o.not_before = 'infinity'
            """,
            {"namespace": namespace},
        ).fetchall()


def lag(connection: psycopg.Connection, namespace: str) -> Lag:
    """How far Weaviate is behind what is committed here."""
    with connection.cursor(row_factory=class_row(Lag)) as cursor:
        found = cursor.execute(
            """
            SELECT count(*) AS documents, count(*) FILTER (WHERE refused) AS refused,
                   coalesce(extract(epoch FROM clock_timestamp()
                                    - min(noted_at) FILTER (WHERE NOT refused)), 0)::float8
                       AS oldest_seconds
            FROM (SELECT min(noted_at) AS noted_at,
                         bool_and(coalesce(not_before = 'infinity', false)) AS refused
                  FROM weaviate_outbox WHERE namespace = %s GROUP BY document_id) AS noted
            """,
            [namespace],
        ).fetchone()
    return found or Lag(0, 0, 0.0)


def clear(connection: psycopg.Connection, namespace: str) -> None:
    """Forget every note, and what was deleted here."""
    connection.execute("DELETE FROM weaviate_outbox WHERE namespace = %s", [namespace])
    connection.execute("DELETE FROM weaviate_deletions WHERE namespace = %s", [namespace])


def _ids(noted: Sequence[Noted]) -> list[int]:
    return [identity for each in noted for identity in each.ids]
