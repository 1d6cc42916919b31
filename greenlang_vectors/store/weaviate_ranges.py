"""How far a backfill is: ranges of uuids of each tenant, each with the last object that landed.

Where the backfill reads the server's own export, its files are the ranges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import psycopg
from psycopg.rows import class_row


@dataclass(frozen=True, slots=True)
class Range:
    """The objects from `first` to `last`, both included.

    Attributes:
        position: the last object whose batch is committed; None before the first.
        objects: how many were read.
        done: nothing lies behind the position.
        file: of the server's export, which is read in the order of its rows; None where pages are
            read.
    """

    tenant: str
    first: UUID
    last: UUID
    position: UUID | None = None
    objects: int = 0
    done: bool = False
    file: str | None = None

    @property
    def after(self) -> UUID | None:
        """The cursor to go on with; None for the beginning of everything."""
        if self.position is not None:
            return self.position
        return UUID(int=self.first.int - 1) if self.first.int else None


def list_all(connection: psycopg.Connection, namespace: str) -> list[Range]:
    """The ranges of a namespace, in order."""
    with connection.cursor(row_factory=class_row(Range)) as cursor:
        return cursor.execute(
            """
            SELECT tenant, first, last, position, objects, done, file FROM weaviate_ranges
            WHERE namespace = %s ORDER BY tenant, first
            """,
            [namespace],
        ).fetchall()


def add(connection: psycopg.Connection, namespace: str, ranges: Sequence[Range]) -> None:
    """Add ranges of tenants that have none yet, in one transaction."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(
            """
            INSERT INTO weaviate_ranges (namespace, tenant, first, last, file)
            VALUES (%s, %s, %s, %s, %s)
            """,
            [(namespace, each.tenant, each.first, each.last, each.file) for each in ranges],
        )


def advance(
    connection: psycopg.Connection, namespace: str, part: Range, position: UUID, objects: int
) -> None:
    """Note the last object that landed, in the transaction in which it does."""
    connection.execute(
        """
        UPDATE weaviate_ranges
        SET position = %s, objects = objects + %s, updated_at = clock_timestamp()
        WHERE namespace = %s AND tenant = %s AND first = %s
        """,
        [position, objects, namespace, part.tenant, part.first],
    )


def finish(connection: psycopg.Connection, namespace: str, part: Range) -> None:
    """Note that nothing lies behind the position."""
    connection.execute(
        """
        UPDATE weaviate_ranges SET done = true, updated_at = clock_timestamp()
        WHERE namespace = %s AND tenant = %s AND first = %s
        """,
        [namespace, part.tenant, part.first],
    )
