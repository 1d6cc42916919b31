"""Schedules: every namespace once a day, and the house swept after it (times in UTC)."""

from collections.abc import Iterator

import dagster as dg

from schedules.described import described
from schedules.jobs import housekeeping, ingest
from schedules.runs import of_each_namespace


@described(
    dg.schedule,
    job=ingest,
    cron_schedule="0 3 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def daily_refresh(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
    """A run for each namespace; unchanged documents cost next to nothing."""
    yield from of_each_namespace(context)


daily_housekeeping = dg.ScheduleDefinition(
    name="daily_housekeeping",
    job=housekeeping,
    cron_schedule="0 5 * * *",
    execution_timezone="UTC",
    description="Expired cache entries, old logged searches and old runs are deleted.",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)

SCHEDULES = [daily_refresh, daily_housekeeping]
