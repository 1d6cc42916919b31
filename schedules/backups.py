"""Exports every night, a drill of each an hour later, and old ones pruned in the morning (UTC)."""

from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg

from assets.backup_export import backup_export
from assets.restore_drill import restore_drill
from assets.stage import explained
from greenlang_vectors.settings import Settings
from greenlang_vectors.store.database import Database
from schedules.described import described
from schedules.runs import of_each_namespace
from schedules.workloads import workload

ON_KUBERNETES = workload(cpu="1", memory="2Gi", account="greenlang-backup")

back_up = dg.define_asset_job(
    "back_up",
    selection=dg.AssetSelection.assets(backup_export),
    executor_def=dg.in_process_executor,
    tags=ON_KUBERNETES,
    description="One namespace exported to the backup location and read back. It counts as good"
    " once `prove_exports` has restored it.",
)

prove_exports = dg.define_asset_job(
    "prove_exports",
    selection=dg.AssetSelection.assets(restore_drill),
    executor_def=dg.in_process_executor,
    tags=ON_KUBERNETES,
    description="The newest export of one namespace restored into a scratch database, compared and"
    " searched in.",
)


@dg.op
def delete_old_exports(
    context: dg.OpExecutionContext,
    database: dg.ResourceParam[Database],
    settings: dg.ResourceParam[Settings],
) -> None:
    """Delete exports that are older than their tier is kept, and what killed runs left.

    The newest good exports, pinned and damaged ones always stay.
    """
    from greenlang_vectors.backup.pruning import prune  # noqa: PLC0415
    from greenlang_vectors.lifecycle.location import open_location  # noqa: PLC0415

    with explained(context), database.connect() as connection:
        pruned = prune(
            connection,
            open_location(settings.backup_location),
            settings=settings,
            now=datetime.now(UTC),
            delete=True,
        )
    gone = [*pruned.uploads, *(each.id for each in (*pruned.expired, *pruned.unfinished))]
    context.log.info("Deleted %s; %s exports stay.", ", ".join(gone) or "nothing", pruned.kept)


@dg.job(executor_def=dg.in_process_executor, tags=ON_KUBERNETES)
def prune_exports() -> None:
    """Delete exports that nobody needs any more (GREENLANG_BACKUP_DAILY_DAYS and so on)."""
    delete_old_exports()


@described(
    dg.schedule,
    job=back_up,
    cron_schedule="0 1 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def daily_exports(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
    """An export of each namespace (PRD 12.1)."""
    yield from of_each_namespace(context)


@described(
    dg.schedule,
    job=prove_exports,
    cron_schedule="0 2 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def daily_drills(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
    """A restore drill of each namespace's newest export."""
    yield from of_each_namespace(context)


daily_pruning = dg.ScheduleDefinition(
    name="daily_pruning",
    job=prune_exports,
    cron_schedule="0 6 * * *",
    execution_timezone="UTC",
    description="Exports that are older than they are kept are deleted.",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)


BACKUP_SCHEDULES = [daily_exports, daily_drills, daily_pruning]
