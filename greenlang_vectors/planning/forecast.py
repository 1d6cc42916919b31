"""How what is there grows, until when memory holds it, and the plans for now and for later."""

from __future__ import annotations

from dataclasses import dataclass, replace

from greenlang_vectors.planning.costs import keeping
from greenlang_vectors.planning.plan import Plan, Workload, plan
from greenlang_vectors.planning.present import Present
from greenlang_vectors.settings import Settings
from greenlang_vectors.store.server_settings import CACHE_SHARE, ENVIRONMENTS, GIB

DAY = 86_400.0
SHORTEST = 3600.0
"""Seconds between two looks from which on the difference tells of growth."""

AHEAD = {"now": 0, "in 90 days": 90, "in a year": 365}
DEVIATION = 0.1
"""What a prediction may be off by."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What an earlier look found; `at` in seconds since 1970."""

    rows: int
    at: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is to come.

    Attributes:
        hot_bytes: what searches and writes should find in memory: ANN indexes and B-trees.
        cache_bytes: what the instance of the profile has for it (PRD 5.4.1 and 18.2).
        rows_a_day: growth since the earlier look; None without one.
        days_left: until that memory is full; None where nothing grows.
        worst_deviation: of the larger leaves' predictions, in per cent.
        monthly_usd: of the plan for now, without searches; None while nothing is stored.
        plans: by when.
    """

    hot_bytes: int
    cache_bytes: int
    rows_a_day: float | None
    days_left: float | None
    worst_deviation: float | None
    monthly_usd: float | None
    plans: dict[str, Plan]
    remarks: tuple[str, ...]


def forecast(found: Present, settings: Settings, before: Seen | None) -> Forecast:
    """What is to come of what is there, if it goes on as it did since the earlier look."""
    environment = ENVIRONMENTS[settings.profile]
    cache = int(environment.memory_gib * GIB * CACHE_SHARE)
    hot = sum(each.ann_bytes + each.key_bytes for each in found.leaves)
    growth = _rows_a_day(found, before)
    deviations = [abs(each.deviation) for each in found.leaves if each.deviation is not None]
    plans = _plans(found, settings, growth or 0.0)
    made = Forecast(
        hot_bytes=hot,
        cache_bytes=cache,
        rows_a_day=growth,
        days_left=_days_left(found, hot, cache, growth),
        worst_deviation=100 * max(deviations) if deviations else None,
        monthly_usd=plans["now"].bill.usd if plans else None,
        plans=plans,
        remarks=(),
    )
    return replace(made, remarks=tuple(_remarks(made, environment.instance)))


def _rows_a_day(found: Present, before: Seen | None) -> float | None:
    if before is None:
        return None
    passed = found.at.timestamp() - before.at
    return (found.rows - before.rows) / passed * DAY if passed >= SHORTEST else None


def _days_left(found: Present, hot: int, cache: int, growth: float | None) -> float | None:
    if not growth or growth < 0 or not found.rows or not hot:
        return None
    return max(0.0, (cache - hot) / (hot / found.rows * growth))


def _plans(found: Present, settings: Settings, growth: float) -> dict[str, Plan]:
    """Plans of all rows together, as if they were of the largest leaf."""
    if not found.rows:
        return {}
    largest = max(found.leaves, key=lambda each: each.rows)
    return {
        when: plan(
            Workload(
                vectors=max(1, round(found.rows + growth * days)),
                dimensions=largest.collection.dimensions,
                model=largest.collection.model,
                index=largest.collection.index,
                qps=0.0,
                profile=settings.profile,
                monthly_rows=max(0, round(growth * 30)),
                shape=largest.shape,
                keeping=keeping(settings, settings.profile),
                machine=found.machine or 1.0,
            )
        )
        for when, days in AHEAD.items()
    }


def _remarks(made: Forecast, instance: str) -> list[str]:
    said = []
    if made.hot_bytes > made.cache_bytes:
        said.append(
            f"Indexes no longer fit into the memory of {instance}: searches wait for storage."
            " Choose the next instance, or store halfvec or bit in the index."
        )
    elif made.days_left is not None and made.days_left < max(AHEAD.values()):
        said.append(
            f"At this growth the indexes fill the memory of {instance} in {made.days_left:,.0f}"
            " days."
        )
    if made.worst_deviation is not None and made.worst_deviation > 100 * DEVIATION:
        said.append(
            f"A leaf differs from what its rows need by {made.worst_deviation:.0f}%: dead rows or"
            " bloat (`greenlang-vectors indexes list`), or texts of other lengths."
        )
    now = made.plans.get("now")
    return [*said, *(now.remarks if now else ())]
