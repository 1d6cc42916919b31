"""Stage 4: vector_index."""

from dataclasses import asdict

import dagster as dg

from assets.embeddings import embeddings
from assets.metadata import table_metadata
from assets.stage import stage_asset
from greenlang_vectors.settings import Settings
from greenlang_vectors.stages.embeddings import leaf_of
from greenlang_vectors.stages.vector_index import build_index
from greenlang_vectors.store.database import Database
from resources.embedding import EmbeddingResource
from resources.progress import StageProgress


@stage_asset(deps=[embeddings], code_version="1", kinds={"postgres"}, pool="index_build")
def vector_index(
    context: dg.AssetExecutionContext,
    database: dg.ResourceParam[Database],
    embedding: EmbeddingResource,
    settings: dg.ResourceParam[Settings],
    progress: dg.ResourceParam[StageProgress],
) -> dg.MaterializeResult[None]:
    """The HNSW index over the namespace's leaf, with the profile's parameters.

    It is built while searches go on, and left alone when it is already right.
    """
    leaf = leaf_of(embedding.embedder(database), context.partition_key)
    report = build_index(database, leaf, settings=settings, progress=progress.listener(context))
    return dg.MaterializeResult(
        metadata={
            **asdict(report),
            **asdict(settings.index),
            **table_metadata(database, report.name, relation=report.name, rows=report.rows),
        }
    )
