"""The promised recall: a run tunes searches to it and shows how; when it falls, it is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import dagster as dg
import numpy as np
import pytest

from greenlang_vectors.definitions import build_defs
from greenlang_vectors.embedding.models import PACKAGED_MODEL
from greenlang_vectors.search import ways
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import collections, leaves, maintenance, namespaces, records
from greenlang_vectors.store.collections import Collection
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.index_settings import IndexSettings
from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.writing import EmbeddingRow, write
from schedules.failures import explain

from .conftest import QUIET
from .toy import ToyEmbedding

pytestmark = pytest.mark.integration

LEAF = Leaf("csrd", PACKAGED_MODEL, 384)
ROWS = 600

Run = Callable[[], dg.ExecuteInProcessResult]


@pytest.fixture
def measure(
    fresh: Database, instance: dg.DagsterInstance, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> Run:
    """Runs search_quality with its check on a leaf whose graph is too sparse for narrow searches.

    Its few rows are dealt with like many.
    """
    monkeypatch.setattr(maintenance, "EXACT_ROWS", 20)
    monkeypatch.setattr(ways, "SCAN_US", 1000.0)
    settings = Settings(data_dir=data_dir, quality_sample=20)
    with fresh.connect() as connection:
        namespaces.register(connection, "csrd")
        leaves.ensure_leaf(connection, LEAF, IndexSettings(m=4, ef_construction=16))
        rows = [EmbeddingRow("document", uuid4(), i, "0" * 64, None) for i in range(ROWS)]
        vectors = np.random.default_rng(0).normal(size=(ROWS, 384)).astype(np.float32)
        write(connection, LEAF, rows, vectors, fingerprint="f")
    maintenance.maintain(fresh, LEAF, settings)
    instance.add_dynamic_partitions("namespace", ["csrd"])
    defs = build_defs(
        resource_overrides={
            "database": fresh,
            "embedding": ToyEmbedding(),
            "settings": settings,
        }
    )

    def run() -> dg.ExecuteInProcessResult:
        return defs.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=instance,
            partition_key="csrd",
            run_config=QUIET,
            raise_on_error=False,
            asset_selection=[dg.AssetKey("search_quality")],
        )

    return run


def collection(database: Database) -> Collection:
    with database.connect() as connection:
        return collections.get(connection, f"csrd/{PACKAGED_MODEL}")


def test_a_run_tunes_and_shows_the_curve(measure: Run, fresh: Database) -> None:
    result = measure()
    assert result.success
    (event,) = result.get_asset_materialization_events()
    shown = event.materialization.metadata
    width = collection(fresh).search_width
    assert width is not None
    assert shown["ef_search"].value == width
    assert shown["recall_target"].value == 0.95
    assert float(str(shown["recall_at_10"].value)) >= 0.95
    picture, _, header, _, *points = str(shown["curve"].value).splitlines()
    assert picture.startswith(f"![csrd/{PACKAGED_MODEL}: searched {width} wide, ")
    assert "](data:image/png;base64," in picture
    assert header.startswith("| collection | ef_search or probes | recall@10 |")
    chosen = [point for point in points if f"**{width}**" in point]
    assert len(points) > len(chosen) == 1
    assert "once" in str(shown["history"].value)
    assert str(shown["filters"].value) == "The search log holds no search with a filter."


def test_recall_that_has_fallen_fails_the_check_and_is_told(
    measure: Run, fresh: Database, instance: dg.DagsterInstance
) -> None:
    assert measure().success
    with fresh.connect() as connection:
        assert len(records.search_quality_history(connection, LEAF, 30)) == 1
        collections.remember_width(connection, collection(fresh), 10)
    fallen = measure()
    assert not fallen.success
    (judged,) = (e for e in fallen.get_asset_check_evaluations() if e.blocking)
    assert (judged.check_name, judged.passed, judged.blocking) == ("recall_reached", False, True)
    line = explain(instance, fallen.dagster_run)
    assert "the blocking check recall_reached failed" in line
    assert "It had fallen to 0." in line
    assert (collection(fresh).search_width or 0) > 10, "searches are mended meanwhile"
    assert measure().success
    with fresh.connect() as connection:
        history = records.search_quality_history(connection, LEAF, 30)
        assert records.search_quality_history(connection, LEAF, 1) == history[:1]
    times, measured = zip(*history, strict=True)
    assert [*times] == sorted(times, reverse=True)
    assert [each.recall_before is None for each in measured] == [True, False, True]
