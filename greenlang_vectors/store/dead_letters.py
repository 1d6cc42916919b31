"""Dead letters: items that failed at one stage while their neighbours went on.

A letter is open until its item comes through or is gone. One that nobody will mend is discarded:
it stays, with who said so, and is counted no more while it fails for the same reason.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from greenlang_vectors.errors import ItemError, UsageError
from greenlang_vectors.store.identity import derived_id


class UnknownDeadLetter(UsageError):
    """There is no dead letter of this id."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One item that failed: where, why, how often and what to do about it.

    Attributes:
        item: what failed, as its stage calls it: the key of a document in its source, a passage
            ("DOCUMENT/NUMBER (MODEL)"), an object of Weaviate.
        attempts: how often it failed.
        discarded_at: when a person gave it up, and as whom; None while it is open.
    """

    namespace: str
    id: UUID
    stage: str
    item: str
    reason: str
    message: str
    remedy: str
    attempts: int
    first_failed_at: datetime
    last_failed_at: datetime
    discarded_at: datetime | None
    discarded_by: str | None


def record(
    connection: psycopg.Connection,
    namespace: str,
    stage: str,
    item: str,
    error: ItemError,
    *,
    original: bytes | None = None,
) -> None:
    """Note that an item failed; failing again counts the attempts.

    A discarded letter is open again where the reason is another one.

    Args:
        original: what failed, where it may be gone from where it came from.
    """
    connection.execute(
        """
        INSERT INTO dead_letters AS known
            (namespace, id, stage, item, reason, message, remedy, original)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
        ON CONFLICT (namespace, id) DO UPDATE SET
            reason = excluded.reason, message = excluded.message, remedy = excluded.remedy,
            original = excluded.original,
            attempts = known.attempts + 1, last_failed_at = now(),
            discarded_at = CASE WHEN known.reason = excluded.reason THEN known.discarded_at END,
            discarded_by = CASE WHEN known.reason = excluded.reason THEN known.discarded_by END
        """,
        [
            namespace,
            derived_id("dead letter", namespace, stage, item),
            stage,
            item,
            error.reason,
            error.message,
            error.remedy,
            original,
        ],
    )


def any_of(
    connection: psycopg.Connection, namespace: str, stage: str, items: Collection[str]
) -> bool:
    """Whether a dead letter of the stage, open or discarded, is of one of these items."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM dead_letters"
        " WHERE namespace = %s AND stage = %s AND item = ANY(%s))",
        [namespace, stage, list(items)],
    ).fetchone()
    return row == (True,)


def without_original(connection: psycopg.Connection, ids: Sequence[UUID]) -> set[UUID]:
    """Those of the dead letters that do not keep what failed."""
    rows = connection.execute(
        "SELECT id FROM dead_letters WHERE id = ANY(%s) AND original IS NULL", [list(ids)]
    )
    return {row[0] for row in rows}


def original(connection: psycopg.Connection, letter: DeadLetter) -> bytes | None:
    """What failed, as it came; None where it was not kept."""
    row = connection.execute(
        "SELECT original FROM dead_letters WHERE namespace = %s AND id = %s",
        [letter.namespace, letter.id],
    ).fetchone()
    return None if row is None or row[0] is None else bytes(row[0])


def keep_only(
    connection: psycopg.Connection,
    namespace: str,
    stage: str,
    items: Collection[str],
    *,
    ending: str = "",
    among: Collection[str] | None = None,
) -> None:
    """Forget the stage's dead letters but these: the others have come through or are gone.

    Args:
        ending: leave alone the items that do not end so.
        among: leave alone all others than these; None for none.
    """
    connection.execute(
        """
        DELETE FROM dead_letters
        WHERE namespace = %(namespace)s AND stage = %(stage)s AND item <> ALL(%(items)s)
          AND right(item, length(%(ending)s)) = %(ending)s
          AND (%(among)s::text[] IS NULL OR item = ANY(%(among)s))
        """,
        {
            "namespace": namespace,
            "stage": stage,
            "items": list(items),
            "ending": ending,
            "among": None if among is None else list(among),
        },
    )


def list_all(
    connection: psycopg.Connection,
    namespace: str,
    stage: str | None = None,
    *,
    discarded: bool = False,
) -> list[DeadLetter]:
    """The open dead letters of a namespace, by stage and item.

    Args:
        discarded: those that were given up, too.
    """
    with connection.cursor(row_factory=class_row(DeadLetter)) as cursor:
        return cursor.execute(
            """
            SELECT namespace, id, stage, item, reason, message, remedy, attempts,
                   first_failed_at, last_failed_at, discarded_at, discarded_by
            FROM dead_letters
            WHERE namespace = %(namespace)s AND (%(stage)s::text IS NULL OR stage = %(stage)s)
              AND (discarded_at IS NULL OR %(discarded)s)
            ORDER BY stage, item
            """,
            {"namespace": namespace, "stage": stage, "discarded": discarded},
        ).fetchall()


def find(connection: psycopg.Connection, ids: Sequence[UUID]) -> list[DeadLetter]:
    """The dead letters of these ids, open or discarded, by namespace, stage and item.

    Raises:
        UnknownDeadLetter: one of them is not there.
    """
    with connection.cursor(row_factory=class_row(DeadLetter)) as cursor:
        found = cursor.execute(
            """
            SELECT namespace, id, stage, item, reason, message, remedy, attempts,
                   first_failed_at, last_failed_at, discarded_at, discarded_by
            FROM dead_letters WHERE id = ANY(%s) ORDER BY namespace, stage, item
            """,
            [list(ids)],
        ).fetchall()
    if missing := set(ids) - {each.id for each in found}:
        raise UnknownDeadLetter(
            f"There is no dead letter {', '.join(sorted(map(str, missing)))}.",
            "It has come through, or never was: `greenlang-vectors dead-letters list`.",
        )
    return found


def discard(connection: psycopg.Connection, ids: Sequence[UUID]) -> None:
    """Give these up, in the name of whoever is connected; those given up before stay as they are.

    Raises:
        UnknownDeadLetter: one of them is not there; none is discarded.
    """
    with connection.transaction():
        find(connection, ids)
        connection.execute(
            """
            UPDATE dead_letters SET discarded_at = now(), discarded_by = session_user
            WHERE id = ANY(%s) AND discarded_at IS NULL
            """,
            [list(ids)],
        )
