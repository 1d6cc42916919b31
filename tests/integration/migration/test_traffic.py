"""Callers are shifted step by step, each when the gates have held; back at once, to any step."""

from __future__ import annotations

from itertools import pairwise

import psycopg
import pytest

from greenlang_vectors.errors import UsageError
from greenlang_vectors.migration import traffic
from greenlang_vectors.migration.callers import SHARES
from greenlang_vectors.migration.plan import Gates
from greenlang_vectors.store import weaviate_migrations

from .shifting import ago, moving, newest_step, read, verified

pytestmark = pytest.mark.integration


def test_every_step_up_needs_reads_of_its_own_and_is_recorded(
    connection: psycopg.Connection,
) -> None:
    name = moving(connection)
    for before, share in pairwise(SHARES):
        with pytest.raises(UsageError, match=r"The gates of .* do not hold: .*reads 0, not 20"):
            traffic.set_share(connection, name, share)
        read(connection, name)
        state = traffic.set_share(connection, name, share)
        assert (state.phase, state.share) == ("shifting", share)
        step = newest_step(connection, name)
        assert (step.step, step.phase, step.share) == ("traffic", "shifting", share)
        assert step.evidence["from"] == before
        gates = step.evidence["gates"]
        assert isinstance(gates, dict)
        assert gates["overlap"] == {"value": 1.0, "limit": 0.9, "holds": True, "breached": False}


@pytest.mark.parametrize(("share", "asked"), [(0, 50), (0, 100), (10, 100)])
def test_no_step_is_skipped(connection: psycopg.Connection, share: int, asked: int) -> None:
    name = moving(connection, "shifting", share=share)
    read(connection, name)
    with pytest.raises(UsageError, match=f"the next step is .*, not {asked}%"):
        traffic.set_share(connection, name, asked)
    assert weaviate_migrations.get(connection, name).share == share


@pytest.mark.parametrize("share", [-10, 1, 20, 101])
def test_there_are_four_steps(connection: psycopg.Connection, share: int) -> None:
    name = moving(connection, "shifting", share=10)
    with pytest.raises(UsageError, match=r"no step.*0, 10, 50, 100"):
        traffic.set_share(connection, name, share)


@pytest.mark.parametrize("phase", ["planned", "parallel", "decommissioned"])
def test_callers_are_shifted_in_their_phase_only(
    connection: psycopg.Connection, phase: weaviate_migrations.Phase
) -> None:
    name = moving(connection, phase)
    verified(connection, name)
    read(connection, name)
    for share in SHARES:
        with pytest.raises(UsageError, match=f"phase {phase}"):
            traffic.set_share(connection, name, share)
    assert weaviate_migrations.get(connection, name).phase == phase


@pytest.mark.parametrize("asked", [50, 10, 0])
def test_any_step_down_is_taken_though_no_gate_holds(
    connection: psycopg.Connection, asked: int
) -> None:
    name = moving(connection, "shifting", share=100)
    verified(connection, name, differences=3)
    read(connection, name, overlap=0.1)
    assert traffic.set_share(connection, name, asked).share == asked
    assert newest_step(connection, name).evidence["from"] == 100


def test_the_same_share_again_changes_nothing(connection: psycopg.Connection) -> None:
    name = moving(connection, "shifting", share=50)
    before = weaviate_migrations.steps(connection, name)
    assert traffic.set_share(connection, name, 50).share == 50
    assert weaviate_migrations.steps(connection, name) == before


def test_a_step_needs_a_clean_verification(connection: psycopg.Connection) -> None:
    name = moving(connection)
    read(connection, name)
    connection.execute("DELETE FROM weaviate_verifications WHERE namespace = %s", [name])
    with pytest.raises(UsageError, match="open_differences unknown"):
        traffic.set_share(connection, name, 10)
    verified(connection, name, differences=2)
    with pytest.raises(UsageError, match="open_differences 2, not 0 or less"):
        traffic.set_share(connection, name, 10)
    verified(connection, name)
    assert traffic.set_share(connection, name, 10).share == 10


def test_gates_must_hold_for_their_time_at_each_step(connection: psycopg.Connection) -> None:
    name = moving(connection, gates=Gates(hold_seconds=600, reads=20))
    read(connection, name)
    with pytest.raises(UsageError, match=r"held for [01] of 600 seconds"):
        traffic.set_share(connection, name, 10)
    ago(connection, name, 601)
    read(connection, name)
    assert traffic.set_share(connection, name, 10).share == 10
    read(connection, name)
    with pytest.raises(UsageError, match=r"held for [01] of 600 seconds"):
        traffic.set_share(connection, name, 50)
