"""Stage 3: chunks without an embedding get one, in each collection (PRD 7.2).

The work is listed once, longest chunks first, and done in steps, each stored before the next
begins: a killed run repeats at most one step.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import psycopg

from greenlang_vectors.embedding.embedder import Embedder, EmbeddingCounts
from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.errors import EmbeddingFailed, UsageError
from greenlang_vectors.progress import Progress, silent
from greenlang_vectors.store import (
    collections,
    completeness,
    dead_letters,
    embeddings,
    leaves,
    versions,
)
from greenlang_vectors.store.collections import Collection
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.embedding_jobs import embedding_job
from greenlang_vectors.store.encryption.data_keys import cipher_of
from greenlang_vectors.store.locks import exclusive

STAGE = "embeddings"


@dataclass(frozen=True, slots=True)
class EmbeddingsReport:
    """What a run of the stage did in one collection.

    Attributes:
        pending: chunks that had no embedding.
        written: rows that were stored.
        cache_hits: chunks whose vector was in the cache.
        model_texts: chunks the model was given.
        model_tokens: tokens of these chunks, as they were counted when they were cut.
        model_seconds: time inside the model.
        cost_dollars: what the model's maker asks for so many tokens (US dollars); 0 for a model on
            this machine. OpenAI's models read 1.02 times as many of EU regulations as were counted.
        failed: chunks that are dead letters now.
        stored: embeddings of the collection now.
    """

    pending: int
    written: int
    cache_hits: int
    model_texts: int
    model_tokens: int
    model_seconds: float
    cost_dollars: float
    failed: int
    stored: int


def embed_chunks(
    database: Database,
    name: str,
    *,
    embedders: Embedders,
    batch_size: int,
    only: Sequence[str] | None = None,
    progress: Progress = silent,
) -> dict[str, EmbeddingsReport]:
    """Fill every collection of the namespace, the serving one first.

    A collection beside the serving one that is being filled elsewhere is left to that: it goes
    on until nothing is pending.

    Args:
        batch_size: chunks embedded and stored in one step.
        only: look at the passages of these dead letters alone, and at their collections.

    Returns:
        What was done, by collection.

    Raises:
        UnknownNamespace: it is not registered.
        ModelUnavailable: a model cannot be loaded.
        EmbeddingFailed: a model gave no usable vectors at all; what was stored before stays.
    """
    reports = {}
    with database.connect() as connection:
        for collection in embedders.collections(connection, name):
            letters = None if only is None else _of_collection(collection, only)
            if letters == []:
                continue
            with exclusive(connection, STAGE, collection.name, wait=collection.serving) as held:
                if held:
                    with suppress(_Dropped):
                        reports[collection.name] = _fill(
                            connection,
                            collection,
                            embedders.of(collection),
                            batch_size,
                            progress,
                            letters,
                        )
        versions.link(connection, name, cipher_of(connection, name))
    return reports


def fill_collection(
    database: Database,
    name: str,
    *,
    embedders: Embedders,
    batch_size: int,
    progress: Progress = silent,
) -> EmbeddingsReport:
    """Embed every chunk that a collection lacks.

    Raises:
        UsageError: there is no such collection.
        ModelUnavailable, EmbeddingFailed: as `embed_chunks` does.
    """
    with database.connect() as connection:
        collection = collections.get(connection, name)
        with exclusive(connection, STAGE, name):
            return _fill(connection, collection, embedders.of(collection), batch_size, progress)


def _of_collection(collection: Collection, letters: Sequence[str]) -> list[str]:
    """Those of the dead letters that are of this collection."""
    ending = completeness.dead_letter_ending(collection.leaf)
    return [letter for letter in letters if letter.endswith(ending)]


class _Dropped(UsageError):
    """The collection went while it was filled."""


def _fill(
    connection: psycopg.Connection,
    collection: Collection,
    embedder: Embedder,
    batch_size: int,
    progress: Progress,
    letters: list[str] | None = None,
) -> EmbeddingsReport:
    """Embed what is pending, and what others cut meanwhile, until nothing is.

    Args:
        letters: what these dead letters of the collection are about, and nothing else.
    """
    leaf, namespace = collection.leaf, collection.namespace
    fingerprint = embedder.model.spec.fingerprint(embedder.normalize)
    ending = completeness.dead_letter_ending(leaf)
    only = None if letters is None else [letter.removesuffix(ending) for letter in letters]
    cipher = cipher_of(connection, namespace)
    counts = EmbeddingCounts()
    asked = written = tokens = 0
    failed: list[str] = []
    while (pending := embeddings.plan_work(connection, leaf, fingerprint, only)) > len(failed):
        asked += pending - len(failed)
        failed = []
        done = 0
        progress(0, pending, "chunks")
        with embedding_job(
            connection, namespace, leaf.model, "document", source_count=pending
        ) as job:
            for after in range(0, pending, batch_size):
                chunks = embeddings.pending(connection, leaf, after, batch_size, cipher)
                batch = embedder.embed([chunk.content for chunk in chunks])
                broken = {i: chunk.broken for i, chunk in enumerate(chunks) if chunk.broken}
                unusable = batch.failures | broken
                good = [i for i in range(len(chunks)) if i not in unusable]
                with collections.settled(connection, namespace) as present:
                    if collection.id not in {each.id for each in present}:
                        raise _Dropped(f"The collection {collection.name} has been dropped.")
                    stored = embeddings.write(
                        connection,
                        leaf,
                        [chunks[i] for i in good],
                        batch.vectors[good],
                        fingerprint=fingerprint,
                        cipher=cipher,
                    )
                done += stored.written
                refused = {good[i]: error for i, error in stored.failures.items()}
                lost = unusable | refused
                for index, error in lost.items():
                    item = completeness.dead_letter_item(
                        leaf, chunks[index].document_id, chunks[index].chunk_index
                    )
                    dead_letters.record(connection, namespace, STAGE, item, error)
                    failed.append(item)
                counts += batch.counts
                tokens += sum(chunks[i].token_count for i in batch.made)
                job.add(
                    processed=stored.written, failed=len(lost), cache_hits=batch.counts.cache_hits
                )
                progress(min(after + batch_size, pending), pending, "chunks")
            if len(failed) == pending and not leaves.count(connection, leaf):
                raise EmbeddingFailed(
                    f"None of the {pending} chunks of {namespace} could be embedded.",
                    "The dead letters of the stage say why.",
                )
        written += done
        leaves.analyze(connection, leaf)
    dead_letters.keep_only(connection, namespace, STAGE, failed, ending=ending, among=letters)
    if not asked:
        progress(0, 0, "chunks")
    return EmbeddingsReport(
        pending=asked,
        written=written,
        cache_hits=counts.cache_hits,
        model_texts=counts.model_texts,
        model_tokens=tokens,
        model_seconds=counts.model_seconds,
        cost_dollars=tokens / 1e6 * embedder.model.spec.price,
        failed=len(failed),
        stored=leaves.count(connection, leaf),
    )
