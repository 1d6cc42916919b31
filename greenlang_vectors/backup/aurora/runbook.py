"""What could be restored right now, against what PRD 12.4 promises.

| PRD 12.4 | RPO | restored from | measured here |
|---|---|---|---|
| data corruption | 5 min | point-in-time restore | age of the newest restorable time |
| full cluster loss | 1 hour | see below | the newer of restorable time and snapshots |
| regional disaster | 24 hours | the copy in another region | age of what the newest copy holds |

A daily snapshot cannot hold the last hour, though PRD 12.4 names it for a lost cluster; the
automated backups can, if they are retained when the cluster is deleted. The snapshots of each tier
are measured against their own interval (PRD 12.1). An age beyond its limit is late, one beyond
twice the limit is breached: a copy takes its time, and the newest restorable time is up to five
minutes old as a rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from greenlang_vectors.backup.aurora import clusters, snapshots
from greenlang_vectors.backup.aurora.clusters import Cluster
from greenlang_vectors.backup.aurora.deployment import Deployment
from greenlang_vectors.backup.aurora.names import TIERS
from greenlang_vectors.backup.aurora.snapshots import AVAILABLE, Snapshot

CORRUPTION_RPO = timedelta(minutes=5)
CLUSTER_LOSS_RPO = timedelta(hours=1)
REGION_LOSS_RPO = timedelta(hours=24)
INTERVALS = {"daily": timedelta(days=1), "weekly": timedelta(days=7), "monthly": timedelta(days=31)}
QUOTA_WARNING = 0.9

State = Literal["met", "not due", "not set up", "late", "breached"]


@dataclass(frozen=True, slots=True)
class Objective:
    """One promise and what stands behind it.

    Attributes:
        newest: the time whose data could be restored; None for nothing.
        source: what would be restored.
        limit: how old that may be.
    """

    name: str
    newest: datetime | None
    source: str
    limit: timedelta
    age: timedelta | None
    state: State


@dataclass(frozen=True, slots=True)
class Runbook:
    """Every promise, and what the retention of automated backups and the quota look like.

    Attributes:
        manual_snapshots: of the account in the cluster's region, out of `quota`.
    """

    cluster: str
    at: datetime
    objectives: list[Objective]
    retention_days: int
    wanted_retention_days: int
    manual_snapshots: int
    quota: int

    @property
    def problems(self) -> list[str]:
        """What is not as it should be, a sentence each."""
        found = [
            f"{each.name}: {each.state}, {described(each)}"
            for each in self.objectives
            if each.state in ("late", "breached")
        ]
        if self.retention_days < self.wanted_retention_days:
            found.append(
                f"automated backups are kept for {self.retention_days} days instead of"
                f" {self.wanted_retention_days}"
            )
        if self.manual_snapshots >= QUOTA_WARNING * self.quota:
            found.append(
                f"{self.manual_snapshots} manual snapshots of the {self.quota} that are allowed"
            )
        return found

    @property
    def breached(self) -> bool:
        """Whether a promise could not be kept."""
        return any(each.state == "breached" for each in self.objectives)


def look(aurora: Deployment, now: datetime) -> Runbook:
    """Ask AWS what could be restored.

    A cluster that is gone is a finding, not an error: its snapshots are listed all the same.

    Raises:
        AuroraUnavailable: AWS cannot be asked.
    """
    cluster, copies = aurora.cluster, aurora.copies
    seen = clusters.find(aurora.rds, cluster)
    here = snapshots.all_of(aurora.rds, cluster)
    there = None if copies is None else snapshots.all_of(copies, cluster)
    return Runbook(
        cluster=cluster,
        at=now,
        objectives=objectives(seen, here, there, now),
        retention_days=0 if seen is None else seen.retention_days,
        wanted_retention_days=aurora.automated_days,
        manual_snapshots=snapshots.manual_in_region(aurora.rds),
        quota=aurora.quota,
    )


def objectives(
    cluster: Cluster | None,
    here: Sequence[Snapshot],
    there: Sequence[Snapshot] | None,
    now: datetime,
) -> list[Objective]:
    """Each promise against what there is.

    Args:
        here: the cluster's snapshots in its region.
        there: those in the region of copies; None where none is set.
    """
    latest = None if cluster is None else cluster.latest
    usable = [each for each in here if each.status == AVAILABLE]
    newest = _newest(usable)
    either = max((each for each in (latest, newest) if each is not None), default=None)
    judged = [
        _objective("data corruption", latest, "point-in-time restore", CORRUPTION_RPO, now),
        _objective(
            "full cluster loss",
            either,
            "automated backups" if either == latest else "snapshot",
            CLUSTER_LOSS_RPO,
            now,
        ),
    ]
    for rank, tier in enumerate(TIERS):
        # A day makes one snapshot, so one that is kept longer stands in for a shorter tier.
        kept = [each for each in usable if each.manual and each.tier in TIERS[rank:]]
        limit = INTERVALS[tier]
        judged.append(
            _objective(
                f"{tier} snapshot", _newest(kept), "snapshot", limit, now, since=_oldest(here)
            )
        )
    name, source, limit = "regional disaster", "copied snapshot", REGION_LOSS_RPO
    if there is None:
        return [*judged, Objective(name, None, source, limit, None, "not set up")]
    copied = [each for each in there if each.status == AVAILABLE]
    return [*judged, _objective(name, _newest(copied), source, limit, now)]


def described(objective: Objective) -> str:
    """How old the newest is, and how old it may be."""
    if objective.age is None:
        return f"there is no {objective.source}"
    age = timedelta(seconds=round(objective.age.total_seconds()))
    return f"the newest {objective.source} holds what was {age} ago (limit {objective.limit})"


def _objective(
    name: str,
    newest: datetime | None,
    source: str,
    limit: timedelta,
    now: datetime,
    since: datetime | None = None,
) -> Objective:
    """Args: since: when snapshots began to be made; before that, none was due."""
    age = None if newest is None else now - newest
    state: State
    if age is None:
        begun = since is not None and now - since > limit
        state = "not due" if since is not None and not begun else "breached"
    elif age <= limit:
        state = "met"
    else:
        state = "late" if age <= 2 * limit else "breached"
    return Objective(name, newest, source, limit, age, state)


def _newest(found: Sequence[Snapshot]) -> datetime | None:
    return max((each.taken_at for each in found if each.taken_at is not None), default=None)


def _oldest(found: Sequence[Snapshot]) -> datetime | None:
    ours = [each.taken_at for each in found if each.tier and each.taken_at is not None]
    return min(ours, default=None)


def row(objective: Objective) -> tuple[str, str, str, str, str]:
    """An objective as people read it: name, state, newest, age, limit."""
    newest, age = objective.newest, objective.age
    return (
        objective.name,
        objective.state,
        "" if newest is None else f"{newest:%Y-%m-%d %H:%M}",
        "" if age is None else str(timedelta(seconds=round(age.total_seconds()))),
        str(objective.limit),
    )


def as_json(found: Runbook) -> dict[str, object]:
    """The runbook for machines; ages and limits in seconds."""
    return {
        "cluster": found.cluster,
        "at": found.at.isoformat(),
        "breached": found.breached,
        "problems": found.problems,
        "retention_days": found.retention_days,
        "wanted_retention_days": found.wanted_retention_days,
        "manual_snapshots": found.manual_snapshots,
        "quota": found.quota,
        "objectives": [
            {
                "name": each.name,
                "state": each.state,
                "newest": None if each.newest is None else each.newest.isoformat(),
                "source": each.source,
                "age_seconds": None if each.age is None else each.age.total_seconds(),
                "limit_seconds": each.limit.total_seconds(),
            }
            for each in found.objectives
        ],
    }
