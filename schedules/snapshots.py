"""Aurora's snapshots every midnight, and every hour whether what is kept would do (UTC).

Without GREENLANG_AURORA_CLUSTER a tick starts no run.
"""

import dagster as dg

from assets.aurora_snapshots import UNSET, aurora_snapshots, recovery_objectives
from greenlang_vectors.settings import Settings
from schedules.described import described
from schedules.workloads import workload

ON_KUBERNETES = workload(cpu="500m", memory="1Gi", account="greenlang-snapshots")

make_aurora_snapshots = dg.define_asset_job(
    "make_aurora_snapshots",
    selection=dg.AssetSelection.assets(aurora_snapshots),
    executor_def=dg.in_process_executor,
    tags=ON_KUBERNETES,
    description="The cluster snapshot that is due, its copy in another region, and what is older"
    " than it is kept; then the recovery objectives.",
)

check_recovery_objectives = dg.define_asset_job(
    "check_recovery_objectives",
    selection=dg.AssetSelection.checks(recovery_objectives),
    executor_def=dg.in_process_executor,
    tags=ON_KUBERNETES,
    description="What Aurora could restore at this moment, against PRD 12.4.",
)


@described(
    dg.schedule,
    job=make_aurora_snapshots,
    cron_schedule="0 0 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def daily_aurora_snapshots(
    context: dg.ScheduleEvaluationContext, settings: dg.ResourceParam[Settings]
) -> dg.RunRequest | dg.SkipReason:
    """The snapshot of the day: daily, weekly on Sundays, monthly on the 1st (PRD 12.1)."""
    if settings.aurora_cluster is None:
        return dg.SkipReason(UNSET)
    day = context.scheduled_execution_time.date().isoformat()
    config = dg.RunConfig(ops={"aurora_snapshots": {"config": {"day": day}}})
    return dg.RunRequest(run_key=day, run_config=config)


@described(
    dg.schedule,
    job=check_recovery_objectives,
    cron_schedule="30 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def hourly_recovery_objectives(
    context: dg.ScheduleEvaluationContext, settings: dg.ResourceParam[Settings]
) -> dg.RunRequest | dg.SkipReason:
    """Whether what is kept would do, while there is time to act."""
    if settings.aurora_cluster is None:
        return dg.SkipReason(UNSET)
    return dg.RunRequest(run_key=context.scheduled_execution_time.isoformat())


SNAPSHOT_SCHEDULES = [daily_aurora_snapshots, hourly_recovery_objectives]
