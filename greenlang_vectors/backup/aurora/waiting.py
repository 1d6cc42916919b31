"""Waiting for what Aurora does by itself, which takes minutes to hours."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from greenlang_vectors.backup.aurora.errors import TookTooLong

POLL_SECONDS = 15.0
SNAPSHOT_LIMIT = timedelta(hours=6)
COPY_LIMIT = timedelta(hours=12)
RESTORE_LIMIT = timedelta(hours=6)

T = TypeVar("T")


def until(
    look: Callable[[], T],
    done: Callable[[T], bool],
    *,
    what: str,
    limit: timedelta,
    poll_seconds: float | None = None,
) -> T:
    """Look again and again until it is done; return what was seen then.

    Args:
        what: what is waited for, as a message may say it.
        poll_seconds: the pause between looks; `POLL_SECONDS` when None.

    Raises:
        TookTooLong: after the limit; whatever `look` and `done` raise.
    """
    deadline = time.monotonic() + limit.total_seconds()
    while not done(seen := look()):
        if time.monotonic() >= deadline:
            raise TookTooLong(
                f"{what[:1].upper()}{what[1:]} is not there after {limit}.",
                "Aurora goes on with it: run the same command again to go on waiting.",
            )
        time.sleep(POLL_SECONDS if poll_seconds is None else poll_seconds)
    return seen
