"""Jobs: what schedules and sensors, and people in the UI, set going."""

from datetime import UTC, datetime, timedelta

import dagster as dg

from assets.stage import GROUP
from greenlang_vectors.embedding.cache import PostgresCache
from greenlang_vectors.store.database import Database

KEEP_RUNS = timedelta(days=90)
RUNS_AT_ONCE = 100

ingest = dg.define_asset_job(
    "ingest",
    selection=dg.AssetSelection.groups(GROUP),
    executor_def=dg.in_process_executor,
    description="All stages of one namespace with their checks, in one process: documents in, "
    "verified search out. Repeating it does only what has changed.",
)


@dg.op
def prune_embedding_cache(
    context: dg.OpExecutionContext, database: dg.ResourceParam[Database]
) -> None:
    """Delete cached embeddings that have expired, of every model."""
    cache = PostgresCache(database.connection, fingerprint="", ttl_seconds=0)
    context.log.info("Deleted %s expired embeddings from the cache.", cache.prune())


@dg.op
def prune_runs(context: dg.OpExecutionContext) -> None:
    """Delete finished runs that began more than 90 days ago, with their event logs."""
    finished = dg.RunsFilter(
        statuses=[
            dg.DagsterRunStatus.SUCCESS,
            dg.DagsterRunStatus.FAILURE,
            dg.DagsterRunStatus.CANCELED,
        ],
        created_before=datetime.now(UTC) - KEEP_RUNS,
    )
    deleted = 0
    while records := context.instance.get_run_records(finished, limit=RUNS_AT_ONCE):
        for record in records:
            context.instance.delete_run(record.dagster_run.run_id)
        deleted += len(records)
    context.log.info("Deleted %s runs older than %s days.", deleted, KEEP_RUNS.days)


@dg.job(executor_def=dg.in_process_executor)
def housekeeping() -> None:
    """Delete what nobody needs any more: expired cache entries and old runs."""
    prune_embedding_cache()
    prune_runs()
