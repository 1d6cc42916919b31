"""What the database remembers of exports and drills: it knows a manifest that was exchanged."""

from __future__ import annotations

import psycopg
from psycopg.types.json import Jsonb

from greenlang_vectors.backup.manifest import Drill, Manifest
from greenlang_vectors.lifecycle.sealing import sha256_of


def note_export(connection: psycopg.Connection, manifest: Manifest, seconds: float) -> None:
    """Note an export that lies whole in the backup location, and how long it took."""
    connection.execute(
        """
        INSERT INTO backup_exports
            (namespace, id, made_at, manifest_sha256, rows, size_bytes, seconds)
        VALUES (%s, %s, %s, %s, %s, %s, %s)
        """,
        [
            manifest.namespace,
            manifest.export,
            manifest.made_at,
            sha256_of(manifest),
            manifest.rows,
            manifest.size_bytes,
            seconds,
        ],
    )


def note_drill(connection: psycopg.Connection, drill: Drill) -> None:
    """Note what a drill found."""
    connection.execute(
        """
        INSERT INTO backup_drills
            (namespace, export_id, drilled_at, passed, problem, restore_seconds, figures)
        VALUES (%s, %s, %s, %s, %s, %s, %s)
        """,
        [
            drill.namespace,
            drill.export,
            drill.drilled_at,
            drill.passed,
            drill.problem,
            drill.restore_seconds,
            Jsonb(
                drill.model_dump(
                    mode="json",
                    include={"server_version", "pgvector_version", "tables", "rows", "recalls"},
                )
            ),
        ],
    )


def manifest_sha256(connection: psycopg.Connection, export_id: str) -> str | None:
    """SHA-256 of the export's manifest; None if this database does not know the export."""
    row = connection.execute(
        "SELECT manifest_sha256 FROM backup_exports WHERE id = %s", [export_id]
    ).fetchone()
    return None if row is None else row[0]


def restore_seconds(connection: psycopg.Connection) -> dict[str, float]:
    """How long the newest passed drill of each registered namespace took to restore it."""
    return dict(
        connection.execute(
            """
            SELECT DISTINCT ON (namespace) namespace, restore_seconds
            FROM backup_drills JOIN namespaces ON name = namespace
            WHERE passed ORDER BY namespace, drilled_at DESC
            """
        ).fetchall()
    )


def forget(connection: psycopg.Connection, export_id: str) -> None:
    """Forget an export that is deleted, and its drills."""
    with connection.transaction():
        connection.execute("DELETE FROM backup_drills WHERE export_id = %s", [export_id])
        connection.execute("DELETE FROM backup_exports WHERE id = %s", [export_id])
