"""How long work says how far it is, whoever listens."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Told how far a piece of work has come, as often as there is news."""

    def __call__(self, done: int, total: int, unit: str) -> None:
        """`done` of `total` units ("files", "chunks", …) are finished."""


def silent(done: int, total: int, unit: str) -> None:
    """Nobody listens."""
