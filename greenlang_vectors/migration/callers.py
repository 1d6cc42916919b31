"""Which callers pgvector answers: a share of them, the same ones every time (PRD 13.1)."""

from __future__ import annotations

import hashlib

SHARES = (0, 10, 50, 100)
"""Percent of callers, in the order in which they are shifted."""


def reads_pgvector(namespace: str, key: str | None, share: int) -> bool:
    """Whether this caller is one of the share's.

    The key alone decides, so a caller stays on his side, and whoever is in a share is in every
    larger one. In another namespace he may be on the other side.

    Args:
        key: what tells callers apart (of the HTTP API: the key's id, or the bearer of the token);
            a caller without one is shifted last, with 100.
        share: percent.
    """
    if key is None:
        return share == SHARES[-1]
    digest = hashlib.sha256(f"{namespace}\0{key}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest) % 100 < share


def step_up(share: int) -> int | None:
    """The next larger share; None behind the last."""
    return next((each for each in SHARES if each > share), None)


def step_down(share: int) -> int:
    """The next smaller share; none below the first."""
    return max((each for each in SHARES if each < share), default=SHARES[0])
