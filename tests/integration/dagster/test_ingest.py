"""The job `ingest` over a real database: what it stores, reports, checks and stops at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import psycopg
import pytest

from assets import stage
from greenlang_vectors.progress import Progress, silent
from greenlang_vectors.quality.checks import CHECKS
from greenlang_vectors.store.database import Database
from schedules.failures import explain

from .conftest import Ingest

pytestmark = pytest.mark.integration

STAGES = ["documents", "chunks", "embeddings", "vector_index", "search_quality"]


def metadata(result: dg.ExecuteInProcessResult, stage: str) -> dict[str, object]:
    (event,) = (
        e for e in result.get_asset_materialization_events() if e.asset_key == dg.AssetKey(stage)
    )
    return {key: value.value for key, value in event.materialization.metadata.items()}


def materialized(result: dg.ExecuteInProcessResult) -> list[str]:
    return [e.asset_key.to_user_string() for e in result.get_asset_materialization_events()]


class Breaking:
    """Listens to the stages, and raises an error at one of them as often as it is told."""

    def __init__(self, stage: str, error: Exception, times: int) -> None:
        self.stage, self.error, self.left = stage, error, times

    def listener(self, context: dg.AssetExecutionContext) -> Progress:
        if context.asset_key == dg.AssetKey(self.stage) and self.left:
            self.left -= 1
            raise self.error
        return silent


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "FIRST_WAIT_SECONDS", 0)


def test_all_stages_run_and_say_what_they_hold(
    ingest: Ingest, namespace: Callable[[str], Path], fresh: Database
) -> None:
    folder = namespace("csrd")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7 nonsense")
    result = ingest("csrd")
    assert result.success
    assert materialized(result) == STAGES
    with fresh.connect() as connection:
        for stage, table, relation in [
            ("documents", "documents", "documents_csrd"),
            ("chunks", "document_chunks", "document_chunks_csrd"),
            ("search_quality", "search_quality", "search_quality_csrd"),
            ("embeddings", "vector_embeddings", None),
            ("vector_index", None, None),
        ]:
            reported = metadata(result, stage)
            database, schema, name = str(reported["dagster/relation_identifier"]).split(".")
            assert (database, schema) == (connection.info.dbname, "public")
            assert relation in (None, name)
            columns = connection.execute(
                "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(quote_ident(%s))"
                " AND attnum > 0 ORDER BY attnum",
                [table or name],
            ).fetchall()
            schema_shown = reported["dagster/column_schema"]
            assert isinstance(schema_shown, dg.TableSchema)
            assert [column.name for column in schema_shown.columns] == [c for (c,) in columns]
            rows = connection.execute(
                "SELECT count(*) FROM vector_embeddings"
                if stage == "vector_index"
                else psycopg.sql.SQL("SELECT count(*) FROM {}").format(psycopg.sql.Identifier(name))
            ).fetchone()
            assert rows == (reported["dagster/row_count"],)
            assert rows > (0,)
    documents = metadata(result, "documents")
    assert (documents["added"], documents["failed"]) == (2, 1)
    letters = documents["dead_letters"]
    assert isinstance(letters, dg.TableMetadataValue)
    assert [letter.data["item"] for letter in letters.records] == ["broken.pdf"]
    assert metadata(result, "search_quality")["recall_at_10"] == pytest.approx(1.0)


def test_every_check_judges_the_partition(ingest: Ingest, namespace: Callable[[str], Path]) -> None:
    folder = namespace("cbam")
    (folder / "empty.txt").write_bytes(b"")
    evaluations = ingest("cbam").get_asset_check_evaluations()
    assert {(e.asset_key.to_user_string(), e.check_name, e.blocking) for e in evaluations} == {
        *((check.stage, check.name, check.blocking) for check in CHECKS),
        ("search_quality", "every_namespace_refreshed", False),
        ("embeddings", "no_job_is_stuck", False),
    }
    of_all = {"every_namespace_refreshed", "no_job_is_stuck"}
    assert {e.partition for e in evaluations if e.check_name not in of_all} == {"cbam"}
    (warning,) = (e for e in evaluations if not e.passed)
    assert warning.asset_key == dg.AssetKey("documents")
    assert "dead_letters" in warning.check_name
    assert warning.severity is dg.AssetCheckSeverity.WARN
    assert warning.metadata["dead_letters"].value == 1
    assert "empty.txt" in str(warning.metadata["examples"].value)


def test_a_second_run_embeds_nothing(ingest: Ingest, namespace: Callable[[str], Path]) -> None:
    namespace("eudr")
    assert metadata(ingest("eudr"), "embeddings")["model_texts"] != 0
    again = ingest("eudr")
    assert again.success
    assert metadata(again, "embeddings")["model_texts"] == 0
    assert metadata(again, "documents")["unchanged"] == 2
    assert metadata(again, "vector_index")["built"] == []


def test_a_failed_blocking_check_stops_what_follows_in_its_namespace_alone(
    ingest: Ingest, namespace: Callable[[str], Path], fresh: Database, instance: dg.DagsterInstance
) -> None:
    namespace("csrd")
    namespace("cbam")
    assert ingest("csrd").success
    with fresh.connect() as connection:
        connection.execute(
            "UPDATE document_chunks SET content_hash = repeat('0', 64) WHERE chunk_index = 0"
        )
    stopped = ingest("csrd")
    assert not stopped.success
    assert materialized(stopped) == ["documents", "chunks"]
    line = explain(instance, stopped.dagster_run)
    assert line.startswith("csrd: the blocking check chunk_hashes_match failed: ")
    assert "\n" not in line
    assert ingest("cbam").success


def test_what_cannot_succeed_fails_at_once_and_says_what_helps(
    ingest: Ingest, namespace: Callable[[str], Path], instance: dg.DagsterInstance
) -> None:
    folder = namespace("vcci")
    folder.rename(folder.with_name("elsewhere"))
    result = ingest("vcci")
    assert not result.success
    assert not [e for e in result.all_events if e.is_step_up_for_retry]
    (failure,) = (e for e in result.all_events if e.is_step_failure)
    details = failure.step_failure_data.user_failure_data
    assert details is not None
    assert details.metadata["error"].value == "SourceUnavailable"
    assert details.metadata["what_helps"].value
    line = explain(instance, result.dagster_run)
    assert line.startswith("vcci: documents failed: ")
    assert str(folder) in line


def test_a_lost_connection_is_tried_again(
    ingest: Ingest,
    namespace: Callable[[str], Path],
    no_waiting: None,  # noqa: ARG001
) -> None:
    namespace("default")
    lost = psycopg.OperationalError("server closed the connection unexpectedly")
    result = ingest("default", progress=Breaking("chunks", lost, times=2))
    assert result.success
    assert [e.step_key for e in result.all_events if e.is_step_up_for_retry] == ["chunks"] * 2


def test_a_connection_that_stays_lost_fails_in_a_clear_line(
    ingest: Ingest,
    namespace: Callable[[str], Path],
    instance: dg.DagsterInstance,
    no_waiting: None,  # noqa: ARG001
) -> None:
    namespace("default")
    lost = psycopg.OperationalError("server closed the connection unexpectedly")
    result = ingest("default", progress=Breaking("embeddings", lost, times=99))
    assert not result.success
    assert materialized(result) == ["documents", "chunks"]
    assert explain(instance, result.dagster_run) == (
        "default: embeddings failed: server closed the connection unexpectedly"
    )


def test_a_defect_is_not_tried_again(
    ingest: Ingest, namespace: Callable[[str], Path], instance: dg.DagsterInstance
) -> None:
    namespace("default")
    result = ingest("default", progress=Breaking("chunks", ZeroDivisionError("oops"), times=1))
    assert not result.success
    assert explain(instance, result.dagster_run) == (
        "default: chunks failed: ZeroDivisionError: oops"
    )
