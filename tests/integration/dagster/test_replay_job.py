"""The job that tries dead letters again, as an operator launches it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from greenlang_vectors.definitions import build_defs
from greenlang_vectors.settings import Settings
from greenlang_vectors.stages.documents import load_documents
from greenlang_vectors.store import dead_letters
from greenlang_vectors.store.database import Database

from .conftest import QUIET
from .toy import ToyEmbedding

pytestmark = pytest.mark.integration


def test_letters_are_tried_again_and_the_table_says_what_became_of_them(
    fresh: Database, instance: dg.DagsterInstance, namespace: Callable[[str], Path]
) -> None:
    folder = namespace("csrd")
    for file in ("a.pdf", "b.pdf"):
        (folder / file).write_bytes(b"no PDF")
    load_documents(fresh, "csrd", max_bytes=1000, cache_seconds=60)
    with fresh.connect() as connection:
        known = {each.item: each for each in dead_letters.list_all(connection, "csrd")}
    (folder / "a.pdf").unlink()
    instance.add_dynamic_partitions("namespace", ["csrd"])
    defs = build_defs(
        resource_overrides={
            "database": fresh,
            "embedding": ToyEmbedding(),
            "settings": Settings(max_document_bytes=1000),
        }
    )

    def launch(**config: object) -> dg.ExecuteInProcessResult:
        return defs.resolve_job_def("replay_dead_letters").execute_in_process(
            instance=instance,
            partition_key="csrd",
            run_config={**QUIET, "ops": {"replay_letters": {"config": config}}},
            raise_on_error=False,
        )

    def shown(result: dg.ExecuteInProcessResult) -> tuple[object, object, list[tuple[str, str]]]:
        assert result.success
        [event] = [e for e in result.all_events if e.is_successful_output]
        found = event.step_output_data.metadata
        table = found["letters"]
        assert isinstance(table, dg.TableMetadataValue)
        rows = [record.data for record in table.records]
        told = [(str(row["item"]), str(row["result"])) for row in rows]
        return found["settled"].value, found["failed_again"].value, told

    one = launch(ids=[str(known["b.pdf"].id)])
    assert shown(one) == (0, 1, [("b.pdf", "failed again")])
    everything = launch()
    assert shown(everything) == (1, 1, [("a.pdf", "settled"), ("b.pdf", "failed again")])
    assert shown(launch(stage="chunks")) == (0, 0, [])
    with fresh.connect() as connection:
        [left] = dead_letters.list_all(connection, "csrd")
    assert (left.item, left.attempts) == ("b.pdf", 3)
    gone = launch(ids=[str(known["a.pdf"].id)])
    assert not gone.success
