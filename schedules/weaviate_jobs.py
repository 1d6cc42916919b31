"""Jobs of moves from Weaviate: to carry over and compare, and to mend what differs."""

import dagster as dg
from pydantic import Field

from assets.stage import explained
from assets.weaviate_migration import weaviate_backfill, weaviate_verification
from greenlang_vectors.settings import Settings
from greenlang_vectors.store.database import Database

migrate_from_weaviate = dg.define_asset_job(
    "migrate_from_weaviate",
    selection=dg.AssetSelection.assets(weaviate_backfill, weaviate_verification),
    executor_def=dg.in_process_executor,
    description="One namespace's objects of Weaviate carried over, indexed and compared, once "
    "`greenlang-vectors migrate start` has begun its move. A backfill moves several namespaces, a "
    "run each. Repeating it carries over what is missing.",
)


class RepairConfig(dg.Config):
    """What is to be mended."""

    namespace: str = Field(description="The namespace.")


@dg.op
def mend_differences(
    context: dg.OpExecutionContext,
    config: RepairConfig,
    database: dg.ResourceParam[Database],
    settings: dg.ResourceParam[Settings],
) -> None:
    """Mend exactly the objects that the newest verification of a namespace names."""
    from greenlang_vectors.migration.peer import open_peer  # noqa: PLC0415
    from greenlang_vectors.migration.repair import repair  # noqa: PLC0415

    with explained(context), open_peer(settings) as peer:
        report = repair(database, peer, config.namespace)
    context.log.info("%s", report)


@dg.job(executor_def=dg.in_process_executor)
def repair_from_weaviate() -> None:
    """Mend what the newest verification of a namespace's move found to differ."""
    mend_differences()
