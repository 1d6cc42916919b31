"""Writers and changes of a namespace's collections keep out of each other's way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from greenlang_vectors.errors import GreenLangError

LOCK_SECONDS = 5
"""How long a change of the partitions may make searches wait for a transaction that is longer."""


def share(connection: psycopg.Connection, namespace: str) -> None:
    """Keep changes out until the open transaction ends; any number of writers may at once."""
    connection.execute(
        "SELECT pg_advisory_xact_lock_shared(hashtextextended(%s, 0))", [_lock(namespace)]
    )


@contextmanager
def changing(connection: psycopg.Connection, namespace: str) -> Iterator[None]:
    """A transaction that waits until no writer shares the lock, and keeps new ones out.

    Raises:
        GreenLangError: a long transaction holds the namespace's tables; nothing was changed.
    """
    try:
        with connection.transaction():
            connection.execute("SELECT set_config('lock_timeout', %s, true)", [f"{LOCK_SECONDS}s"])
            connection.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [_lock(namespace)]
            )
            yield
    except psycopg.errors.LockNotAvailable as error:
        raise GreenLangError(
            f"A transaction of more than {LOCK_SECONDS} s holds the tables of {namespace}; "
            "nothing was changed.",
            "Try again when it has ended; it may be a backup.",
        ) from error


def _lock(namespace: str) -> str:
    return f"greenlang/collections/{namespace}"
