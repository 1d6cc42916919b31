"""The collections of a namespace side by side."""

from collections.abc import Sequence

import dagster as dg

from assets.metadata import markdown_table
from assets.search_quality import search_quality
from assets.stage import stage_asset
from greenlang_vectors.quality.comparison import COLUMNS, Comparison, compare, rows_of
from greenlang_vectors.settings import Settings
from greenlang_vectors.store.database import Database
from resources.embedding import EmbeddingResource
from resources.progress import StageProgress


@stage_asset(
    deps=[search_quality],
    code_version="1",
    kinds={"python", "postgres"},
    group="collections",
    module=compare.__module__,
)
def collection_comparison(
    context: dg.AssetExecutionContext,
    database: dg.ResourceParam[Database],
    embedding: EmbeddingResource,
    settings: dg.ResourceParam[Settings],
    progress: dg.ResourceParam[StageProgress],
) -> dg.MaterializeResult[None]:
    """The namespace's collections measured side by side, before one of them is switched to.

    Recall against each one's own exact answers, nDCG and MRR where the source holds judged
    questions, latency, bytes of rows and of indexes.
    """
    compared = compare(
        database,
        context.partition_key,
        embedders=embedding.embedders(database),
        settings=settings,
        progress=progress.listener(context),
    )
    return dg.MaterializeResult(
        metadata={
            "collections": len(compared),
            "comparison": dg.MetadataValue.md(comparison_table(compared)),
        }
    )


def comparison_table(compared: Sequence[Comparison]) -> str:
    """The figures as a Markdown table."""
    return markdown_table(COLUMNS, rows_of(compared), "The namespace has no collection.")
