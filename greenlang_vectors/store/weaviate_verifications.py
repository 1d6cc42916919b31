"""What verifications of a move from Weaviate found: each one's figures, and the newest one's
differences until they are repaired."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import psycopg
from psycopg.rows import class_row, scalar_row
from psycopg.types.json import Jsonb

from greenlang_vectors.documents.model import JSON


class OpenDifference(NamedTuple):
    """An object that is not the same on both sides (`migration.comparison.Difference`)."""

    object_id: UUID
    tenant: str
    kind: str
    detail: str


@dataclass(frozen=True, slots=True)
class Verified:
    """One verification that was made.

    Attributes:
        figures: as `migration.verification.Verification.as_json` gives them.
    """

    started_at: datetime
    finished_at: datetime
    clean: bool
    figures: dict[str, JSON]

    @property
    def said(self) -> str:
        """What was found, in sentences."""
        if self.clean:
            return "Both sides hold the same."
        failures = self.figures.get("failures")
        found = " ".join(map(str, failures)) if isinstance(failures, list) else ""
        return found or "Something is on its way across; verify again."


def save(
    connection: psycopg.Connection,
    namespace: str,
    started_at: datetime,
    *,
    clean: bool,
    figures: Mapping[str, JSON],
    differences: Sequence[OpenDifference],
) -> None:
    """Record a verification, its differences in place of those known before."""
    with connection.transaction():
        connection.execute(
            "INSERT INTO weaviate_verifications (namespace, started_at, clean, figures)"
            " VALUES (%s, %s, %s, %s)",
            [namespace, started_at, clean, Jsonb(dict(figures))],
        )
        connection.execute("DELETE FROM weaviate_differences WHERE namespace = %s", [namespace])
        with (
            connection.cursor() as cursor,
            cursor.copy(
                "COPY weaviate_differences (namespace, object_id, tenant, kind, detail) FROM STDIN"
            ) as copy,
        ):
            for each in differences:
                copy.write_row([namespace, *each])


def newest(connection: psycopg.Connection, namespace: str) -> Verified | None:
    """The newest verification; None before the first."""
    with connection.cursor(row_factory=class_row(Verified)) as cursor:
        return cursor.execute(
            """
            SELECT started_at, finished_at, clean, figures FROM weaviate_verifications
            WHERE namespace = %s ORDER BY id DESC LIMIT 1
            """,
            [namespace],
        ).fetchone()


def differences(
    connection: psycopg.Connection, namespace: str, most: int | None = None
) -> list[OpenDifference]:
    """The differences that are not repaired yet, by tenant and id; the first so many of them."""
    with connection.cursor(row_factory=class_row(OpenDifference)) as cursor:
        return cursor.execute(
            """
            SELECT object_id, tenant, kind, detail FROM weaviate_differences
            WHERE namespace = %s ORDER BY tenant, object_id LIMIT %s
            """,
            [namespace, most],
        ).fetchall()


def settle(
    connection: psycopg.Connection,
    namespace: str,
    tenant: str,
    ids: Sequence[UUID],
    remaining: Sequence[OpenDifference],
) -> None:
    """Of these objects of a tenant only the remaining differences are left."""
    with connection.transaction():
        connection.execute(
            """
            DELETE FROM weaviate_differences
            WHERE namespace = %s AND tenant = %s AND object_id = ANY(%s)
            """,
            [namespace, tenant, list(ids)],
        )
        with connection.cursor() as cursor:
            cursor.executemany(
                """
                INSERT INTO weaviate_differences (namespace, object_id, tenant, kind, detail)
                VALUES (%s, %s, %s, %s, %s)
                """,
                [(namespace, *each) for each in remaining],
            )


def waiting(connection: psycopg.Connection, namespace: str) -> set[UUID]:
    """The documents that the relay has still to carry to Weaviate, but those it was refused."""
    with connection.cursor(row_factory=scalar_row) as cursor:
        return set(
            cursor.execute(
                """
                SELECT DISTINCT document_id FROM weaviate_outbox
                WHERE namespace = %s AND not_before IS DISTINCT FROM 'infinity'
                """,
                [namespace],
            )
        )
