"""Growth, the days until memory is full, and the plans of later."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from greenlang_vectors.planning.forecast import DAY, Seen, forecast
from greenlang_vectors.planning.present import Present, PresentLeaf
from greenlang_vectors.planning.sizes import RowShape, leaf_sizes
from greenlang_vectors.settings import Settings
from greenlang_vectors.store.collections import Collection
from greenlang_vectors.store.index_settings import IndexSettings

NOW = datetime(2026, 11, 28, 7, tzinfo=UTC)
INDEX = IndexSettings(m=16, ef_construction=200)


def leaf(rows: int) -> PresentLeaf:
    """A leaf that is just as the model says."""
    sizes = leaf_sizes(INDEX, 384, rows)
    collection = Collection(
        *(uuid4(), "csrd/m", "csrd", "all-MiniLM-L6-v2", "all-MiniLM-L6-v2", 384),
        *({}, None, True, None, NOW, "1"),
    )
    return PresentLeaf(
        collection=collection,
        rows=rows,
        heap_bytes=sizes.heap,
        toast_bytes=sizes.toast,
        key_bytes=sizes.keys,
        filter_bytes=sizes.filter_index,
        ann_bytes=sizes.ann_index,
        shape=RowShape(),
        predicted=sizes,
    )


def present(*leaves: PresentLeaf) -> Present:
    return Present(leaves, database_bytes=10**9, machine=None, at=NOW)


def before(rows: int, days: float) -> Seen:
    return Seen(rows, NOW.timestamp() - days * DAY)


def test_growth_is_what_came_since_the_last_look() -> None:
    ahead = forecast(present(leaf(1_000_000)), Settings(), before(900_000, days=10))
    assert ahead.rows_a_day == pytest.approx(10_000)
    assert ahead.plans["in 90 days"].workload.vectors == pytest.approx(1_900_000)
    assert ahead.plans["now"].workload.monthly_rows == 300_000
    assert ahead.monthly_usd == ahead.plans["now"].bill.usd


def test_two_looks_in_a_row_tell_no_growth() -> None:
    found = present(leaf(1_000_000))
    assert forecast(found, Settings(), before(900_000, days=0.01)).rows_a_day is None
    assert forecast(found, Settings(), None).days_left is None
    shrinking = forecast(found, Settings(), before(1_100_000, days=10))
    assert shrinking.days_left is None
    assert shrinking.plans["in a year"].workload.vectors == 1


def test_the_day_is_told_on_which_memory_is_full() -> None:
    """dev: 12 of 16 GiB, at 2.2 GB a million vectors."""
    found = present(leaf(1_000_000))
    ahead = forecast(found, Settings(profile="dev"), before(0, days=10))
    assert ahead.days_left == pytest.approx(10 * (12 * 2**30 / ahead.hot_bytes - 1))
    assert any("fill the memory of db.r6g.large" in each for each in ahead.remarks)
    grown = forecast(present(leaf(10_000_000)), Settings(profile="dev"), before(0, days=10))
    assert grown.days_left == 0
    assert any("no longer fit" in each for each in grown.remarks)


def test_what_takes_more_than_its_rows_need_is_remarked() -> None:
    sound = leaf(100_000)
    bloated = replace(sound, ann_bytes=2 * sound.ann_bytes)
    assert sound.deviation == pytest.approx(0)
    assert forecast(present(sound), Settings(), None).worst_deviation == pytest.approx(0)
    ahead = forecast(present(bloated), Settings(), None)
    assert ahead.worst_deviation == pytest.approx(100 * -(bloated.deviation or 0))
    assert any("dead rows or bloat" in each for each in ahead.remarks)
    assert leaf(100).deviation is None


def test_nothing_is_planned_for_nothing() -> None:
    ahead = forecast(present(), Settings(), None)
    assert (ahead.plans, ahead.monthly_usd, ahead.worst_deviation) == ({}, None, None)
