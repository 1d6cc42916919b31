"""Stage 5: search_quality."""

from dataclasses import asdict
from datetime import timedelta

import dagster as dg

from assets.metadata import records_table, table_metadata
from assets.stage import stage_asset
from assets.vector_index import vector_index
from greenlang_vectors.settings import Settings
from greenlang_vectors.stages.search_quality import measure_search
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.identity import identifier
from resources.embedding import EmbeddingResource
from resources.progress import StageProgress

SHOWN = ("recall_at_10", "latency_p50_ms", "latency_p99_ms")


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
    """How many of the exact ten nearest passages each collection's index finds, and how fast.

    Where the source holds judged questions, also how good the answers are. The figures are those
    of the collection that serves; the table has them all.
    """
    namespace = context.partition_key
    reports = measure_search(
        database,
        namespace,
        embedders=embedding.embedders(database),
        settings=settings,
        progress=progress.listener(context),
    )
    report = next(iter(reports.values()))
    return dg.MaterializeResult(
        metadata={
            "collections": records_table(
                ["collection", "rows", *SHOWN, *report.retrieval],
                [
                    [
                        name,
                        each.rows,
                        *(getattr(each.quality, figure) for figure in SHOWN),
                        *each.retrieval.values(),
                    ]
                    for name, each in reports.items()
                    if each.quality is not None
                ],
            ),
            "rows": report.rows,
            **(asdict(report.quality) if report.quality else {}),
            **{f"retrieval {name}": value for name, value in report.retrieval.items()},
            **table_metadata(
                database, "search_quality", relation=identifier(f"search_quality_{namespace}")
            ),
        }
    )
