"""What an operator sees of a run: numbers over time, pictures, dead letters, what is late."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from greenlang_vectors.definitions import build_defs
from greenlang_vectors.embedding.embedder import Embedder
from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import namespaces, search_logs
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.search_logs import LoggedSearch
from resources.embedding import EmbeddingResource

from .conftest import QUIET, write_documents
from .toy import ToyModel

pytestmark = pytest.mark.integration

PRICE = 20.0
NOW = datetime.now(UTC)
PICTURE = "](data:image/png;base64,"

Shown = dict[str, dict[str, dg.MetadataValue]]


class PricedEmbedding(EmbeddingResource):
    """The toy model, as if each token cost something."""

    def embedders(self, database: Database) -> Embedders:  # noqa: ARG002
        model = ToyModel()
        model.spec = replace(model.spec, price=PRICE)
        return Embedders.only(Embedder(model))


def searched(latency_ms: float, at: datetime = NOW, failure: str | None = None) -> LoggedSearch:
    return LoggedSearch(
        namespace="csrd",
        collection=None,
        mode="text",
        query_text="which rules?",
        query_vector=None,
        filter=None,
        top_k=3,
        threshold=None,
        returned=0,
        plan="",
        latency_ms=latency_ms,
        user=None,
        failure=failure,
        at=at,
    )


@pytest.fixture(scope="module")
def run(
    database: Database, data_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dg.ExecuteInProcessResult]:
    """A run of `ingest` of a namespace that people searched, beside two that were not run."""
    folder = write_documents(tmp_path_factory.mktemp("sources") / "csrd")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7 nonsense")
    with database.connect() as connection:
        namespaces.register(connection, "csrd", source_uri=str(folder))
        for name, days in [("new", 1), ("forgotten", 3)]:
            namespaces.register(connection, name)
            connection.execute(
                "UPDATE namespaces SET created_at = %s WHERE name = %s",
                [NOW - timedelta(days=days), name],
            )
        connection.execute(  # as a process that was killed leaves it
            "INSERT INTO embedding_jobs (namespace, source_type, source)"
            " VALUES ('forgotten', 'kafka', 'acts')"
        )
        search_logs.write(
            connection,
            [
                *(searched(float(ms)) for ms in range(1, 11)),
                searched(5000.0, failure="DatabaseBusy"),
                searched(6000.0, at=NOW - timedelta(days=8)),
            ],
        )
    defs = build_defs(
        resource_overrides={
            "database": database,
            "embedding": PricedEmbedding(),
            "settings": Settings(data_dir=data_dir, chunk_tokens=64, quality_sample=10),
        }
    )
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("namespace", ["csrd"])
        result = defs.resolve_job_def("ingest").execute_in_process(
            instance=instance, partition_key="csrd", run_config=QUIET, raise_on_error=False
        )
        assert result.success
        yield result


@pytest.fixture(scope="module")
def shown(run: dg.ExecuteInProcessResult) -> Shown:
    """The metadata of each stage."""
    return {
        event.asset_key.to_user_string(): dict(event.materialization.metadata)
        for event in run.get_asset_materialization_events()
        if event.asset_key is not None
    }


def test_every_stage_tells_seconds_rows_and_bytes_as_numbers(shown: Shown) -> None:
    assert len(shown) == 5
    for stage, metadata in shown.items():
        assert isinstance(metadata["seconds"], dg.FloatMetadataValue), stage
        assert float(str(metadata["seconds"].value)) > 0
        for figure in ("dagster/row_count", "table_bytes", "index_bytes"):
            assert isinstance(metadata[figure], dg.IntMetadataValue), (stage, figure)
            assert int(str(metadata[figure].value)) > 0, (stage, figure)


def test_embeddings_tell_what_they_cost(shown: Shown) -> None:
    cost, tokens = shown["embeddings"]["cost_dollars"], shown["embeddings"]["model_tokens"]
    assert isinstance(cost, dg.FloatMetadataValue)
    assert tokens.value == shown["chunks"]["tokens"].value
    assert cost.value == pytest.approx(float(str(tokens.value)) / 1e6 * PRICE)


def test_lengths_of_chunks_are_drawn(shown: Shown) -> None:
    chunks = shown["chunks"]
    assert (chunks["max_tokens"].value, chunks["model_reads"].value) == (64, 512)
    assert 0 < float(str(chunks["tokens_mean"].value)) <= int(str(chunks["tokens_longest"].value))
    assert int(str(chunks["tokens_longest"].value)) <= 64
    assert isinstance(chunks["chunk_lengths"], dg.MarkdownMetadataValue)
    assert PICTURE in str(chunks["chunk_lengths"].value)


def test_answered_searches_of_the_last_days_are_drawn(shown: Shown) -> None:
    quality = shown["search_quality"]
    assert quality["searches"].value == 10
    assert quality["searches_p50_ms"].value == 5.5
    assert 9 < float(str(quality["searches_p99_ms"].value)) <= 10
    assert isinstance(quality["latency"], dg.MarkdownMetadataValue)
    assert PICTURE in str(quality["latency"].value)


def test_a_dead_letter_says_what_to_do_and_what_tries_it_again(shown: Shown) -> None:
    table = shown["documents"]["dead_letters"]
    assert isinstance(table, dg.TableMetadataValue)
    [letter] = [record.data for record in table.records]
    assert (letter["stage"], letter["item"]) == ("documents", "broken.pdf")
    assert letter["reason"]
    assert letter["what happened"]
    assert " Run `greenlang-vectors dead-letters replay " in str(letter["what to do"])
    assert str(letter["failed"]).startswith("1×, last 20")
    assert [column.name for column in table.schema.columns] == list(letter)


def test_jobs_are_shown_with_what_killed_ones_left(
    run: dg.ExecuteInProcessResult, shown: Shown
) -> None:
    table = shown["embeddings"]["jobs"]
    assert isinstance(table, dg.TableMetadataValue)
    [job] = [record.data for record in table.records]
    assert (job["collection"], job["from"], job["status"]) == (
        f"csrd/{shown['embeddings']['model'].value}",
        *("document", "succeeded"),
    )
    assert job["passages"] == job["stored"] == str(shown["embeddings"]["written"].value)
    [check] = [
        each for each in run.get_asset_check_evaluations() if each.check_name == "no_job_is_stuck"
    ]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert check.description == (
        "Killed and left: 1. What goes on: greenlang-vectors consume forgotten --topic acts."
    )
    assert check.metadata["stuck"].value == 1


def test_a_namespace_that_nobody_runs_is_told_in_the_run_of_another(
    run: dg.ExecuteInProcessResult,
) -> None:
    [check] = [
        each
        for each in run.get_asset_check_evaluations()
        if each.check_name == "every_namespace_refreshed"
    ]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert check.description == (
        "Not refreshed for 36 hours: forgotten. Run `ingest` of these partitions, and see why"
        " nobody did."
    )
    assert (check.metadata["namespaces"].value, check.metadata["late"].value) == (2, 1)
    assert float(str(check.metadata["oldest_hours"].value)) == pytest.approx(72, abs=1)
