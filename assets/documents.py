"""Stage 1: documents."""

from dataclasses import asdict

import dagster as dg

from assets.freshness import DAILY
from assets.metadata import dead_letter_metadata, table_metadata
from assets.stage import stage_asset
from greenlang_vectors.documents.extract import EXTRACTION_VERSION
from greenlang_vectors.settings import Settings
from greenlang_vectors.stages.documents import STAGE, load_documents
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.identity import identifier
from resources.progress import StageProgress


@stage_asset(
    code_version=EXTRACTION_VERSION,
    kinds={"python", "postgres", "pdf", "html"},
    freshness=DAILY,
)
def documents(
    context: dg.AssetExecutionContext,
    database: dg.ResourceParam[Database],
    settings: dg.ResourceParam[Settings],
    progress: dg.ResourceParam[StageProgress],
) -> dg.MaterializeResult[None]:
    """Every file of the namespace's source as clean text with page numbers and headings.

    Files that cannot be read are dead letters, listed with what helps; all others go on. A
    source that cannot be listed changes nothing.
    """
    namespace = context.partition_key
    report = load_documents(
        database,
        namespace,
        max_bytes=settings.max_document_bytes,
        ocr_languages=settings.ocr_languages,
        cache_seconds=settings.embedding_cache_seconds,
        progress=progress.listener(context),
    )
    return dg.MaterializeResult(
        metadata={
            **asdict(report),
            **dead_letter_metadata(database, namespace, STAGE),
            **table_metadata(
                database,
                "documents",
                relation=identifier(f"documents_{namespace}"),
                rows=report.stored,
            ),
        }
    )
