"""Which backups may go: rules over copies of any kind, without touching one.

The tiers and their days are PRD 12.1's. Who deletes asks here first, whether it deletes files
or snapshots.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate, pairwise

BURST = timedelta(hours=1)
"""Copies closer together than this were made at one go, and say nothing of how often."""


@dataclass(frozen=True, slots=True)
class Copy:
    """One backup of one thing: an export of a namespace, a snapshot of a cluster.

    Args:
        id: what it is called; means nothing to the rules.
        made_at: when it was made, with a time zone; best by the clock of the server that keeps it.
        tier: how often its like is made: "daily", "weekly", …
        good: whether a restore has proven it.
        pinned: whether somebody wants it kept.
    """

    id: str
    made_at: datetime
    tier: str
    good: bool
    pinned: bool


def expired(copies: Sequence[Copy], keep: Mapping[str, timedelta], now: datetime) -> list[Copy]:
    """The copies that may be deleted, oldest first.

    Promised, whatever the clock says:

    - A copy goes only if a newer good one of its tier stays. So the newest good copy of each tier
      and of all stays, and so does all that came after it; a tier without a good copy keeps all.
    - Pinned copies stay, and so do tiers without a rule in `keep`.
    - Age is never reckoned from `now`, but from the newest copy: no copy goes because time has
      passed, or seems to have passed, in which no backup was made.
    - A pause between two copies counts as no longer than is usual between them (the median). So a
      copy that was made while the clock was far ahead ages the others by one usual pause, and
      none goes that is younger than its tier is kept, less this one pause. After days without
      backups, older copies stay as many days longer.
    - Copies dated later than `now` (the clock is behind, or was ahead) stay, protect nothing, and
      age nothing.

    Pauses are taken along the copies of the tier, and along all copies: the longer age holds, so
    that a tier that is made no more expires with the others.

    Args:
        copies: all backups of one thing; only of one, because a copy protects nothing else.
        keep: how long each tier is kept.
        now: the present, by the clock of the caller.
    """
    known = sorted((copy for copy in copies if copy.made_at <= now), key=lambda c: c.made_at)
    newest_good = {copy.tier: copy.made_at for copy in known if copy.good}
    among_all = _ages([copy.made_at for copy in known])
    in_tier = {
        tier: _ages([copy.made_at for copy in known if copy.tier == tier]) for tier in newest_good
    }
    return [
        copy
        for copy in known
        if not copy.pinned
        and copy.tier in keep
        and copy.tier in newest_good
        and copy.made_at < newest_good[copy.tier]
        and max(among_all[copy.made_at], in_tier[copy.tier][copy.made_at]) > keep[copy.tier]
    ]


def _ages(times: Sequence[datetime]) -> dict[datetime, timedelta]:
    """From each time to the last, no pause between them counted longer than is usual."""
    pauses = [later - earlier for earlier, later in pairwise(times)]
    long = sorted(pause for pause in pauses if pause >= BURST)
    usual = long[(len(long) - 1) // 2] if long else BURST
    counted = (min(pause, usual) for pause in reversed(pauses))
    return dict(zip(reversed(times), accumulate(counted, initial=timedelta()), strict=False))
