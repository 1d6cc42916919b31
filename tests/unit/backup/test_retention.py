"""What retention promises, over any copies and any clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlang_vectors.backup.retention import Copy, expired

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
KEEP = {"daily": 35 * DAY, "weekly": 90 * DAY, "monthly": 365 * DAY}
NOTHING: list[Copy] = []

moments = st.integers(-400 * 24, 4000 * 24).map(lambda hours: START + hours * HOUR)
copies = st.lists(
    st.builds(
        Copy,
        id=st.uuids().map(str),
        made_at=moments,
        tier=st.sampled_from([*KEEP, "unruled"]),
        good=st.booleans(),
        pinned=st.booleans(),
    ),
    max_size=60,
)


def daily(days: int, *, first: datetime = START, tier: str = "daily", every: int = 1) -> list[Copy]:
    return [
        Copy(f"{tier}-{day}", first + day * DAY, tier, good=True, pinned=False)
        for day in range(0, days, every)
    ]


def days_of(gone: Sequence[Copy]) -> list[int]:
    return [(copy.made_at - START).days for copy in gone]


def test_what_is_older_than_its_tier_is_kept_goes_oldest_first() -> None:
    made = daily(50)
    assert days_of(expired(made[::-1], KEEP, made[-1].made_at)) == list(range(14))


def test_names_say_nothing() -> None:
    named = [replace(copy, id=f"{-i:05}") for i, copy in enumerate(daily(50))]
    assert days_of(expired(named, KEEP, named[-1].made_at)) == list(range(14))


def test_tiers_expire_by_their_own_rules() -> None:
    made = daily(800) + daily(800, tier="weekly", every=7) + daily(800, tier="monthly", every=30)
    gone = expired(made, KEEP, START + 799 * DAY)
    oldest = {
        tier: (799 - min(days_of([c for c in made if c.tier == tier and c not in gone])))
        for tier in KEEP
    }
    assert oldest == {"daily": 35, "weekly": 85, "monthly": 349}


def test_tiers_expire_by_their_own_rules_when_older_ones_have_been_thinned_out() -> None:
    made: list[Copy] = []
    for day in range(800):
        made += daily(1, first=START + day * DAY)
        made += daily(1, first=START + day * DAY, tier="monthly") if day % 30 == 0 else []
        gone = expired(made, KEEP, made[-1].made_at)
        made = [copy for copy in made if copy not in gone]
    assert len([copy for copy in made if copy.tier == "daily"]) == 36
    assert len([copy for copy in made if copy.tier == "monthly"]) == 13


def test_copies_made_at_one_go_count_as_one() -> None:
    made = [
        replace(copy, id=f"{copy.id}-{n}", made_at=copy.made_at + n * timedelta(seconds=20))
        for copy in daily(50)
        for n in range(5)
    ]
    gone = expired(made, KEEP, START + 50 * DAY)
    assert sorted(set(days_of(gone))) == list(range(15))


def test_a_tier_that_is_made_no_more_expires_with_the_others() -> None:
    by_hand = daily(3, tier="weekly")
    gone = expired([*by_hand, *daily(200)], {"weekly": 90 * DAY}, START + 199 * DAY)
    assert gone == by_hand[:-1]


def test_copies_since_the_newest_good_one_stay() -> None:
    made = daily(10) + [replace(c, good=False) for c in daily(90, first=START + 10 * DAY)]
    assert days_of(expired(made, KEEP, made[-1].made_at)) == list(range(9))


def test_a_tier_without_a_good_copy_keeps_all() -> None:
    made = [replace(copy, good=False) for copy in daily(100)]
    weekly = daily(100, tier="weekly", every=7)
    assert expired([*made, *weekly], KEEP, START + 100 * DAY) == weekly[:2]


def test_pins_and_tiers_without_a_rule_stay() -> None:
    made = [replace(daily(1)[0], pinned=True), *daily(100)[1:]]
    assert days_of(expired(made, KEEP, made[-1].made_at))[0] == 1
    assert expired(made, {}, made[-1].made_at) == NOTHING


@pytest.mark.parametrize("ahead", [DAY, 40 * DAY, 27_000 * DAY])
def test_days_without_backups_age_nothing(ahead: timedelta) -> None:
    made = daily(36)
    assert expired(made, KEEP, made[-1].made_at + ahead) == NOTHING


@pytest.mark.parametrize("ahead", [2 * DAY, 40 * DAY, 27_000 * DAY])
def test_copies_made_while_the_clock_was_ahead_age_the_others_by_one_day(ahead: timedelta) -> None:
    made = daily(35)
    wrong = daily(3, first=made[-1].made_at + ahead)
    assert expired(made + wrong[:1], KEEP, wrong[0].made_at) == NOTHING
    assert days_of(expired(made + wrong, KEEP, wrong[-1].made_at)) == [0, 1]
    assert expired(made + wrong, KEEP, made[-1].made_at) == NOTHING  # the clock is right again


@pytest.mark.parametrize("behind", [DAY, 20 * DAY, 20_000 * DAY])
def test_a_clock_that_is_behind_deletes_less(behind: timedelta) -> None:
    made = daily(100)
    right = expired(made, KEEP, made[-1].made_at)
    wrong = expired(made, KEEP, made[-1].made_at - behind)
    assert right
    assert set(wrong) < set(right)


def test_a_copy_from_the_future_protects_nothing() -> None:
    good, bad = daily(1), [replace(c, good=False) for c in daily(100)[1:]]
    ahead = daily(1, first=START + 4000 * DAY)
    assert expired(good + bad + ahead, KEEP, START + 100 * DAY) == NOTHING


@given(copies, moments)
def test_the_newest_good_copy_of_each_tier_stays_and_all_since(
    made: list[Copy], now: datetime
) -> None:
    gone = expired(made, KEEP, now)
    for copy in gone:
        assert copy.tier in KEEP
        assert not copy.pinned
        assert any(
            other.good and other.tier == copy.tier and copy.made_at < other.made_at <= now
            for other in made
            if other not in gone
        )


@given(copies, moments, moments)
def test_nothing_goes_that_is_young_and_a_later_clock_alone_deletes_no_more(
    made: list[Copy], now: datetime, later: datetime
) -> None:
    newest = max((copy.made_at for copy in made if copy.made_at <= now), default=now)
    gone = expired(made, KEEP, now)
    assert all(newest - copy.made_at > KEEP[copy.tier] for copy in gone)
    assert gone == sorted(gone, key=lambda copy: copy.made_at)
    past = [copy for copy in made if copy.made_at <= now]
    if later >= now:
        assert expired(past, KEEP, later) == expired(past, KEEP, now)


@given(
    st.integers(3, 120),
    st.integers(0, 30_000),
    st.integers(0, 5),
    st.integers(0, 23),
)
def test_no_jump_of_the_clock_makes_copies_older_than_they_are(
    days: int, jump: int, since: int, hour: int
) -> None:
    """Copies daily; then the clock jumps, and goes on with daily copies from there."""
    made = daily(days)
    moved = daily(since, first=START + (days - 1 + jump) * DAY + hour * HOUR)
    gone = expired(made + moved, KEEP, START + (days + jump + since) * DAY)
    truly = {copy.id: days - 1 - i + since for i, copy in enumerate(made)}
    assert all(truly[copy.id] >= KEEP["daily"].days for copy in gone)
