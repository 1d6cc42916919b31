"""What a way in is measured by, and the documents that go it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

WORDS = (
    "undertaking",
    "shall",
    "report",
    "emissions",
    "of",
    "each",
    "installation",
    "under",
    "the",
)
WORDS_OF_A_DOCUMENT = 600


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured."""

    documents: int = 1000
    listed: int = 20_000
    events: int = 200
    uploads: int = 300
    large_uploads: int = 10
    rows: int = 10_000


@dataclass(frozen=True, slots=True)
class Way:
    """What a way took.

    Attributes:
        done: documents, objects, messages or rows.
        size: bytes that came in; 0 where they say nothing.
        seconds: by the clock.
        processor: seconds of this process.
    """

    name: str
    done: int
    size: int
    seconds: float
    processor: float


Section = tuple[str, list[Way]]
"""What is counted, and the floor with the ways above it."""


def take(name: str, done: int, size: int, work: Callable[[], object]) -> Way:
    """Do the work once, by the clock."""
    used, began = time.process_time(), time.perf_counter()
    work()
    return Way(name, done, size, time.perf_counter() - began, time.process_time() - used)


def texts(count: int) -> list[str]:
    """Documents of 4 KB, each other words, always the same."""
    chosen = random.Random(0)  # noqa: S311 - words, not secrets
    made = []
    for place in range(count):
        body = chosen.choices(WORDS, k=WORDS_OF_A_DOCUMENT)
        parts = [" ".join(body[start : start + 60]) for start in range(0, len(body), 60)]
        made.append("\n\n".join([f"# Act {place}", *(f"{part} {place}." for part in parts)]))
    return made
