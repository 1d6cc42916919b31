"""Plans: machines that hold what they must, bills that add up, and remarks where promises break."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any, cast

import pytest

from greenlang_vectors.errors import UsageError
from greenlang_vectors.planning import costs, report
from greenlang_vectors.planning.costs import Keeping
from greenlang_vectors.planning.embedding_work import dimensions_of, embedding_work
from greenlang_vectors.planning.plan import Plan, Workload, duration, plan
from greenlang_vectors.planning.prices import prices
from greenlang_vectors.settings import PROFILES, ProfileName, Settings
from greenlang_vectors.store.index_settings import IndexSettings
from greenlang_vectors.store.server_settings import CACHE_SHARE, ENVIRONMENTS

GIB = 2**30


def planned(vectors: int, **given: Any) -> Plan:  # noqa: ANN401 - any part of a workload
    index = IndexSettings(**given.pop("index", {}))
    known = {"dimensions": 384, "model": "all-MiniLM-L6-v2", **given}
    return plan(Workload(vectors=vectors, index=index, **known))


def test_prices_are_dated_and_say_where_they_are_from() -> None:
    known = prices()
    assert known.dated >= date(2026, 11, 1)
    assert known.currency == "USD"
    parts = {"storage", "backup", "transfer", "s3", "compute", "embedding", "instances", "budget"}
    assert parts <= known.sources.keys()
    assert all(known.sources.values())


def test_larger_instances_of_a_family_cost_more() -> None:
    for family in prices().families:
        classes = list(prices().family(family).values())
        assert [c.gib for c in classes] == sorted(c.gib for c in classes)
        assert [c.hour for c in classes] == sorted(c.hour for c in classes)
        assert all(c.gib == 8 * c.vcpu for c in classes)


def test_every_environment_of_the_prd_has_a_price_and_a_budget() -> None:
    for profile, environment in ENVIRONMENTS.items():
        instance = prices().instances[environment.instance]
        assert (instance.vcpu, instance.gib) == (environment.vcpu, environment.memory_gib)
        assert environment.reader_instance in prices().instances
        assert profile in prices().budget


@pytest.mark.parametrize("profile", PROFILES)
def test_the_prds_own_instances_cost_what_it_says(profile: ProfileName) -> None:
    """PRD 15.1 rounds: within a twentieth."""
    made = planned(1_000_000, profile=profile, qps=1.0)
    writer = next(each for each in made.bill.costs if each.component == "writer")
    assert made.machines.writer == ENVIRONMENTS[profile].instance
    assert writer.usd == pytest.approx(writer.budget, rel=0.06)


def test_what_searches_walk_through_is_in_memory() -> None:
    made = planned(100_000_000)
    writer, reader = (
        prices().instances[cast("str", name)]
        for name in (made.machines.writer, made.machines.reader)
    )
    assert made.sizes.ann_index + made.sizes.keys <= writer.gib * GIB * CACHE_SHARE
    assert made.sizes.ann_index <= reader.gib * GIB * CACHE_SHARE
    assert made.machines.readers == ENVIRONMENTS["production"].readers


def test_half_the_bytes_in_the_index_are_smaller_machines() -> None:
    whole, half, bits = (
        planned(100_000_000, index={"storage": storage}) for storage in ("vector", "halfvec", "bit")
    )
    assert whole.bill.usd > half.bill.usd > bits.bill.usd
    assert whole.machines.writer_bytes > half.machines.writer_bytes > bits.machines.writer_bytes


def test_readers_follow_the_searches() -> None:
    few, many = (planned(10_000_000, qps=qps) for qps in (1.0, 5000.0))
    assert few.machines.readers == 2
    assert many.machines.readers * many.machines.reader_qps >= 5000
    assert (many.machines.readers - 1) * many.machines.reader_qps < 5000
    assert planned(10_000, profile="dev", qps=1.0).machines.readers == 0


def test_another_family_helps_out_where_one_ends() -> None:
    made = planned(300_000_000)
    assert made.machines.writer is not None
    assert made.machines.writer.startswith("db.r8g.")
    beyond = planned(2_000_000_000)
    assert beyond.machines.writer is None
    assert any("No instance keeps" in each for each in beyond.remarks)


def test_one_instance_holds_more_of_what_is_smaller() -> None:
    rows = {each.storage: each.rows for each in planned(1000).limits}
    assert cast("int", rows["vector"]) < cast("int", rows["halfvec"]) < cast("int", rows["bit"])
    held = planned(cast("int", rows["vector"]) * 99 // 100)
    assert held.machines.writer is not None
    assert planned(cast("int", rows["vector"]) * 103 // 100).machines.writer is None
    wide = planned(1000, dimensions=3072, model="x", index={"storage": "halfvec"})
    assert {each.storage: each.rows is None for each in wide.limits} == {
        "vector": True,
        "halfvec": False,
        "bit": False,
    }


def test_every_way_beyond_says_what_it_cannot_do() -> None:
    ways = {each.name: each.cannot for each in planned(1000).ways}
    assert {"halfvec", "bit, ranked again", "leaves apart", "Aurora Limitless", "Citus"} == {*ways}
    assert "Row-level security" in ways["Aurora Limitless"]
    assert all(ways.values())


def test_the_cheaper_configuration_of_storage_is_chosen() -> None:
    quiet, busy = (planned(100_000_000, qps=qps) for qps in (1.0, 1000.0))
    assert not quiet.bill.io_optimized
    assert busy.bill.io_optimized
    for made in (quiet, busy):
        assert made.bill.usd <= made.bill.other_usd
        assert made.bill.reserved_usd < made.bill.usd


def test_what_memory_holds_is_not_read_from_storage() -> None:
    def reads(vectors: int) -> float:
        made = planned(vectors, qps=100.0)
        return sum(each.usd for each in made.bill.costs if each.component == "I/O requests")

    assert reads(1_000_000) == 0
    all_cold = 100 * costs.ANSWER_PAGES * costs.SECONDS / 1e6 * prices().storage.io_million
    assert 0.5 * all_cold < reads(100_000_000) < all_cold


def test_old_snapshots_and_copies_are_charged_whole() -> None:
    def usd(name: str, keeping: Keeping) -> float:
        made = planned(10_000_000, keeping=keeping)
        return sum(each.usd for each in made.bill.costs if each.component == name)

    kept = Keeping(automated_days=35, snapshot_days=90, daily_change=0.0)
    short = replace(kept, snapshot_days=35)
    stored = planned(10_000_000).sizes.total / 1e9
    rate = prices().backup.gb_month
    assert usd("backup storage", kept) == pytest.approx(55 * stored * rate)
    assert usd("backup storage", short) == 0
    assert usd("DR copies", kept) > usd("DR copies", short) > 35 * stored * rate
    assert usd("DR copies", replace(kept, copies=False)) == 0


def test_what_is_kept_is_what_the_settings_say() -> None:
    kept = costs.keeping(Settings(aurora_snapshot_days=40, backup_daily_days=10), "dev")
    assert (kept.snapshot_days, kept.automated_days, kept.copies) == (40, 35, False)
    assert kept.exports == 10 + (90 - 10) // 7 + (365 - 90) // 30
    assert costs.keeping(Settings(), "production") == Keeping()


def test_remarks_say_which_promise_breaks() -> None:
    said = " ".join(planned(100_000_000).remarks)
    assert "the graph spills after" in said
    assert "times PRD 15.1's $1,900" in said
    assert "3.2 (below $500 an environment) disagree" in said
    assert not planned(1000, profile="dev", qps=1.0).remarks
    slow = planned(100_000_000, index={"kind": "ivfflat"})
    assert any("misses the P50 and P99" in each for each in slow.remarks)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"family": "m5"}, "no prices of the family 'm5'"),
        ({"dimensions": 3072}, "at most 2000 dimensions"),
    ],
)
def test_what_cannot_be_planned_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        planned(1000, **given)


def test_tokens_are_paid_for_or_reckoned_in_hours() -> None:
    local = embedding_work("all-MiniLM-L6-v2", 1_000_000, 400, prices())
    larger = embedding_work("all-mpnet-base-v2", 1_000_000, 400, prices())
    remote = embedding_work("text-embedding-3-small", 1_000_000, 400, prices())
    assert local.tokens == 400_000_000
    assert local.core_hours == pytest.approx(50.5, rel=0.01)
    assert cast("float", larger.core_hours) > cast("float", local.core_hours)
    assert remote.core_hours is None
    assert remote.dollars == pytest.approx(400 * 1.02 * 0.02)


def test_dimensions_are_the_models() -> None:
    assert dimensions_of("all-mpnet-base-v2", None) == 768
    assert dimensions_of("mine", 512) == 512
    with pytest.raises(UsageError, match="has 384 dimensions, not 768"):
        dimensions_of("all-MiniLM-L6-v2", 768)
    with pytest.raises(UsageError, match="not known here"):
        dimensions_of("mine", None)


def test_json_says_everything() -> None:
    said = report.as_json(planned(1_000_000))
    assert said["bytes"]["total"] == planned(1_000_000).sizes.total
    assert said["monthly"]["total"] == pytest.approx(
        sum(each["usd"] for each in said["monthly"]["components"])
    )
    assert said["monthly"]["prd_15_2"]["Pinecone (serverless)"] == 4000
    assert said["prices"]["dated"] == prices().dated.isoformat()
    assert {"build", "machines", "embedding", "one_instance_holds", "beyond"} <= said.keys()


def test_amounts_are_in_units_that_suit_them() -> None:
    assert [report.human(size) for size in (8192, 5e6, 2.5e9, 3e12)] == [
        "8.2 kB",
        "5.0 MB",
        "2.5 GB",
        "3.0 TB",
    ]
    assert [duration(each) for each in (12, 300, 9000, 1e6)] == [
        "12 s",
        "5.0 min",
        "2.5 h",
        "11.6 days",
    ]
