"""What is installed with the product: its packages, by what requires them, and their licences."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PRODUCT = "greenlang-vectors"
EXTRAS = ("aws", "langchain", "llamaindex", "tracing", "weaviate")
"""All that a deployment may install; `dev` stays with those who change the product."""

REFUSED = re.compile(r"\b(AGPL|Affero|SSPL|Server Side Public|Business Source|BUSL|Commons Clause)")
"""Licences that a service must not be built on, by how they are named."""

UNKNOWN = ("", "UNKNOWN")


def runtime(product: str = PRODUCT, extras: Sequence[str] = EXTRAS) -> dict[str, Distribution]:
    """The product's installed packages, by canonical name, without itself.

    Packages that another platform, Python or extra would need are not among them.
    """
    found: dict[str, Distribution] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    wanted = list(_required(distribution(product), extras))
    while wanted:
        requirement = wanted.pop()
        name = canonicalize_name(requirement.name)
        asked = (name, frozenset(requirement.extras))
        if asked in seen:
            continue
        seen.add(asked)
        with suppress(PackageNotFoundError):
            found[name] = distribution(name)
            wanted += _required(found[name], sorted(requirement.extras))
    return found


def licence(package: Distribution) -> str:
    """What the package says its licence is; empty if it says nothing.

    The expression of PEP 639, else the classifiers, else the first line of the old free field.
    """
    given = package.metadata
    if expressions := given.get_all("License-Expression"):
        return str(expressions[0])
    classifiers = [
        each.rpartition(" :: ")[2]
        for each in given.get_all("Classifier") or []
        if each.startswith("License :: ") and each != "License :: OSI Approved"
    ]
    [free, *_] = given.get_all("License") or [""]
    return " AND ".join(sorted(classifiers)) or str(free).strip().partition("\n")[0]


def unacceptable(packages: dict[str, Distribution]) -> dict[str, str]:
    """Those whose licence is refused or not known, with what they say of it."""
    said = {name: licence(package) for name, package in packages.items()}
    return {name: text for name, text in said.items() if text in UNKNOWN or REFUSED.search(text)}


def _required(package: Distribution, extras: Sequence[str]) -> Iterator[Requirement]:
    for line in package.requires or []:
        requirement = Requirement(line)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield requirement
