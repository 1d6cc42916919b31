"""What an examination finds: one thing that was looked at, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import psycopg

from greenlang_vectors.settings import ProfileName, Settings
from greenlang_vectors.store.connections import Access

Level = Literal["ok", "warning", "error"]
LEVELS: tuple[Level, ...] = ("ok", "warning", "error")
"""From the best on; their places are the exit codes of `doctor`."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        area: what it belongs to, such as "settings".
        check: what was looked at; the same in every version.
        expected: what would be well; empty where that is plain.
        source: where the expectation comes from.
        remedy: what to change; empty where nothing is to be.
    """

    area: str
    check: str
    level: Level
    found: str
    expected: str = ""
    source: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is examined.

    Attributes:
        profile: by whose numbers.
        access: the way to the writer.
        connection: to it; each check has a transaction of its own that only reads.
        embedded: whether it is the embedded server of this machine.
        pooled: whether a pooler stands between.
    """

    settings: Settings
    profile: ProfileName
    access: Access
    connection: psycopg.Connection
    embedded: bool
    pooled: bool

    @property
    def strict(self) -> bool:
        """Whether others rely on it: what dev may leave open is an error there."""
        return self.profile != "dev"

    @property
    def severe(self) -> Level:
        """The level of what only dev may leave open."""
        return "error" if self.strict else "warning"

    @property
    def aurora(self) -> bool:
        """Whether it is Aurora, whose settings live in a parameter group."""
        found = self.connection.execute("SELECT to_regproc('pg_catalog.aurora_version')")
        return found.fetchone() != (None,)


Check = Callable[[Subject], Iterator[Finding]]


def judged(
    area: str,
    check: str,
    problem: Level,
    found: str,
    *,
    well: bool,
    expected: str = "",
    source: str = "",
    remedy: str = "",
) -> Finding:
    """A finding of this level unless all is well; then it says nothing of what to do."""
    return Finding(
        area,
        check,
        "ok" if well else problem,
        found,
        expected,
        source,
        "" if well else remedy,
    )


NAMED = 5
"""Names that are listed."""


def listed(names: list[str], *, before: str = "", none: str = "none") -> str:
    """Some names, and how many more there are.

    Args:
        before: stands before them, such as "missing: ".
        none: what is said where there are none.
    """
    if not names:
        return none
    shown = before + ", ".join(names[:NAMED])
    return shown if len(names) <= NAMED else f"{shown} and {len(names) - NAMED} more"
