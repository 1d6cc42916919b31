"""Known holes in the pinned packages, as PyPI's advisories tell them (pip-audit).

Where the advisories cannot be had, a mirror may answer as if there were none: so a version with a
famous hole is asked for first, and without an answer to that nothing is said to be audited.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONTROL = "django==2.2"
"""Its holes have been public since 2019 (CVE-2019-12308 and many more)."""

TIMEOUT_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Advisory:
    """A hole in a pinned package, and the versions that mend it."""

    package: str
    version: str
    id: str
    fixed_in: tuple[str, ...]


def pins(constraints: Path) -> list[str]:
    """The pinned packages, NAME==VERSION."""
    return [line for line in constraints.read_text().splitlines() if "==" in line]


def reachable() -> bool:
    """Whether advisories can be had here."""
    return any(True for _ in advisories([CONTROL]))


def advisories(pinned: Sequence[str]) -> Iterator[Advisory]:
    """What is known of these packages; nothing where advisories cannot be had (`reachable`)."""
    for each in _asked(pinned):
        for hole in each.get("vulns", []):
            fixed = tuple(hole["fix_versions"])
            yield Advisory(each["name"], each["version"], hole["id"], fixed)


def _asked(pinned: Sequence[str]) -> list[dict[str, Any]]:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as requirements:
        requirements.write("\n".join(pinned))
        requirements.flush()
        done = subprocess.run(  # noqa: S603
            [
                *(sys.executable, "-m", "pip_audit", "--requirement", requirements.name),
                *("--vulnerability-service", "pypi", "--timeout", str(TIMEOUT_SECONDS)),
                *("--no-deps", "--disable-pip", "--progress-spinner", "off", "--format", "json"),
            ],
            capture_output=True,
            check=False,
        )
    try:
        found: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except ValueError:
        return []
    return found
