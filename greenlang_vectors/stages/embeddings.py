"""Stage 3: chunks without an embedding get one (PRD 7.2).

The work is listed once, longest chunks first, and done in steps, each stored before the next
begins: a killed run repeats at most one step.
"""

from __future__ import annotations

from dataclasses import dataclass

from greenlang_vectors.embedding.embedder import Embedder, EmbeddingCounts
from greenlang_vectors.errors import EmbeddingFailed
from greenlang_vectors.progress import Progress, silent
from greenlang_vectors.store import dead_letters, embeddings, namespaces
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.documents import SOURCE_TYPE
from greenlang_vectors.store.embeddings import Leaf
from greenlang_vectors.store.locks import exclusive
from greenlang_vectors.store.records import embedding_job

STAGE = "embeddings"


@dataclass(frozen=True, slots=True)
class EmbeddingsReport:
    """What a run of the stage did.

    Attributes:
        pending: chunks that had no embedding.
        written: rows that were stored.
        cache_hits: chunks whose vector was in the cache.
        model_texts: chunks the model was given.
        model_seconds: time inside the model.
        failed: chunks that are dead letters now.
        stored: embeddings of the leaf now.
    """

    pending: int
    written: int
    cache_hits: int
    model_texts: int
    model_seconds: float
    failed: int
    stored: int


def leaf_of(embedder: Embedder, namespace: str) -> Leaf:
    """The leaf an embedder's vectors belong to."""
    spec = embedder.model.spec
    return Leaf(namespace, spec.name, spec.dimensions)


def embed_chunks(
    database: Database,
    name: str,
    *,
    embedder: Embedder,
    batch_size: int,
    progress: Progress = silent,
) -> EmbeddingsReport:
    """Embed every chunk that lacks an embedding of this model and these settings.

    Args:
        batch_size: chunks embedded and stored in one step.

    Raises:
        UnknownNamespace: it is not registered.
        ModelUnavailable: the model cannot be loaded.
        EmbeddingFailed: the model gave no usable vectors at all; what was stored before stays.
    """
    leaf = leaf_of(embedder, name)
    fingerprint = embedder.model.spec.fingerprint(embedder.normalize)
    counts = EmbeddingCounts()
    written = 0
    failed: list[str] = []
    with database.connect() as connection, exclusive(connection, STAGE, name):
        namespaces.get(connection, name)
        embeddings.ensure_leaf(connection, leaf)
        pending = embeddings.plan_work(connection, leaf, fingerprint)
        progress(0, pending, "chunks")
        if pending:
            with embedding_job(connection, leaf, SOURCE_TYPE, pending) as job:
                for after in range(0, pending, batch_size):
                    chunks = embeddings.pending(connection, leaf, after, batch_size)
                    batch = embedder.embed([chunk.content for chunk in chunks])
                    for index, error in batch.failures.items():
                        item = f"{chunks[index].document_id}/{chunks[index].chunk_index}"
                        dead_letters.record(connection, name, STAGE, item, error)
                        failed.append(item)
                    good = [i for i in range(len(chunks)) if i not in batch.failures]
                    written += embeddings.write(
                        connection,
                        leaf,
                        [chunks[i] for i in good],
                        batch.vectors[good],
                        fingerprint=fingerprint,
                    )
                    counts += batch.counts
                    job.advance(written, len(failed))
                    progress(min(after + batch_size, pending), pending, "chunks")
                if len(failed) == pending and not embeddings.count(connection, leaf):
                    raise EmbeddingFailed(
                        f"None of the {pending} chunks of {name} could be embedded.",
                        "The dead letters of the stage say why.",
                    )
            embeddings.analyze(connection, leaf)
        dead_letters.keep_only(connection, name, STAGE, failed)
        stored = embeddings.count(connection, leaf)
    return EmbeddingsReport(
        pending=pending,
        written=written,
        cache_hits=counts.cache_hits,
        model_texts=counts.model_texts,
        model_seconds=counts.model_seconds,
        failed=len(failed),
        stored=stored,
    )
