"""Namespaces that leave Weaviate: what was carried over, what both sides hold, and every step."""

import time
import warnings
from dataclasses import asdict

import dagster as dg
from dagster_shared.utils.warnings import PreviewWarning

from assets.metadata import dead_letter_metadata, records_table, table_metadata
from assets.stage import NAMESPACES, OWNERS, explained, stage_asset
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import weaviate_migrations, weaviate_verifications
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.identity import identifier
from greenlang_vectors.store.weaviate_migrations import NotUnderWay
from resources import pools
from resources.progress import StageProgress

GROUP = "weaviate"

weaviate_steps = dg.AssetSpec(
    "weaviate_steps",
    description="Every step of a namespace's move from Weaviate, who took it, where it led, and "
    "the evidence it rested on: an observation each.",
    partitions_def=NAMESPACES,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"postgres", "weaviate"},
    code_version="1",
)


def _not_under_way(database: Database, namespace: str) -> str | None:
    """Why nothing of a namespace moves; None where something does."""
    try:
        with database.connection() as connection:
            weaviate_migrations.get_under_way(connection, namespace)
    except NotUnderWay as error:
        return str(error)
    return None


def _skipped(context: dg.AssetExecutionContext, why: str) -> dg.MaterializeResult[None]:
    """Nothing was done, and that is no failure: all assets may be asked for of all namespaces."""
    context.log.warning("Skipped: %s", why)
    return dg.MaterializeResult(metadata={"skipped": why})


@stage_asset(
    code_version="1",
    kinds={"python", "postgres", "weaviate"},
    pool=pools.WEAVIATE_BACKFILL,
    group=GROUP,
    module="greenlang_vectors.migration.backfill",
)
def weaviate_backfill(
    context: dg.AssetExecutionContext,
    database: dg.ResourceParam[Database],
    settings: dg.ResourceParam[Settings],
    progress: dg.ResourceParam[StageProgress],
) -> dg.MaterializeResult[None]:
    """Every object of the namespace's collection in Weaviate as a passage, and its indexes.

    A run that was ended goes on where it was; what something newer has taken the place of is left
    alone. Objects that cannot be carried are dead letters, listed with what helps. A namespace
    whose move has not begun, or has ended, is skipped.
    """
    from greenlang_vectors.lifecycle.location import open_location  # noqa: PLC0415
    from greenlang_vectors.migration.backfill import STAGE, backfill, finish  # noqa: PLC0415
    from greenlang_vectors.migration.peer import open_peer  # noqa: PLC0415
    from greenlang_vectors.migration.plan import Plan  # noqa: PLC0415
    from greenlang_vectors.migration.server_export import exports_of  # noqa: PLC0415

    namespace = context.partition_key
    if why := _not_under_way(database, namespace):
        return _skipped(context, why)
    listener = progress.listener(context)
    began = time.monotonic()
    with open_peer(settings) as peer:
        report = backfill(
            database,
            namespace,
            peer=peer,
            location=open_location(settings.backup_location),
            exports=exports_of(settings),
            progress=listener,
        )
    seconds = time.monotonic() - began
    with database.connection() as connection:
        plan = Plan.model_validate(weaviate_migrations.get(connection, namespace).plan)
    finish(database, namespace, plan, settings, listener)
    return dg.MaterializeResult(
        metadata={
            **{name: value for name, value in asdict(report).items() if name != "namespace"},
            "seconds": seconds,
            "objects_a_second": report.read / seconds,
            **dead_letter_metadata(database, namespace, STAGE),
            **table_metadata(
                database, "weaviate_objects", relation=identifier(f"weaviate_objects_{namespace}")
            ),
        }
    )


@stage_asset(
    deps=[weaviate_backfill],
    code_version="1",
    kinds={"python", "postgres", "weaviate"},
    group=GROUP,
    module="greenlang_vectors.migration.verification",
)
def weaviate_verification(
    context: dg.AssetExecutionContext,
    database: dg.ResourceParam[Database],
    settings: dg.ResourceParam[Settings],
    progress: dg.ResourceParam[StageProgress],
) -> dg.MaterializeResult[None]:
    """Both sides of the namespace's move compared: ids, texts, metadata, every vector bit by bit.

    Applications may write meanwhile. What was found is kept for the check beside it, for `migrate
    repair` and for the gates of the traffic shift.
    """
    from greenlang_vectors.migration.peer import open_peer  # noqa: PLC0415
    from greenlang_vectors.migration.verification import verify  # noqa: PLC0415

    if why := _not_under_way(database, context.partition_key):
        return _skipped(context, why)
    with open_peer(settings) as peer:
        found = verify(database, peer, context.partition_key, progress=progress.listener(context))
    figures = found.as_json(0)
    return dg.MaterializeResult(
        metadata={
            **{name: value for name, value in figures.items() if isinstance(value, int | float)},
            **({} if found.overlap is None else {"overlap": found.overlap.mean}),
            "objects_a_second": found.weaviate / found.seconds,
            "failures": " ".join(found.failures),
        }
    )


with warnings.catch_warnings():
    warnings.simplefilter("ignore", PreviewWarning)  # partitions_def on a check

    @dg.asset_check(
        asset=weaviate_verification,
        blocking=True,
        partitions_def=NAMESPACES,
        description="The newest verification found both sides of the move equal, and none of what "
        "it found is open.",
    )
    def weaviate_equal(
        context: dg.AssetCheckExecutionContext, database: dg.ResourceParam[Database]
    ) -> dg.AssetCheckResult:
        """Judge what was found; the ids that differ are listed."""
        namespace = context.partition_key
        with explained(context):
            why = _not_under_way(database, namespace)
        if why:
            return dg.AssetCheckResult(
                passed=True, description=f"Skipped: {why}", metadata={"skipped": why}
            )
        with explained(context), database.connection() as connection:
            found = weaviate_verifications.newest(connection, namespace)
            differences = weaviate_verifications.differences(connection, namespace)
        clean, figures = (False, {}) if found is None else (found.clean, found.figures)
        return dg.AssetCheckResult(
            passed=clean,
            severity=dg.AssetCheckSeverity.ERROR,
            description="Both sides were never compared." if found is None else found.said,
            metadata={
                **{k: v for k, v in figures.items() if isinstance(v, int | float)},
                "differences": records_table(
                    ["object", "tenant", "differs in", "detail"], differences
                ),
            },
        )
