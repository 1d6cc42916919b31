"""Advisory locks: one worker at a time for one piece of work.

What is one transaction takes `exclusive_transaction`, and goes through any pooler. What is longer
takes `exclusive`, whose lock belongs to the session: through a pooler it is refused, as the next
statement may reach another session, and the lock would stay with a stranger.

The lock is polled instead of waited for: a session blocked inside `pg_advisory_lock` holds a
snapshot that every CREATE INDEX CONCURRENTLY would wait for, and the two would deadlock.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg
from psycopg import sql

from greenlang_vectors.errors import DatabaseUnavailable

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.2

HELD = sql.SQL(
    """
    SELECT (classid::bigint << 32) | objid::bigint FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1 AND granted
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    """
)
"""The locks of this database that somebody holds, each as `hashtextextended(named(…), 0)`."""


@contextmanager
def exclusive(connection: psycopg.Connection, *name: str, wait: bool = True) -> Iterator[bool]:
    """Hold the lock of this name on `connection` (autocommit), waiting as long as needed.

    PostgreSQL lets go of it when the connection ends, however it ends.

    Args:
        wait: if not, the body runs at once and is given False where another holds the lock.

    Raises:
        DatabaseUnavailable: the connection leads through a pooler.
    """
    key = named(*name)
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
    except BaseException:
        with suppress(psycopg.Error):  # a command that was interrupted may be in progress still
            _release(connection, key)
        raise
    _release(connection, key)


@contextmanager
def exclusive_transaction(connection: psycopg.Connection, *name: str) -> Iterator[None]:
    """A transaction that holds the lock of this name, waiting as long as needed."""
    while True:
        with connection.transaction():
            row = connection.execute(
                "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [named(*name)]
            ).fetchone()
            if row == (True,):
                yield
                return
        time.sleep(POLL_SECONDS)


def named(*name: str) -> str:
    """The text whose hash is the lock of this name."""
    return "/".join(("greenlang", *name))


def _release(connection: psycopg.Connection, key: str) -> None:
    if not connection.closed:
        connection.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [key])


def _try(connection: psycopg.Connection, key: str) -> bool:
    row = connection.execute(
        "SELECT CASE WHEN pg_backend_pid() = %s"
        " THEN pg_try_advisory_lock(hashtextextended(%s, 0)) END",
        [connection.info.backend_pid, key],
    ).fetchone()
    if row == (None,):
        raise DatabaseUnavailable(
            "This work needs a session of its own, and the connection leads through a pooler.",
            "Let GREENLANG_DATABASE_URL lead to the server itself where stages, index builds and"
            " migrations run.",
        )
    return row == (True,)
