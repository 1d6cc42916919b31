"""Which parts of the archive of a move hold objects that were carried over."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import psycopg
from psycopg.rows import class_row


@dataclass(frozen=True, slots=True)
class Part:
    """One Parquet object of the archive.

    Attributes:
        name: its key below the namespace's folder.
        sha256: of its bytes, in hex.
    """

    name: str
    objects: int
    size_bytes: int
    sha256: str


def note(connection: psycopg.Connection, namespace: str, part: Part) -> None:
    """Note a part that is written, in the transaction that carries its objects over."""
    connection.execute(
        """
        INSERT INTO weaviate_parts (namespace, name, objects, size_bytes, sha256)
        VALUES (%(namespace)s, %(name)s, %(objects)s, %(size_bytes)s, %(sha256)s)
        """,
        {"namespace": namespace, **asdict(part)},
    )


def list_all(connection: psycopg.Connection, namespace: str) -> list[Part]:
    """The parts of a namespace's archive, by name, that is in the order of their writing."""
    with connection.cursor(row_factory=class_row(Part)) as cursor:
        return cursor.execute(
            """
            SELECT name, objects, size_bytes, sha256 FROM weaviate_parts
            WHERE namespace = %s ORDER BY name
            """,
            [namespace],
        ).fetchall()
