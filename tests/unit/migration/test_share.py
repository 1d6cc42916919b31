"""A share of callers is near its percent, and whoever is in it stays in every larger one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlang_vectors.migration.callers import SHARES, reads_pgvector, step_down, step_up

CALLERS = [f"key:{number}" for number in range(10_000)]
namespaces = st.from_regex(r"[a-z]{1,12}", fullmatch=True)


@given(namespaces, st.text() | st.just("\ud800"))
def test_who_is_in_a_share_is_in_every_larger_one(namespace: str, key: str) -> None:
    sides = [reads_pgvector(namespace, key, share) for share in range(101)]
    assert sides == sorted(sides)
    assert not sides[0]
    assert sides[100]
    assert sides == [reads_pgvector(namespace, key, share) for share in range(101)]


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("namespace", ["csrd", "vcci"])
def test_a_share_is_near_its_percent(namespace: str, share: int) -> None:
    shifted = sum(reads_pgvector(namespace, caller, share) for caller in CALLERS)
    # Four standard deviations of a binomial of 10,000 are 200 at most.
    assert abs(shifted - 100 * share) <= 200 * (0 < share < 100)


def test_the_callers_of_one_namespace_are_not_those_of_another() -> None:
    one, other = (
        {caller for caller in CALLERS if reads_pgvector(namespace, caller, 50)}
        for namespace in ("csrd", "vcci")
    )
    # Two independent halves have a quarter in common.
    assert abs(len(one & other) - 2500) < 250


def test_a_caller_without_a_key_is_shifted_last() -> None:
    assert [reads_pgvector("csrd", None, share) for share in SHARES] == [False, False, False, True]


def test_steps_lead_up_one_at_a_time_and_down() -> None:
    assert [step_up(share) for share in SHARES] == [10, 50, 100, None]
    assert [step_down(share) for share in SHARES] == [0, 0, 10, 50]
