"""Stage 5: search_quality."""

from dataclasses import asdict
from datetime import timedelta

import dagster as dg

from assets.metadata import table_metadata
from assets.stage import stage_asset
from assets.vector_index import vector_index
from greenlang_vectors.settings import Settings
from greenlang_vectors.stages.search_quality import measure_search
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.identity import identifier
from resources.embedding import EmbeddingResource
from resources.progress import StageProgress


@stage_asset(
    deps=[vector_index],
    code_version="1",
    kinds={"python", "postgres"},
    freshness=dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=36)),
)
def search_quality(
    context: dg.AssetExecutionContext,
    database: dg.ResourceParam[Database],
    embedding: EmbeddingResource,
    settings: dg.ResourceParam[Settings],
    progress: dg.ResourceParam[StageProgress],
) -> dg.MaterializeResult[None]:
    """How many of the exact ten nearest passages the index finds, and how fast.

    Where the source holds judged questions, also how good the answers are.
    """
    namespace = context.partition_key
    report = measure_search(
        database,
        namespace,
        embedder=embedding.embedder(database),
        settings=settings,
        progress=progress.listener(context),
    )
    return dg.MaterializeResult(
        metadata={
            "rows": report.rows,
            **(asdict(report.quality) if report.quality else {}),
            **{f"retrieval {name}": value for name, value in report.retrieval.items()},
            **table_metadata(
                database, "search_quality", relation=identifier(f"search_quality_{namespace}")
            ),
        }
    )
