"""Stage 2: chunks."""

from dataclasses import asdict

import dagster as dg

from assets.documents import documents
from assets.metadata import dead_letter_metadata, table_metadata
from assets.stage import stage_asset
from greenlang_vectors.chunking.chunk import CHUNKING_VERSION
from greenlang_vectors.settings import Settings
from greenlang_vectors.stages.chunks import STAGE, cut_chunks
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.identity import identifier
from resources.embedding import EmbeddingResource
from resources.progress import StageProgress


@stage_asset(deps=[documents], code_version=str(CHUNKING_VERSION), kinds={"python", "postgres"})
def chunks(
    context: dg.AssetExecutionContext,
    database: dg.ResourceParam[Database],
    embedding: EmbeddingResource,
    settings: dg.ResourceParam[Settings],
    progress: dg.ResourceParam[StageProgress],
) -> dg.MaterializeResult[None]:
    """The documents cut into passages that the embedding model can read whole.

    Each knows its exact place in the document, its page and its headings.
    """
    namespace = context.partition_key
    report = cut_chunks(
        database,
        namespace,
        embedders=embedding.embedders(database),
        chunk_tokens=settings.chunk_tokens,
        cache_seconds=settings.embedding_cache_seconds,
        progress=progress.listener(context),
    )
    return dg.MaterializeResult(
        metadata={
            **asdict(report),
            **dead_letter_metadata(database, namespace, STAGE),
            **table_metadata(
                database,
                "document_chunks",
                relation=identifier(f"document_chunks_{namespace}"),
                rows=report.stored,
            ),
        }
    )
