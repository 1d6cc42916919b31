"""How long builds take by the model, and what it says where memory does not suffice."""

from __future__ import annotations

from dataclasses import replace

import pytest

from greenlang_vectors.planning.builds import (
    MeasuredBuild,
    build_plan,
    build_seconds,
    machine_factor,
)
from greenlang_vectors.settings import PROFILES
from greenlang_vectors.store.index_settings import IndexSettings, resolved

GIB = 2**30
HNSW = IndexSettings(m=16, ef_construction=200)

MEASURED = {  # docs/capacity.md and docs/benchmarks.md: 384 dimensions on two cores
    10_000: {"vector": 3.0, "halfvec": 2.5, "bit": 2.1, "lists": 0.6},
    100_000: {"vector": 58.3, "halfvec": 48.1, "bit": 34.8, "lists": 2.9},
    200_000: {"vector": 134.8, "halfvec": 121.0, "lists": 7.0},
}


@pytest.mark.parametrize(
    ("rows", "name", "seconds"),
    [(rows, name, seconds) for rows, of in MEASURED.items() for name, seconds in of.items()],
)
def test_measured_builds_take_what_they_took(rows: int, name: str, seconds: float) -> None:
    """The promise is 30%; these are the builds the constants are from."""
    index = replace(HNSW, storage=name)  # type: ignore[arg-type]
    if name == "lists":
        index = resolved(IndexSettings(kind="ivfflat"), PROFILES["staging"], rows)
    assert build_seconds(index, 384, rows, cores=2) == pytest.approx(seconds, rel=0.16)


def test_a_graph_takes_more_than_its_rows_as_it_grows() -> None:
    small, large = (build_seconds(HNSW, 384, rows, cores=2) for rows in (100_000, 1_000_000))
    assert 10 * small < large < 16 * small
    assert build_seconds(HNSW, 384, 100_000, cores=4) == pytest.approx(small / 2)


def test_a_graph_beyond_its_memory_goes_on_row_by_row() -> None:
    wanted = build_plan(HNSW, 384, 1_000_000, cores=2, given_bytes=4 * GIB)
    given = build_plan(HNSW, 384, 1_000_000, cores=2, given_bytes=GIB)
    assert wanted.fits
    assert wanted.seconds_given == wanted.seconds
    assert not given.fits
    assert given.seconds == wanted.seconds
    assert 400_000 < given.rows_in_memory < 600_000
    assert given.seconds_given is not None
    assert given.seconds_given > 2 * given.seconds


def test_lists_are_trained_in_memory_or_not_at_all() -> None:
    index = IndexSettings(kind="ivfflat", lists=10_000)
    planned = build_plan(index, 384, 100_000_000, cores=8, given_bytes=GIB)
    assert planned.memory_bytes > GIB
    assert planned.seconds_given is None


def test_a_machine_is_judged_by_its_builds_of_a_second_and_more() -> None:
    known = build_seconds(HNSW, 384, 50_000, cores=2)
    builds = [
        MeasuredBuild(HNSW, 384, 50_000, 2 * known),
        MeasuredBuild(HNSW, 384, 10, 0.5),
    ]
    assert machine_factor(builds, cores=2) == pytest.approx(2)
    assert machine_factor(builds[1:], cores=2) is None
    twice = build_plan(HNSW, 384, 50_000, cores=2, given_bytes=GIB, machine=2.0)
    assert twice.seconds == pytest.approx(2 * known)
