"""Dead letters: items that failed at one stage while their neighbours went on."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.rows import class_row

from greenlang_vectors.errors import ItemError
from greenlang_vectors.store.identity import derived_id


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One item that failed: where, why, how often and what to do about it."""

    stage: str
    item: str
    reason: str
    message: str
    remedy: str
    attempts: int
    last_failed_at: datetime


def record(
    connection: psycopg.Connection, namespace: str, stage: str, item: str, error: ItemError
) -> None:
    """Note that an item failed; failing again counts the attempts."""
    connection.execute(
        """
        INSERT INTO dead_letters AS known (namespace, id, stage, item, reason, message, remedy)
        VALUES (%s, %s, %s, %s, %s, %s, %s)
        ON CONFLICT (namespace, id) DO UPDATE SET
            reason = excluded.reason, message = excluded.message, remedy = excluded.remedy,
            attempts = known.attempts + 1, last_failed_at = now()
        """,
        [
            namespace,
            derived_id("dead letter", namespace, stage, item),
            stage,
            item,
            error.reason,
            error.message,
            error.remedy,
        ],
    )


def keep_only(
    connection: psycopg.Connection,
    namespace: str,
    stage: str,
    items: Collection[str],
    *,
    ending: str = "",
) -> None:
    """Forget the stage's dead letters but these: the others have come through or are gone.

    Args:
        ending: leave alone the items that do not end so.
    """
    connection.execute(
        """
        DELETE FROM dead_letters
        WHERE namespace = %s AND stage = %s AND item <> ALL(%s)
          AND right(item, length(%s)) = %s
        """,
        [namespace, stage, list(items), ending, ending],
    )


def list_all(
    connection: psycopg.Connection, namespace: str, stage: str | None = None
) -> list[DeadLetter]:
    """The dead letters of a namespace, by stage and item."""
    with connection.cursor(row_factory=class_row(DeadLetter)) as cursor:
        return cursor.execute(
            """
            SELECT stage, item, reason, message, remedy, attempts, last_failed_at
            FROM dead_letters
            WHERE namespace = %(namespace)s AND (%(stage)s::text IS NULL OR stage = %(stage)s)
            ORDER BY stage, item
            """,
            {"namespace": namespace, "stage": stage},
        ).fetchall()
