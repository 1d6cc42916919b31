"""Stage 4: vector_index."""

from dataclasses import asdict

import dagster as dg

from assets.embeddings import embeddings
from assets.freshness import DAILY
from assets.metadata import reports_table, table_metadata
from assets.stage import stage_asset
from greenlang_vectors.settings import Settings
from greenlang_vectors.stages.vector_index import build_indexes
from greenlang_vectors.store.collections import get
from greenlang_vectors.store.database import Database
from resources import pools
from resources.progress import StageProgress


@stage_asset(
    deps=[embeddings],
    code_version="1",
    kinds={"postgres"},
    pool=pools.INDEX_BUILD,
    freshness=DAILY,
)
def vector_index(
    context: dg.AssetExecutionContext,
    database: dg.ResourceParam[Database],
    settings: dg.ResourceParam[Settings],
    progress: dg.ResourceParam[StageProgress],
) -> dg.MaterializeResult[None]:
    """The ANN indexes over the namespace's leaves, each with its collection's settings.

    They are built while searches go on, and left alone where they are already right. The figures
    are those of the collection that serves; the table has them all.
    """
    reports = build_indexes(
        database, context.partition_key, settings=settings, progress=progress.listener(context)
    )
    name, report = next(iter(reports.items()))
    with database.connection() as connection:
        leaf = get(connection, name).leaf
    return dg.MaterializeResult(
        metadata={
            **asdict(report),
            **asdict(settings.index),
            "collections": reports_table(reports),
            **table_metadata(database, leaf.name, relation=leaf.name, rows=report.rows),
        }
    )
