"""What is stored and what it will take, looked at once a day (UTC), so that growth is seen."""

import dagster as dg

from assets.capacity_plan import capacity_plan
from schedules.workloads import workload

look_ahead = dg.define_asset_job(
    "look_ahead",
    selection=dg.AssetSelection.assets(capacity_plan),
    executor_def=dg.in_process_executor,
    tags=workload(cpu="500m", memory="1Gi"),
    description="Rows, bytes and growth of every leaf, when memory is full, and what it costs.",
)

daily_capacity_plan = dg.ScheduleDefinition(
    name="daily_capacity_plan",
    job=look_ahead,
    cron_schedule="0 7 * * *",
    execution_timezone="UTC",
    description="The plan for what is there, after the night's refreshes and prunings.",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
