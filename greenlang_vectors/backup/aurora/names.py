"""What snapshots and clusters are called, and the tags that say what a snapshot is for.

Names are for people: what belongs to which tier, and when it was taken, is read from tags and from
AWS's own clock.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Literal, get_args

from greenlang_vectors.backup.aurora.errors import CannotCopy, InvalidName

Tier = Literal["daily", "weekly", "monthly"]
TIERS: tuple[Tier, ...] = get_args(Tier)
"""From the shortest interval to the longest."""

PREFIX = "greenlang-"
COPY_PREFIX = "greenlang-dr-"
LONGEST = 63

MADE_BY = "greenlang:made-by"
PRODUCT = "greenlang-vectors"
CLUSTER = "greenlang:cluster"
TIER = "greenlang:tier"
TAKEN_AT = "greenlang:taken-at"
COPIED_FROM = "greenlang:copied-from"
PINNED = "greenlang:pinned"
VERIFIED = "greenlang:verified"
RESTORED_FROM = "greenlang:restored-from"

_NAME = re.compile(r"[a-z](?:-?[a-z0-9])*", re.ASCII)
_ARN = re.compile(r"arn:[\w-]+:[\w-]+:([a-z0-9-]+):\d{12}:.+")


def valid(name: str) -> str:
    """The identifier of a snapshot, cluster or instance as AWS keeps it: in lower case.

    Source: CreateDBClusterSnapshot, RestoreDBClusterFromSnapshot, CreateDBInstance of the Amazon
    RDS API: 1 to 63 letters, digits and hyphens; first a letter; no hyphen last or beside another.

    Raises:
        InvalidName: AWS would not take it.
    """
    kept = name.lower()
    if len(kept) > LONGEST or not _NAME.fullmatch(kept):
        raise InvalidName(
            f"{name!r} cannot be a name in Aurora.",
            f"Use at most {LONGEST} letters, digits and single hyphens, a letter first and no"
            " hyphen last.",
        )
    return kept


def due_tier(day: date) -> Tier:
    """The tier of the snapshot that this day asks for: the longest-kept of those that are due.

    Monthly on the 1st, weekly on Sundays, else daily (PRD 12.1). One a day, because one of each
    tier, all kept for 90 days, would be 107, and an account may have 100 in a region.
    """
    if day.day == 1:
        return "monthly"
    return "weekly" if day.isoweekday() == 7 else "daily"


def candidates(tier: Tier, day: date, cluster: str) -> Iterator[str]:
    """What the snapshot may be called (PRD 12.3.2), and then with the cluster's name, for where
    another cluster of the region has the shorter one.

    Raises:
        InvalidName: with the cluster's name it becomes too long.
    """
    plain = f"{PREFIX}{tier}-{day.isoformat()}"
    yield valid(plain)
    yield valid(f"{plain}-{cluster}")


def copy_name(source: str) -> str:
    """What the copy of a snapshot is called (PRD 12.2).

    Raises:
        InvalidName: it becomes too long.
    """
    bare = source.removeprefix("rds:").removeprefix(PREFIX)
    return valid(f"{COPY_PREFIX}{bare}")


def region_of(arn: str) -> str | None:
    """The region that an ARN names; None for what is no ARN, such as a key's alias."""
    match = _ARN.fullmatch(arn)
    return None if match is None else match[1]


def key_of_region(key: str, region: str) -> str:
    """The KMS key, unless it says itself that it is of another region.

    Raises:
        CannotCopy: it does.
    """
    there = region_of(key)
    if there not in (None, region):
        raise CannotCopy(
            f"The KMS key {key} is in {there}; a copy in {region} needs a key of {region}.",
            "Set GREENLANG_AURORA_DR_KMS_KEY to a key of the region that copies go to.",
        )
    return key


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as RDS takes them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]
