"""Stage 2: chunks."""

from dataclasses import asdict

import dagster as dg

from assets import plots
from assets.documents import documents
from assets.freshness import DAILY
from assets.metadata import Metadata, dead_letter_metadata, table_metadata
from assets.stage import stage_asset
from greenlang_vectors.chunking.chunk import CHUNKING_VERSION
from greenlang_vectors.settings import Settings
from greenlang_vectors.stages.chunks import STAGE, ChunksReport, cut_chunks
from greenlang_vectors.store import chunks as stored
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.identity import identifier
from resources.embedding import EmbeddingResource
from resources.progress import StageProgress


@stage_asset(
    deps=[documents],
    code_version=str(CHUNKING_VERSION),
    kinds={"python", "postgres"},
    freshness=DAILY,
)
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
            **_lengths(database, namespace, report),
            **dead_letter_metadata(database, namespace, STAGE),
            **table_metadata(
                database,
                "document_chunks",
                relation=identifier(f"document_chunks_{namespace}"),
                rows=report.stored,
            ),
        }
    )


def _lengths(database: Database, namespace: str, report: ChunksReport) -> Metadata:
    """How long the searched chunks are: numbers over time, and a picture of now."""
    with database.connection() as connection:
        counts = stored.lengths(connection, namespace)
    if not counts:
        return {}
    return {
        "tokens_mean": dg.MetadataValue.float(report.tokens / report.searched),
        "tokens_longest": dg.MetadataValue.int(max(counts)),
        "chunk_lengths": dg.MetadataValue.md(
            plots.chunk_lengths(counts, report.max_tokens, report.model_reads)
        ),
    }
