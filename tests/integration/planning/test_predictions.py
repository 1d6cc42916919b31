"""The model beside real leaves (the benchmark run small), and the asset over a real database."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest

from assets.capacity_plan import capacity_plan
from benchmarks import planning, rows
from benchmarks.planning import Filled, Sizes
from benchmarks.vectors import VectorSource
from greenlang_vectors.planning import forecast
from greenlang_vectors.settings import Settings
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.index_estimates import size_bytes
from greenlang_vectors.store.maintenance import maintain

pytestmark = pytest.mark.integration

ROWS, DIMENSIONS = 3_000, 64


@pytest.fixture(scope="module")
def filled(server: str) -> Filled:
    [one] = planning.measure(server, Sizes((ROWS,), DIMENSIONS))
    return one


def test_parts_of_a_leaf_are_as_large_as_predicted(filled: Filled) -> None:
    """Of three thousand rows single pages show: B-trees and the log are within a fifth."""
    near = {"rows": 0.05, "B-trees": 0.2, "audit log": 0.25, "WAL of the load": 0.2}
    parts = planning.parts(filled)
    assert parts["out of line (TOAST)"] == (8192, 0)
    for name, share in near.items():
        measured, predicted = parts[name]
        assert predicted == pytest.approx(measured, rel=share), name


def test_indexes_are_as_large_as_predicted(filled: Filled) -> None:
    assert filled.builds.keys() == planning.KINDS.keys()
    for title, built in filled.builds.items():
        near = 0.1 if built.index.kind == "hnsw" else 0.2  # each list ends with a page of its own
        expected = size_bytes(built.index, DIMENSIONS, ROWS)
        assert expected == pytest.approx(built.size_bytes, rel=near), title
        assert built.fits
        assert built.wal_bytes > 0


def test_the_benchmark_prints_every_part(filled: Filled) -> None:
    table = planning._builds_table([filled], DIMENSIONS)
    assert table.row_count == len(planning.KINDS)
    assert planning._parts_table(filled).row_count == len(planning.parts(filled))


def materialized(
    database: Database, instance: dg.DagsterInstance, settings: Settings
) -> dict[str, Any]:
    resources = {"database": database, "settings": settings}
    result = dg.materialize([capacity_plan], instance=instance, resources=resources)
    [event] = result.asset_materializations_for_node("capacity_plan")
    return {name: value.value for name, value in event.metadata.items()}


def test_the_asset_plots_what_is_there_and_how_it_grows(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forecast, "SHORTEST", 0.0)
    with dg.DagsterInstance.ephemeral() as instance, database.connect() as connection:
        empty = materialized(database, instance, settings)
        assert empty["rows"] == 0
        assert "No namespace holds an embedding" in empty["leaves"]
        leaf = rows.new_leaf(connection, DIMENSIONS)
        rows.fill(connection, leaf, VectorSource(dimensions=DIMENSIONS).take(ROWS))
        maintain(database, leaf, settings)
        grown = materialized(database, instance, settings)
    assert grown["rows"] == ROWS
    assert grown["rows a day"] > 0
    assert grown["ANN index bytes"] > 0
    assert grown["database bytes"] > grown["leaf bytes"] > grown["ANN index bytes"]
    assert grown["$ a month on Aurora"] > 0
    numbers = [value for name, value in grown.items() if name not in {"leaves", "plans", "parts"}]
    assert sum(isinstance(value, int | float) for value in numbers) >= 9
    assert f"| bench/{rows.MODEL} | {ROWS:,} |" in grown["leaves"]
    assert "| in a year |" in grown["plans"]
