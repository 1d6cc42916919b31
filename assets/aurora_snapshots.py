"""Aurora's snapshots: the day's one, its copy, what went, and what could be restored."""

import time
from collections.abc import Iterator
from datetime import UTC, date, datetime

import dagster as dg
from pydantic import Field

from assets.freshness import DAILY
from assets.metadata import records_table
from assets.stage import OWNERS, explained
from greenlang_vectors.settings import Settings
from resources.progress import StageProgress

GROUP = "backup"
UNSET = (
    "No Aurora cluster is set, so nothing is done. Set GREENLANG_AURORA_CLUSTER to the cluster to"
    " back up (docs/aurora-backups.md)."
)


class SnapshotConfig(dg.Config):
    """Of which day."""

    day: str = Field(default="", description="YYYY-MM-DD; today (UTC) when empty.")


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"aws", "postgres"},
    code_version="1",
    freshness_policy=DAILY,
    output_required=False,
    metadata={"stage": "greenlang_vectors.backup.aurora.routine"},
)
def aurora_snapshots(
    context: dg.AssetExecutionContext,
    config: SnapshotConfig,
    settings: dg.ResourceParam[Settings],
    progress: dg.ResourceParam[StageProgress],
) -> Iterator[dg.MaterializeResult[None]]:
    """The cluster snapshot that is due (daily, weekly on Sundays, monthly on the 1st), its copy in
    another region, and both regions pruned.

    Does nothing until GREENLANG_AURORA_CLUSTER names a cluster; GREENLANG_AURORA_DR_REGION and
    GREENLANG_AURORA_DR_KMS_KEY say where copies go. Repeating it does only what is missing.
    """
    if settings.aurora_cluster is None:
        context.log.warning(UNSET)
        return
    from greenlang_vectors.backup.aurora import routine  # noqa: PLC0415
    from greenlang_vectors.backup.aurora.deployment import deployment  # noqa: PLC0415

    now = datetime.now(UTC)
    day = date.fromisoformat(config.day) if config.day else now.date()
    began = time.monotonic()
    with explained(context):
        done = routine.run(deployment(settings), day, now, progress.listener(context))
    made = [done.snapshot, *([] if done.copy is None else [done.copy])]
    rows = [
        *((each.id, each.region, each.tier, each.taken_at, "available") for each in made),
        *((each.id, each.region, each.tier, each.taken_at, "deleted") for each in done.pruned),
    ]
    yield dg.MaterializeResult(
        metadata={
            "snapshot": done.snapshot.id,
            "tier": str(done.snapshot.tier),
            "copy": "none" if done.copy is None else f"{done.copy.id} ({done.copy.region})",
            "pruned": len(done.pruned),
            "seconds": time.monotonic() - began,
            "snapshots": records_table(["snapshot", "region", "tier", "taken at", "now"], rows),
        }
    )


@dg.asset_check(
    asset=aurora_snapshots,
    blocking=False,
    description="The newest restorable time, the newest snapshot of each tier and the newest copy"
    " are as young as PRD 12.4 asks. A warning where one is late, an error where one is breached.",
)
def recovery_objectives(
    context: dg.AssetCheckExecutionContext, settings: dg.ResourceParam[Settings]
) -> dg.AssetCheckResult:
    """Ask AWS what could be restored at this moment."""
    if settings.aurora_cluster is None:
        return dg.AssetCheckResult(passed=True, description=UNSET)
    from greenlang_vectors.backup.aurora import runbook  # noqa: PLC0415
    from greenlang_vectors.backup.aurora.deployment import deployment  # noqa: PLC0415

    with explained(context):
        found = runbook.look(deployment(settings), datetime.now(UTC))
    return dg.AssetCheckResult(
        passed=not found.problems,
        severity=dg.AssetCheckSeverity.ERROR if found.breached else dg.AssetCheckSeverity.WARN,
        description="; ".join(found.problems) or "Everything could be restored as promised.",
        metadata={
            "objectives": records_table(
                ["promise", "state", "newest", "age", "limit"],
                [runbook.row(each) for each in found.objectives],
            ),
            "manual_snapshots": found.manual_snapshots,
            "retention_days": found.retention_days,
        },
    )
