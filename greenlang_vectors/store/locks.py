"""Advisory locks: one worker at a time for one piece of work.

The lock is polled instead of waited for: a session blocked inside `pg_advisory_lock` holds a
snapshot that every CREATE INDEX CONCURRENTLY would wait for, and the two would deadlock.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.2


@contextmanager
def exclusive(connection: psycopg.Connection, *name: str, wait: bool = True) -> Iterator[bool]:
    """Hold the lock of this name on `connection` (autocommit), waiting as long as needed.

    PostgreSQL lets go of it when the connection ends, however it ends.

    Args:
        wait: if not, the body runs at once and is given False where another holds the lock.
    """
    key = "/".join(("greenlang", *name))
    waited = False
    while not _try(connection, key):
        if not wait:
            yield False
            return
        if not waited:
            logger.info("Waiting for another run to finish: %s", "/".join(name))
            waited = True
        time.sleep(POLL_SECONDS)
    try:
        yield True
    finally:
        if not connection.closed:
            connection.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [key])


def _try(connection: psycopg.Connection, key: str) -> bool:
    row = connection.execute(
        "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [key]
    ).fetchone()
    return row is not None and bool(row[0])
