"""The archives table: which archives were begun, sealed and finished."""

from __future__ import annotations

import psycopg

from greenlang_vectors.store.leaves import Leaf


def begin(connection: psycopg.Connection, leaf: Leaf, archive_id: str) -> None:
    """Note that an archive of this leaf is being written."""
    connection.execute(
        "INSERT INTO archives (namespace, id, embedding_model) VALUES (%s, %s, %s)",
        [leaf.namespace, archive_id, leaf.model],
    )


def seal(
    connection: psycopg.Connection, namespace: str, archive_id: str, manifest_sha256: str
) -> None:
    """Note that all of the archive lies in the backup location, under this manifest."""
    connection.execute(
        "UPDATE archives SET manifest_sha256 = %s WHERE namespace = %s AND id = %s",
        [manifest_sha256, namespace, archive_id],
    )


def finish(connection: psycopg.Connection, namespace: str, archive_id: str) -> None:
    """Note that no more rows leave for this archive."""
    connection.execute(
        """
        UPDATE archives SET finished_at = coalesce(finished_at, now())
        WHERE namespace = %s AND id = %s
        """,
        [namespace, archive_id],
    )


def discard(connection: psycopg.Connection, namespace: str, archive_id: str) -> None:
    """Forget an archive that never came to be."""
    connection.execute(
        "DELETE FROM archives WHERE namespace = %s AND id = %s", [namespace, archive_id]
    )


def unfinished(connection: psycopg.Connection, leaf: Leaf) -> list[str]:
    """The leaf's archives that a killed run left behind, oldest first."""
    found = connection.execute(
        """
        SELECT id FROM archives
        WHERE namespace = %s AND embedding_model = %s AND finished_at IS NULL ORDER BY started_at
        """,
        [leaf.namespace, leaf.model],
    )
    return [archive_id for (archive_id,) in found]


def manifest_sha256(connection: psycopg.Connection, namespace: str, archive_id: str) -> str | None:
    """SHA-256 of the archive's manifest; None if this database does not know the archive."""
    row = connection.execute(
        "SELECT manifest_sha256 FROM archives WHERE namespace = %s AND id = %s",
        [namespace, archive_id],
    ).fetchone()
    return None if row is None else row[0]
