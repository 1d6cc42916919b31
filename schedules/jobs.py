"""Jobs: what schedules and sensors, and people in the UI, set going."""

from datetime import UTC, datetime, timedelta

import dagster as dg
from pydantic import Field

from assets.collection_comparison import comparison_table
from assets.stage import GROUP, explained
from greenlang_vectors.embedding.cache import PostgresCache
from greenlang_vectors.quality.comparison import compare
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import collections, jobs, search_logs, weaviate_shadow_reads
from greenlang_vectors.store.database import Database
from resources.embedding import EmbeddingResource
from schedules.workloads import workload

KEEP_RUNS = timedelta(days=90)

ingest = dg.define_asset_job(
    "ingest",
    selection=dg.AssetSelection.groups(GROUP),
    executor_def=dg.in_process_executor,
    description="All stages of one namespace with their checks, in one process: documents in, "
    "verified search out. Repeating it does only what has changed.",
)


maintain_indexes = dg.define_asset_job(
    "maintain_indexes",
    selection=dg.AssetSelection.assets("vector_index"),
    executor_def=dg.in_process_executor,
    tags=workload(cpu="500m", memory="1Gi"),
    description="The indexes of one namespace follow its rows: a tail that has grown is sealed, "
    "indexed and merged with small segments while searches and writes go on.",
)


class SwitchConfig(dg.Config):
    """What is to serve."""

    collection: str = Field(description="The collection, NAMESPACE/MODEL.")


@dg.op
def compare_and_switch(
    context: dg.OpExecutionContext,
    config: SwitchConfig,
    database: dg.ResourceParam[Database],
    embedding: EmbeddingResource,
    settings: dg.ResourceParam[Settings],
) -> None:
    """Measure the namespace's collections side by side, then let the given one serve.

    An unfinished collection is refused and nothing is changed. What served before is written to
    as before: switching to it again undoes this.
    """
    with explained(context):
        embedders = embedding.embedders(database)
        with database.connection() as connection:
            wanted = collections.get(connection, config.collection)
        compared = compare(database, wanted.namespace, embedders=embedders, settings=settings)
        with database.connection() as connection:
            before = collections.switch(connection, wanted.name, embedders.fingerprint(wanted))
        context.add_output_metadata(
            {
                "comparison": dg.MetadataValue.md(comparison_table(compared)),
                "served_before": wanted.name if before is None else before.name,
                "serves_now": wanted.name,
            }
        )


@dg.job(executor_def=dg.in_process_executor)
def switch_collection() -> None:
    """Compare a namespace's collections and let another one serve, in one transaction."""
    compare_and_switch()


class ArchiveConfig(dg.Config):
    """What is to be archived."""

    namespace: str = Field(description="The namespace.")
    older_than_days: int = Field(gt=0, description="Embeddings last written longer ago than this.")


@dg.op
def archive_old_embeddings(
    context: dg.OpExecutionContext,
    config: ArchiveConfig,
    database: dg.ResourceParam[Database],
    settings: dg.ResourceParam[Settings],
) -> None:
    """Move old embeddings to the backup location; each goes once its archive was read back."""
    from greenlang_vectors.lifecycle.archive import archive  # noqa: PLC0415 - Parquet loads slowly
    from greenlang_vectors.lifecycle.location import open_location  # noqa: PLC0415

    with explained(context):
        reports = archive(
            database,
            open_location(settings.backup_location),
            config.namespace,
            older_than=timedelta(days=config.older_than_days),
        )
    context.log.info("%s archives: %s", len(reports), reports)


@dg.job(
    executor_def=dg.in_process_executor,
    tags=workload(cpu="1", memory="2Gi", account="greenlang-archive"),
)
def archive_embeddings() -> None:
    """Archive a namespace's old embeddings (PRD 15.3); `archive restore` brings them back."""
    archive_old_embeddings()


@dg.op
def prune_embedding_cache(
    context: dg.OpExecutionContext, database: dg.ResourceParam[Database]
) -> None:
    """Delete cached embeddings that have expired, of every model."""
    cache = PostgresCache(database.connection, fingerprint="", ttl_seconds=0)
    context.log.info("Deleted %s expired embeddings from the cache.", cache.prune())


@dg.op
def prune_search_logs(
    context: dg.OpExecutionContext,
    database: dg.ResourceParam[Database],
    settings: dg.ResourceParam[Settings],
) -> None:
    """Delete logged searches that are older than GREENLANG_SEARCH_LOG_DAYS."""
    with explained(context), database.connection() as connection:
        deleted = search_logs.prune(connection, settings.search_log_days)
    context.log.info(
        "Deleted %s logged searches older than %s days.", deleted, settings.search_log_days
    )


@dg.op
def prune_shadow_reads(
    context: dg.OpExecutionContext,
    database: dg.ResourceParam[Database],
    settings: dg.ResourceParam[Settings],
) -> None:
    """Delete shadow reads that are older than GREENLANG_SEARCH_LOG_DAYS, as logged searches."""
    with explained(context), database.connection() as connection:
        deleted = weaviate_shadow_reads.prune(connection, settings.search_log_days)
    context.log.info(
        "Deleted %s shadow reads older than %s days.", deleted, settings.search_log_days
    )


@dg.op
def prune_jobs(
    context: dg.OpExecutionContext,
    database: dg.ResourceParam[Database],
    settings: dg.ResourceParam[Settings],
) -> None:
    """Delete embedding jobs that ended longer than GREENLANG_JOB_DAYS ago, or are too many."""
    with explained(context), database.connection() as connection:
        deleted = jobs.prune(connection, settings.job_days)
    context.log.info("Deleted %s jobs that ended %s days ago.", deleted, settings.job_days)


@dg.op
def prune_runs(context: dg.OpExecutionContext) -> None:
    """Delete what Dagster keeps of more than 90 days ago: finished runs with their event logs,
    checks and output, and events that belong to no run."""
    from resources import event_log  # noqa: PLC0415 - Dagster's storages load slowly

    before = datetime.now(UTC) - KEEP_RUNS
    context.log.info(
        "Deleted %s runs and %s events of no run, older than %s days.",
        event_log.delete_runs(context.instance, before),
        event_log.delete_runless_events(context.instance, before),
        KEEP_RUNS.days,
    )


@dg.job(executor_def=dg.in_process_executor)
def housekeeping() -> None:
    """Delete what nobody needs any more: expired cache entries, old logged searches and shadow
    reads, old jobs, old runs."""
    prune_embedding_cache()
    prune_search_logs()
    prune_shadow_reads()
    prune_jobs()
    prune_runs()
