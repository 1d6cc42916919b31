"""A namespace's model changed through Dagster: stages over all collections, comparison, switch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from greenlang_vectors.definitions import build_defs
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import collection_states, collections
from greenlang_vectors.store.collections import Collection
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.index_settings import IndexSettings

from .conftest import QUIET, Ingest
from .toy import ToyEmbedding

pytestmark = pytest.mark.integration

FIRST, OTHER = "csrd/all-MiniLM-L6-v2", "csrd/another"

Run = Callable[..., dg.ExecuteInProcessResult]


@pytest.fixture
def two(ingest: Ingest, namespace: Callable[[str], Path], fresh: Database) -> Database:
    """A database whose namespace csrd is filled, with an empty collection beside it."""
    namespace("csrd")
    assert ingest("csrd").success
    with fresh.connect() as connection:
        ToyEmbedding().embedders(fresh).create(connection, "csrd", "another", IndexSettings())
    return fresh


@pytest.fixture
def defs(two: Database, data_dir: Path) -> dg.Definitions:
    resources: dict[str, Any] = {
        "database": two,
        "embedding": ToyEmbedding(),
        "settings": Settings(data_dir=data_dir, chunk_tokens=64, quality_sample=10),
    }
    return build_defs(resource_overrides=resources)


@pytest.fixture
def switch(defs: dg.Definitions, instance: dg.DagsterInstance) -> Run:
    """Runs the job that switches to a collection."""

    def run(name: str) -> dg.ExecuteInProcessResult:
        return defs.resolve_job_def("switch_collection").execute_in_process(
            instance=instance,
            run_config={"ops": {"compare_and_switch": {"config": {"collection": name}}}, **QUIET},
            raise_on_error=False,
        )

    return run


def serving(database: Database) -> str:
    with database.connect() as connection:
        found = collections.serving(connection, "csrd")
    assert found is not None
    return found.name


def all_of(database: Database) -> list[Collection]:
    with database.connect() as connection:
        return collections.list_all(connection, "csrd")


def test_the_stages_fill_every_collection_and_say_so(ingest: Ingest, two: Database) -> None:
    result = ingest("csrd")
    assert result.success
    with two.connect() as connection:
        states = [collection_states.state_of(connection, each) for each in all_of(two)]
    assert [(state.missing, state.recall_at_10) for state in states] == [(0, 1.0), (0, 1.0)]
    assert states[0].rows == states[1].rows > 0
    assert all(state.index_bytes > 0 for state in states)
    tables = {
        event.asset_key.to_user_string(): event.materialization.metadata["collections"]
        for event in result.get_asset_materialization_events()
        if "collections" in event.materialization.metadata
    }
    assert set(tables) == {"embeddings", "vector_index", "search_quality"}
    for table in tables.values():
        assert isinstance(table, dg.TableMetadataValue)
        assert [record.data["collection"] for record in table.records] == [FIRST, OTHER]
    judged = {e.check_name: e for e in result.get_asset_check_evaluations()}
    assert "another" in str(judged["embeddings_match_chunks"].description)


def test_a_fault_of_the_one_beside_is_found(ingest: Ingest, two: Database) -> None:
    assert ingest("csrd").success
    with two.connect() as connection:
        connection.execute(
            "UPDATE vector_embeddings SET embedding = embedding + embedding"
            " WHERE embedding_model = 'another'"
        )
    failed = ingest("csrd")
    assert not failed.success
    (fault,) = (e for e in failed.get_asset_check_evaluations() if not e.passed)
    assert fault.check_name == "vectors_sound"
    assert str(fault.description).startswith("another: ")


def test_the_comparison_is_a_table_in_the_ui(
    ingest: Ingest, defs: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    assert ingest("csrd").success
    job = defs.resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(
        instance=instance,
        partition_key="csrd",
        run_config=QUIET,
        asset_selection=[dg.AssetKey("collection_comparison")],
    )
    (event,) = result.get_asset_materialization_events()
    shown = event.materialization.metadata["comparison"]
    assert isinstance(shown, dg.MarkdownMetadataValue)
    header, _, *rows = str(shown.value).splitlines()
    assert header.startswith("| collection | serves | rows |")
    assert [row.split("|")[1].strip() for row in rows] == [FIRST, OTHER]


def test_the_job_compares_and_switches_and_back(ingest: Ingest, two: Database, switch: Run) -> None:
    assert ingest("csrd").success
    for wanted, before in ((OTHER, FIRST), (FIRST, OTHER), (FIRST, FIRST)):
        result = switch(wanted)
        assert result.success
        assert serving(two) == wanted
        (event,) = (e for e in result.all_events if e.is_successful_output)
        noted = event.step_output_data.metadata
        assert noted["served_before"].value == before
        assert OTHER in str(noted["comparison"].value)


def test_the_job_refuses_what_is_unfinished_or_unknown_and_says_what_helps(
    two: Database, switch: Run
) -> None:
    for name, says in ((OTHER, "unfinished"), ("csrd/nothing", "Unknown collection")):
        result = switch(name)
        assert not result.success
        (failure,) = (e for e in result.all_events if e.is_step_failure)
        details = failure.step_failure_data.user_failure_data
        assert details is not None
        assert says in str(details.description)
        assert serving(two) == FIRST
