"""Exports of namespaces to the backup location (PRD 12.1), read back byte by byte."""

import warnings

import dagster as dg
from dagster_shared.utils.warnings import PreviewWarning

from assets.freshness import DAILY
from assets.search_quality import search_quality
from assets.stage import NAMESPACES, explained, stage_asset
from greenlang_vectors.settings import Settings
from greenlang_vectors.store.database import Database
from resources import pools
from resources.progress import StageProgress

GROUP = "backup"


@stage_asset(
    deps=[search_quality],
    code_version="1",
    kinds={"python", "postgres", "s3"},
    pool=pools.BACKUP,
    freshness=DAILY,
    group=GROUP,
    module="greenlang_vectors.backup.export",
)
def backup_export(
    context: dg.AssetExecutionContext,
    database: dg.ResourceParam[Database],
    settings: dg.ResourceParam[Settings],
    progress: dg.ResourceParam[StageProgress],
) -> dg.MaterializeResult[None]:
    """Everything of the namespace as pg_dump writes it, with counts and checksums of every table.

    All of one snapshot, streamed to the backup location and read back. A run that fails or is
    killed leaves nothing that is taken for an export; older ones stay.
    """
    from greenlang_vectors.backup.export import create  # noqa: PLC0415
    from greenlang_vectors.lifecycle.location import open_location  # noqa: PLC0415

    made = create(
        database,
        open_location(settings.backup_location),
        context.partition_key,
        settings=settings,
        progress=progress.listener(context),
    )
    if made is None:
        context.log.info("%s holds nothing yet; nothing was exported.", context.partition_key)
        return dg.MaterializeResult(metadata={"dagster/row_count": 0})
    return dg.MaterializeResult(
        metadata={
            "export": made.export,
            "location": settings.backup_location,
            "dagster/row_count": made.rows,
            "tables": made.tables,
            "size_bytes": made.size_bytes,
            "seconds": made.seconds,
        }
    )


with warnings.catch_warnings():
    warnings.simplefilter("ignore", PreviewWarning)  # partitions_def on a check

    @dg.asset_check(
        asset=backup_export,
        blocking=True,
        partitions_def=NAMESPACES,
        description="Every byte of the namespace's newest finished export is read back as it was"
        " written.",
    )
    def export_intact(
        context: dg.AssetCheckExecutionContext,
        database: dg.ResourceParam[Database],
        settings: dg.ResourceParam[Settings],
    ) -> dg.AssetCheckResult:
        """Verify the newest export that is finished; what a killed run left is pruned by itself."""
        from greenlang_vectors.backup import exports, verification  # noqa: PLC0415
        from greenlang_vectors.backup.errors import ExportDamaged  # noqa: PLC0415
        from greenlang_vectors.lifecycle.location import open_location  # noqa: PLC0415

        with explained(context):
            location = open_location(settings.backup_location)
            finished = [
                each
                for each in exports.list_exports(location, context.partition_key)
                if each.state != "unfinished"
            ]
            if not finished:
                return dg.AssetCheckResult(passed=True, description="There is nothing to export.")
            newest = finished[-1]
            try:
                with database.connection() as connection:
                    manifest = exports.opened(connection, location, newest.id)
                verification.verify(location, manifest)
            except ExportDamaged as error:
                return dg.AssetCheckResult(passed=False, description=str(error))
            return dg.AssetCheckResult(
                passed=True,
                description=f"{newest.id} is as it was written.",
                metadata={"size_bytes": manifest.size_bytes, "objects": len(manifest.objects)},
            )
