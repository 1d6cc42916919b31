"""Stage 3: embeddings."""

from dataclasses import asdict

import dagster as dg

from assets.chunks import chunks
from assets.metadata import dead_letter_metadata, table_metadata
from assets.stage import stage_asset
from greenlang_vectors.settings import Settings
from greenlang_vectors.stages.embeddings import STAGE, embed_chunks, leaf_of
from greenlang_vectors.store.database import Database
from resources.embedding import EmbeddingResource
from resources.progress import StageProgress


@stage_asset(
    deps=[chunks],
    code_version="1",
    kinds={"python", "postgres", "huggingface"},
    pool="embedding_model",
)
def embeddings(
    context: dg.AssetExecutionContext,
    database: dg.ResourceParam[Database],
    embedding: EmbeddingResource,
    settings: dg.ResourceParam[Settings],
    progress: dg.ResourceParam[StageProgress],
) -> dg.MaterializeResult[None]:
    """A vector for each passage, in the namespace's leaf of the embedding model.

    Only passages that have none yet are embedded, in steps that are stored as they come.
    """
    embedder = embedding.embedder(database)
    leaf = leaf_of(embedder, context.partition_key)
    report = embed_chunks(
        database,
        context.partition_key,
        embedder=embedder,
        batch_size=settings.embedding_batch_size,
        progress=progress.listener(context),
    )
    return dg.MaterializeResult(
        metadata={
            **asdict(report),
            "model": leaf.model,
            **dead_letter_metadata(database, context.partition_key, STAGE),
            **table_metadata(database, "vector_embeddings", relation=leaf.name, rows=report.stored),
        }
    )
