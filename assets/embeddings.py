"""Stage 3: embeddings."""

from dataclasses import asdict

import dagster as dg

from assets.chunks import chunks
from assets.embedding_jobs import jobs_metadata
from assets.freshness import DAILY
from assets.metadata import dead_letter_metadata, reports_table, table_metadata
from assets.stage import stage_asset
from greenlang_vectors.settings import Settings
from greenlang_vectors.stages.embeddings import STAGE, embed_chunks
from greenlang_vectors.store.collections import get
from greenlang_vectors.store.database import Database
from resources import pools
from resources.embedding import EmbeddingResource
from resources.progress import StageProgress


@stage_asset(
    deps=[chunks],
    code_version="1",
    kinds={"python", "postgres", "huggingface"},
    pool=pools.EMBEDDING_MODEL,
    freshness=DAILY,
)
def embeddings(
    context: dg.AssetExecutionContext,
    database: dg.ResourceParam[Database],
    embedding: EmbeddingResource,
    settings: dg.ResourceParam[Settings],
    progress: dg.ResourceParam[StageProgress],
) -> dg.MaterializeResult[None]:
    """A vector for each passage, in each of the namespace's collections.

    Only passages that have none yet are embedded, in steps that are stored as they come. The
    figures are those of the collection that serves; the table has them all.
    """
    reports = embed_chunks(
        database,
        context.partition_key,
        embedders=embedding.embedders(database),
        batch_size=settings.embedding_batch_size,
        progress=progress.listener(context),
    )
    name, report = next(iter(reports.items()))
    with database.connection() as connection:
        leaf = get(connection, name).leaf
    return dg.MaterializeResult(
        metadata={
            **asdict(report),
            "model": leaf.model,
            "collections": reports_table(reports),
            **jobs_metadata(database, context.partition_key),
            **dead_letter_metadata(database, context.partition_key, STAGE),
            **table_metadata(database, "vector_embeddings", relation=leaf.name, rows=report.stored),
        }
    )
