"""Gates judge the reads of their time; a breached one shifts callers back by itself."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from greenlang_vectors.migration import gates
from greenlang_vectors.migration.gates import Gate
from greenlang_vectors.migration.plan import Gates
from greenlang_vectors.store import weaviate_migrations, weaviate_shadow_reads

from .shifting import FAILED, ago, moving, newest_step, note_waiting, read, verified

pytestmark = pytest.mark.integration


def judged(connection: psycopg.Connection, name: str) -> dict[str, Gate]:
    return {gate.name: gate for gate in gates.judge(connection, name)}


def shares(connection: psycopg.Connection, name: str) -> list[int]:
    return [step.share for step in weaviate_migrations.steps(connection, name)]


def watched(connection: psycopg.Connection, name: str) -> list[gates.RolledBack]:
    return [each for each in gates.watch(connection) if each.namespace == name]


def test_gates_hold_by_what_was_read(connection: psycopg.Connection) -> None:
    name = moving(connection)
    read(connection, name, 15)
    read(connection, name, 5, overlap=0.8, pgvector_ms=30.0)
    found = judged(connection, name)
    assert {each: gate.value for each, gate in found.items() if each != "held_seconds"} == {
        "overlap": pytest.approx(0.95),
        "text_overlap": None,
        "p99_ms": 30.0,
        "error_rate": 0.0,
        "open_differences": 0,
        "reads": 20,
    }
    assert gates.held(list(found.values()))


@pytest.mark.parametrize(
    ("gate", "changes"),
    [
        ("overlap", {"overlap": 0.5}),
        ("text_overlap", {"overlap": 0.0, "mode": "text"}),
        ("p99_ms", {"pgvector_ms": 51.0}),
        ("error_rate", FAILED),
    ],
)
def test_a_breached_gate_shifts_back_by_itself(
    connection: psycopg.Connection, gate: str, changes: dict[str, Any]
) -> None:
    name = moving(connection, "shifting", share=50)
    read(connection, name, 14)
    assert not watched(connection, name)
    read(connection, name, 12, **changes)
    back = 0 if gate == "error_rate" else 10
    [done] = watched(connection, name)
    assert (done.from_share, done.to_share) == (50, back)
    state = weaviate_migrations.get(connection, name)
    assert (state.phase, state.share) == ("shifting", back)
    step = newest_step(connection, name)
    assert (step.step, step.share, step.evidence["breached"]) == ("rollback", back, [gate])
    assert step.evidence["gates"][gate]["value"] is not None  # type: ignore[call-overload, index]
    assert not watched(connection, name), "the reads that were judged are judged once"


@pytest.mark.parametrize("mode", ["text", "hybrid"])
def test_searches_by_words_need_not_be_answered_equally(
    connection: psycopg.Connection, mode: str
) -> None:
    """Equal data: each side cuts words in its own way."""
    name = moving(connection, "shifting", share=50)
    read(connection, name, 20, mode=mode, overlap=0.7)
    found = judged(connection, name)
    assert gates.held(list(found.values()))
    assert (found["overlap"].value, found["text_overlap"].value) == (None, pytest.approx(0.7))
    read(connection, name, 2, mode="vector", overlap=0.7)
    assert not judged(connection, name)["overlap"].holds
    assert not watched(connection, name), "two reads of a kind breach nothing"


def test_open_differences_shift_back(connection: psycopg.Connection) -> None:
    name = moving(connection, "shifting", share=100)
    verified(connection, name, differences=1)
    [done] = watched(connection, name)
    assert (done.from_share, done.to_share) == (100, 50)


def test_what_waits_for_the_relay_keeps_a_step_from_being_taken_and_shifts_nobody_back(
    connection: psycopg.Connection,
) -> None:
    name = moving(connection, "shifting", share=50)
    read(connection, name)
    note_waiting(connection, name, seconds=5)
    assert judged(connection, name)["open_differences"].holds
    note_waiting(connection, name, seconds=300)
    found = judged(connection, name)["open_differences"]
    assert (found.value, found.holds, found.breached) == (1, False, False)
    assert not watched(connection, name)


def test_few_bad_reads_do_not_breach_what_many_good_ones_may_mend(
    connection: psycopg.Connection,
) -> None:
    name = moving(connection, "shifting", share=10, gates=Gates(hold_seconds=0, reads=200))
    read(connection, name, 2, **FAILED)
    read(connection, name, 2, pgvector_ms=1000.0)
    read(connection, name, 30, overlap=0.4)
    found = judged(connection, name)
    assert not any(found[each].holds for each in ("overlap", "p99_ms", "error_rate", "reads"))
    assert not watched(connection, name)
    read(connection, name, 1, **FAILED)
    [done] = watched(connection, name)
    assert done.to_share == 0


def test_weaviate_failing_is_not_pgvectors_error(connection: psycopg.Connection) -> None:
    name = moving(connection, "shifting", share=50)
    read(connection, name)
    down = {"overlap": None, "rank_distance": None, "weaviate_ms": None, "failed": "weaviate"}
    read(connection, name, 50, **down, error="down")
    found = judged(connection, name)
    assert found["error_rate"].value == 0
    assert found["reads"].value == 20, "only what both answered was compared"
    assert not watched(connection, name)


def test_reads_before_the_share_was_set_and_the_backfill_done_do_not_count(
    connection: psycopg.Connection,
) -> None:
    name = moving(connection, "parallel")
    read(connection, name)
    ago(connection, name, 1)
    with weaviate_migrations.changing(connection, name):
        weaviate_migrations.move(
            connection, name, "backfill", phase="backfilled", share=0, evidence={}
        )
    verified(connection, name)
    assert judged(connection, name)["reads"].value == 0
    assert judged(connection, name)["held_seconds"].value == pytest.approx(0, abs=1)
    read(connection, name)
    assert judged(connection, name)["reads"].value == 20
    ago(connection, name, 1)
    with weaviate_migrations.changing(connection, name):
        weaviate_migrations.move(
            connection, name, "traffic", phase="shifting", share=10, evidence={}
        )
    assert judged(connection, name)["reads"].value == 0


def test_only_the_reads_of_the_time_that_gates_hold_are_judged(
    connection: psycopg.Connection,
) -> None:
    name = moving(connection, "shifting", share=10, gates=Gates(hold_seconds=600, reads=20))
    read(connection, name, 100, overlap=0.0)
    ago(connection, name, 601)
    read(connection, name)
    assert gates.held(gates.judge(connection, name))


def test_nobody_is_shifted_back_who_was_not_shifted(connection: psycopg.Connection) -> None:
    names = [
        moving(connection, "backfilled", name="first"),
        moving(connection, "shifting", share=0, name="second"),
        moving(connection, "decommissioned", name="third"),
    ]
    for name in names:
        verified(connection, name, differences=2)
        read(connection, name, overlap=0.0)
    before = [shares(connection, name) for name in names]
    gates.watch(connection)
    assert [shares(connection, name) for name in names] == before


def test_old_reads_are_deleted_and_others_stay(connection: psycopg.Connection) -> None:
    name = moving(connection)
    read(connection, name, 5)
    ago(connection, name, 31 * 24 * 3600)
    read(connection, name, 3)
    assert weaviate_shadow_reads.prune(connection, 30) == 5
    kept = connection.execute(
        "SELECT count(*) FROM weaviate_shadow_reads WHERE namespace = %s", [name]
    ).fetchone()
    assert kept == (3,)
    assert weaviate_shadow_reads.prune(connection, 30) == 0
