"""Freshness: what schedules make once a day is not missed in silence, of no namespace.

A policy of Dagster looks at an asset's newest materialization, whichever namespace it is of; the
check beside it looks at each. What people ask for when they need it (comparisons, moves from
Weaviate) has no policy: it would be late on most days of its life.
"""

from datetime import UTC, datetime, timedelta

import dagster as dg

from assets.metadata import records_table
from assets.stage import explained
from greenlang_vectors.quality.checks import CHECKS
from greenlang_vectors.store import records
from greenlang_vectors.store.database import Database

LATE = timedelta(hours=30)
MISSED = timedelta(hours=36)
"""A day, and half of one for a run that waits, is long, or was started by hand some hours early."""

DAILY = dg.FreshnessPolicy.time_window(warn_window=LATE, fail_window=MISSED)


@dg.asset_check(
    asset="search_quality",
    description="Every namespace came through all its stages in the last 36 hours: also those"
    " whose runs nobody asks for. Judged in each namespace's run, of the others.",
)
def every_namespace_refreshed(
    context: dg.AssetCheckExecutionContext, database: dg.ResourceParam[Database]
) -> dg.AssetCheckResult:
    """Look at when each namespace last came to the check that ends its run."""
    with explained(context), database.connection() as connection:
        last = records.last_judged(connection, CHECKS[-1].name)
    if context.has_partition_key:  # its own check may come after this one
        last.pop(context.partition_key, None)
    now = datetime.now(UTC)
    hours = {name: (now - at).total_seconds() / 3600 for name, at in last.items()}
    late = sorted(name for name in hours if now - last[name] > MISSED)
    return dg.AssetCheckResult(
        passed=not late,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"Not refreshed for {MISSED.total_seconds() / 3600:g} hours:"
        f" {', '.join(late)}. Run `ingest` of these partitions, and see why nobody did."
        if late
        else "No other namespace is late.",
        metadata={
            "namespaces": len(hours),
            "late": len(late),
            "oldest_hours": max(hours.values(), default=0.0),
            "refreshed": records_table(
                ["namespace", "last refreshed", "hours ago"],
                [
                    [name, f"{last[name]:%Y-%m-%d %H:%M} UTC", f"{hours[name]:.1f}"]
                    for name in sorted(hours, key=hours.__getitem__, reverse=True)
                ],
            ),
        },
    )
