"""Restore drills: the newest export of a namespace is proven, and what a recovery would take."""

import warnings
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg
from dagster_shared.utils.warnings import PreviewWarning

from assets.backup_export import GROUP, backup_export
from assets.freshness import DAILY
from assets.metadata import records_table
from assets.stage import NAMESPACES, explained, stage_asset
from greenlang_vectors.settings import Settings
from greenlang_vectors.store.database import Database
from resources import pools
from resources.progress import StageProgress

if TYPE_CHECKING:
    from greenlang_vectors.backup.exports import Export

RTO_OF_ONE = timedelta(minutes=30)
RTO_OF_ALL = timedelta(hours=2)
"""PRD 12.4: the corrupted data of one namespace; the loss of all, restored one after the other."""

RPO = timedelta(hours=24)
"""PRD 12.4, regional disaster."""

SPARE = timedelta(hours=12)
"""An export is a day old when the next one is made, and counts only after its drill."""

RECALLS = ["collection", "rows", "indexed", "queries", "recall@10", "promised"]


@stage_asset(
    deps=[backup_export],
    code_version="1",
    kinds={"python", "postgres", "s3"},
    pool=pools.RESTORE_DRILL,
    freshness=DAILY,
    group=GROUP,
    module="greenlang_vectors.backup.drill",
)
def restore_drill(
    context: dg.AssetExecutionContext,
    database: dg.ResourceParam[Database],
    settings: dg.ResourceParam[Settings],
    progress: dg.ResourceParam[StageProgress],
) -> dg.MaterializeResult[None]:
    """The newest export restored into a scratch database, compared, and searched in.

    Every count and checksum, the versions, and recall@10 of every collection. Only then does an
    export count as good; the time the restore took is the measured RTO.
    """
    from greenlang_vectors.backup import drill  # noqa: PLC0415
    from greenlang_vectors.lifecycle.location import open_location  # noqa: PLC0415

    whole = _ended(_exports_of(context.partition_key, settings))
    if not whole:
        context.log.info("%s has no export yet; nothing was proven.", context.partition_key)
        return dg.MaterializeResult(metadata={"dagster/row_count": 0})
    held = drill.drill(
        database,
        open_location(settings.backup_location),
        whole[-1].id,
        settings=settings,
        progress=progress.listener(context),
    )
    recalls = [each.recall_at_10 for each in held.recalls]
    return dg.MaterializeResult(
        metadata={
            "export": held.export,
            "passed": held.passed,
            "problem": held.problem or "",
            "dagster/row_count": held.rows,
            "tables": held.tables,
            **({} if held.restore_seconds is None else {"restore_seconds": held.restore_seconds}),
            **({"lowest_recall_at_10": min(recalls)} if recalls else {}),
            "server": f"PostgreSQL {held.server_version}, pgvector {held.pgvector_version}",
            "recall": records_table(
                RECALLS,
                [
                    [r.collection, r.rows, r.indexed, r.queries, f"{r.recall_at_10:.4f}", r.target]
                    for r in held.recalls
                ],
            ),
        }
    )


with warnings.catch_warnings():
    warnings.simplefilter("ignore", PreviewWarning)  # partitions_def on a check

    @dg.asset_check(
        asset=restore_drill,
        blocking=True,
        partitions_def=NAMESPACES,
        description="The namespace's newest export came through its restore drill.",
    )
    def export_proven(
        context: dg.AssetCheckExecutionContext, settings: dg.ResourceParam[Settings]
    ) -> dg.AssetCheckResult:
        """What the newest drill found, as it is kept beside the export."""
        with explained(context):
            whole = _ended(_exports_of(context.partition_key, settings))
        if not whole:
            return dg.AssetCheckResult(passed=True, description="There is no export yet.")
        newest = whole[-1]
        return dg.AssetCheckResult(
            passed=newest.state == "good",
            description=f"{newest.id} is {newest.state}{_because(newest.problem)}.",
            metadata={"good_exports": sum(each.state == "good" for each in whole)},
        )

    @dg.asset_check(
        asset=restore_drill,
        partitions_def=NAMESPACES,
        description="The namespace can be restored in 30 minutes and all of them in two hours (PRD"
        " 12.4), as the newest drills measured.",
    )
    def recovery_time(
        context: dg.AssetCheckExecutionContext, database: dg.ResourceParam[Database]
    ) -> dg.AssetCheckResult:
        """The measured RTO against the promised one."""
        from greenlang_vectors.backup import records  # noqa: PLC0415

        with explained(context), database.connection() as connection:
            seconds = records.restore_seconds(connection)
        one, everything = seconds.get(context.partition_key), sum(seconds.values())
        late = [
            *(["this namespace"] if one and one > RTO_OF_ONE.total_seconds() else []),
            *(["all namespaces"] if everything > RTO_OF_ALL.total_seconds() else []),
        ]
        return dg.AssetCheckResult(
            passed=not late,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"Restoring {_joined(late)} takes longer than PRD 12.4 allows."
            if late
            else "Restoring takes no longer than PRD 12.4 allows.",
            metadata={
                **({} if one is None else {"restore_seconds": one}),
                "restore_seconds_of_all": everything,
                "namespaces": len(seconds),
            },
        )

    @dg.asset_check(
        asset=restore_drill,
        partitions_def=NAMESPACES,
        description="The newest proven export is no older than a day (PRD 12.4), and the half day"
        " in which the next one is made and proven.",
    )
    def recovery_point(
        context: dg.AssetCheckExecutionContext, settings: dg.ResourceParam[Settings]
    ) -> dg.AssetCheckResult:
        """The age of what can be relied on."""
        with explained(context):
            known = _exports_of(context.partition_key, settings)
        good = [each for each in known if each.state == "good"]
        if not good:
            return dg.AssetCheckResult(
                passed=not known,
                severity=dg.AssetCheckSeverity.WARN,
                description="There is no proven export.",
            )
        newest = good[-1]
        age = datetime.now(UTC) - newest.made_at
        hours = age.total_seconds() / 3600
        return dg.AssetCheckResult(
            passed=age <= RPO + SPARE,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"The newest proven export, {newest.id}, is {hours:.1f} hours old.",
            metadata={"age_hours": hours, "export": newest.id},
        )


def _exports_of(namespace: str, settings: Settings) -> "list[Export]":
    from greenlang_vectors.backup import exports  # noqa: PLC0415
    from greenlang_vectors.lifecycle.location import open_location  # noqa: PLC0415

    return exports.list_exports(open_location(settings.backup_location), namespace)


def _ended(known: "list[Export]") -> "list[Export]":
    """Those that no kill cut short, damaged ones among them."""
    return [each for each in known if each.state != "unfinished"]


def _because(problem: str | None) -> str:
    return "" if problem is None else f": {problem}"


def _joined(parts: Sequence[str]) -> str:
    return " and ".join(parts)


DRILL_CHECKS = [export_proven, recovery_time, recovery_point]
