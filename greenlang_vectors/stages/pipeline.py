"""The stages that fill a namespace, one after the other, for callers without Dagster."""

from __future__ import annotations

from collections.abc import Callable

from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.progress import Progress
from greenlang_vectors.settings import Settings
from greenlang_vectors.stages.chunks import cut_chunks
from greenlang_vectors.stages.documents import load_documents
from greenlang_vectors.stages.embeddings import embed_chunks
from greenlang_vectors.stages.vector_index import build_indexes
from greenlang_vectors.store.database import Database


def fill(
    database: Database,
    name: str,
    *,
    embedders: Embedders,
    settings: Settings,
    progress: Callable[[str], Progress],
) -> None:
    """Read, cut, embed and index what the namespace's source holds, in every collection.

    Args:
        progress: gives the listener for a stage of this name.

    Raises:
        GreenLangError: the error of the stage that stopped.
    """
    cache_seconds = settings.embedding_cache_seconds
    load_documents(
        database,
        name,
        max_bytes=settings.max_document_bytes,
        ocr_languages=settings.ocr_languages,
        cache_seconds=cache_seconds,
        progress=progress("documents"),
    )
    cut_chunks(
        database,
        name,
        embedders=embedders,
        chunk_tokens=settings.chunk_tokens,
        cache_seconds=cache_seconds,
        progress=progress("chunks"),
    )
    embed_chunks(
        database,
        name,
        embedders=embedders,
        batch_size=settings.embedding_batch_size,
        progress=progress("embeddings"),
    )
    build_indexes(database, name, settings=settings, progress=progress("vector_index"))
