"""Names, due tiers, recovery objectives and what may be pruned: rules that ask nobody."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlang_vectors.backup.aurora import names
from greenlang_vectors.backup.aurora.errors import CannotCopy, InvalidName
from greenlang_vectors.backup.aurora.names import TIERS, Tier, due_tier
from greenlang_vectors.backup.aurora.pruning import prunable
from greenlang_vectors.backup.aurora.runbook import objectives
from greenlang_vectors.backup.aurora.snapshots import Snapshot

NOW = datetime(2026, 6, 1, tzinfo=UTC)
KEEP: dict[Tier, timedelta] = dict.fromkeys(TIERS, timedelta(days=90))


def snapshot(
    days_ago: float,
    tier: Tier | None = "daily",
    *,
    status: str = "available",
    manual: bool = True,
    pinned: bool = False,
    verified: bool = False,
) -> Snapshot:
    return Snapshot(
        id=f"{tier}-{days_ago}",
        arn=f"arn:aws:rds:us-east-1:123456789012:cluster-snapshot:{tier}-{days_ago}",
        cluster="greenlang-prod",
        region="us-east-1",
        taken_at=NOW - timedelta(days=days_ago),
        status=status,
        progress=100,
        manual=manual,
        tier=tier,
        pinned=pinned,
        verified_at="2026-05-01T00:00:00Z" if verified else None,
        copied_from=None,
        encrypted=True,
        engine_version="15.4",
    )


@given(st.text(alphabet="abzABZ019-_. é", max_size=70))
def test_names_are_what_aws_takes(text: str) -> None:
    fits = (
        0 < len(text) <= 63
        and re.fullmatch("[A-Za-z0-9-]+", text, re.ASCII)
        and text[0].isalpha()
        and not text.endswith("-")
        and "--" not in text
    )
    if fits:
        assert names.valid(text) == text.lower()
    else:
        with pytest.raises(InvalidName):
            names.valid(text)


def test_the_cluster_is_named_only_where_the_short_name_is_taken() -> None:
    found = names.candidates("daily", date(2026, 2, 3), "greenlang-prod")
    assert next(found) == "greenlang-daily-2026-02-03"
    assert next(found) == "greenlang-daily-2026-02-03-greenlang-prod"
    long = names.candidates("monthly", date(2026, 2, 1), "x" * 50)
    assert next(long) == "greenlang-monthly-2026-02-01"
    with pytest.raises(InvalidName):
        next(long)


def test_copies_are_named_after_what_they_are_of() -> None:
    assert names.copy_name("greenlang-daily-2026-02-03") == "greenlang-dr-daily-2026-02-03"
    automated = "rds:prod-2026-02-03-03-10"
    assert names.copy_name(automated) == "greenlang-dr-prod-2026-02-03-03-10"


def test_a_key_is_refused_only_where_it_says_that_it_is_of_another_region() -> None:
    for key in ("alias/dr", "abc-123", "arn:aws-us-gov:kms:eu-west-1:123456789012:key/abc"):
        assert names.key_of_region(key, "eu-west-1") == key
    with pytest.raises(CannotCopy, match="us-east-1"):
        names.key_of_region("arn:aws:kms:us-east-1:123456789012:key/abc", "eu-west-1")


def test_every_day_has_one_tier_and_ninety_days_fit_the_quota() -> None:
    days = [date(2026, 1, 1) + timedelta(days=n) for n in range(800)]
    for day in days:
        expected = "weekly" if day.strftime("%a") == "Sun" else "daily"
        assert due_tier(day) == ("monthly" if day.day == 1 else expected)
    assert len([due_tier(day) for day in days[:91]]) < 100


@pytest.mark.parametrize(
    ("minutes", "state"), [(0, "met"), (5, "met"), (6, "late"), (10, "late"), (11, "breached")]
)
def test_a_promise_is_late_beyond_its_limit_and_breached_beyond_twice(
    minutes: float, state: str
) -> None:
    """Of the hour that a lost cluster may cost, twelve times the minutes."""
    found = objectives(None, [snapshot(12 * minutes / (24 * 60))], None, NOW)
    loss = next(each for each in found if each.name == "full cluster loss")
    assert (loss.limit, loss.state) == (timedelta(hours=1), state)


def test_only_available_snapshots_of_ours_or_a_longer_tier_count() -> None:
    found = [
        snapshot(0.1, status="creating"),
        snapshot(0.2, None),
        snapshot(0.3, None, manual=False),
        snapshot(0.4, "weekly"),
        snapshot(40, "monthly"),
    ]
    ages = {each.name: each.age for each in objectives(None, found, [], NOW)}
    assert ages["daily snapshot"] == ages["weekly snapshot"] == timedelta(days=0.4)
    assert ages["monthly snapshot"] == timedelta(days=40)
    assert ages["full cluster loss"] == timedelta(days=0.2)
    assert ages["regional disaster"] is None


def test_a_tier_is_missed_only_once_it_was_due() -> None:
    def monthly(days: float) -> str:
        found = objectives(None, [snapshot(days)], None, NOW)
        return next(each for each in found if each.name == "monthly snapshot").state

    assert (monthly(30), monthly(32)) == ("not due", "breached")


@given(
    st.lists(
        st.builds(
            snapshot,
            st.integers(0, 400),
            st.sampled_from([*TIERS, None]),
            status=st.sampled_from(["available", "failed", "creating"]),
            manual=st.booleans(),
            pinned=st.booleans(),
            verified=st.booleans(),
        ),
        unique_by=lambda each: each.id,
        max_size=40,
    ),
    st.integers(-4000, 4000),
)
def test_the_newest_available_and_the_newest_proven_of_a_tier_never_go(
    found: list[Snapshot], jump: int
) -> None:
    gone = prunable(found, KEEP, NOW + timedelta(days=jump))
    for each in gone:
        newer = [
            other
            for other in found
            if other.manual and other.tier == each.tier and other not in gone
        ]
        assert each.manual
        assert each.tier
        assert not each.pinned
        assert each.taken_at
        assert NOW - each.taken_at > KEEP[each.tier]
        assert any(o.status == "available" and o.taken_at > each.taken_at for o in newer)
        if each.verified_at:
            assert any(o.verified_at and o.taken_at >= each.taken_at for o in newer)
