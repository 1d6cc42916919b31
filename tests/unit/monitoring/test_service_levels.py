"""Availability, error budget and targets, from counts (PRD 14.1)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from greenlang_vectors.errors import UsageError
from greenlang_vectors.monitoring import work
from greenlang_vectors.monitoring.slo import Level, _bounds
from greenlang_vectors.stages import chunks, documents, embeddings

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
KEPT = Level(
    "csrd",
    searches=10_000,
    failed=5,
    latency_p50_ms=8.0,
    latency_p99_ms=60.0,
    recall_at_10=0.97,
    recall_target=0.95,
)


def test_half_of_the_failures_that_may_be_leave_half_of_the_budget() -> None:
    assert KEPT.availability == pytest.approx(0.9995)
    assert KEPT.budget_left == pytest.approx(0.5)
    assert KEPT.missed == []


def test_a_budget_can_be_overdrawn() -> None:
    overdrawn = replace(KEPT, failed=20)
    assert overdrawn.budget_left == pytest.approx(-1)
    assert overdrawn.missed == ["availability"]


def test_what_nobody_measured_is_unknown_and_neither_kept_nor_missed() -> None:
    nothing = Level("csrd", 0, 0, None, None, None, 0.95)
    assert nothing.availability is None
    assert nothing.budget_left is None
    assert nothing.missed == []


@pytest.mark.parametrize(
    ("changes", "missed"),
    [
        ({"latency_p50_ms": 20.0}, "latency_p50_ms"),
        ({"latency_p99_ms": 100.0}, "latency_p99_ms"),
        ({"recall_at_10": 0.94}, "recall_at_10"),
    ],
)
def test_each_target_is_judged(changes: dict[str, float], missed: str) -> None:
    assert replace(KEPT, **changes).missed == [missed]  # type: ignore[arg-type]


def test_a_month_begins_and_ends_in_utc() -> None:
    assert _bounds("2025-12", NOW) == (
        datetime(2025, 12, 1, tzinfo=UTC),
        datetime(2026, 1, 1, tzinfo=UTC),
    )
    assert _bounds(None, NOW)[0] == datetime(2026, 11, 1, tzinfo=UTC)


@pytest.mark.parametrize("month", ["2026-13", "november", "2026-12"])
def test_what_is_no_month_that_has_begun_is_refused(month: str) -> None:
    with pytest.raises(UsageError):
        _bounds(month, NOW)


def test_dead_letters_of_every_stage_of_the_pipeline_are_told() -> None:
    assert work.STAGES == (documents.STAGE, chunks.STAGE, embeddings.STAGE)
