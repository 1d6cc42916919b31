"""Rows that wait for an index get one in a run of their own."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import dagster as dg
import numpy as np
import pytest

from greenlang_vectors.definitions import build_defs
from greenlang_vectors.embedding.models import PACKAGED_MODEL
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import leaves, maintenance, namespaces
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.writing import EmbeddingRow, write
from schedules.sensors import growing_tails

from .conftest import QUIET
from .toy import ToyEmbedding

pytestmark = pytest.mark.integration


def asked(instance: dg.DagsterInstance, database: Database) -> list[str | None]:
    with dg.build_sensor_context(instance=instance, resources={"database": database}) as context:
        result = growing_tails(context)
    assert isinstance(result, dg.SensorResult)
    return [request.partition_key for request in result.run_requests or []]


def test_a_namespace_whose_tail_has_grown_gets_a_run_that_indexes_it(
    fresh: Database, instance: dg.DagsterInstance, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "EXACT_ROWS", 20)
    leaf = Leaf("csrd", PACKAGED_MODEL, 384)

    def insert(count: int) -> None:
        rows = [EmbeddingRow("document", uuid4(), i, "0" * 64, None) for i in range(count)]
        vectors = np.random.default_rng(count).normal(size=(count, 384)).astype(np.float32)
        with fresh.connect() as connection:
            write(connection, leaf, rows, vectors, fingerprint="f")

    with fresh.connect() as connection:
        namespaces.register(connection, "csrd")
        leaves.ensure_leaf(connection, leaf)
    instance.add_dynamic_partitions("namespace", ["csrd"])
    assert asked(instance, fresh) == []
    insert(5)
    assert asked(instance, fresh) == ["csrd"], "rows of a leaf without any index wait"
    defs = build_defs(
        resource_overrides={
            "database": fresh,
            "embedding": ToyEmbedding(),
            "settings": Settings(data_dir=data_dir, index_build_memory_mb=64),
        }
    )
    run = defs.resolve_job_def("maintain_indexes").execute_in_process(
        instance=instance, partition_key="csrd", run_config=QUIET, raise_on_error=False
    )
    assert run.success
    assert asked(instance, fresh) == []
    insert(20)
    assert asked(instance, fresh) == [], "a short tail is left to the scan"
    insert(1)
    assert asked(instance, fresh) == ["csrd"]
