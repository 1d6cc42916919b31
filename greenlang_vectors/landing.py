"""Documents land with their passages and embeddings, in one transaction, whoever sends them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import NamedTuple, TypeVar
from uuid import UUID

import numpy as np
import psycopg
from numpy.typing import NDArray

from greenlang_vectors.chunking.model import Chunk, content_hash
from greenlang_vectors.chunking.tokens import Tokenizer
from greenlang_vectors.documents.model import JSON
from greenlang_vectors.embedding.embedder import Embedder
from greenlang_vectors.embedding.embedders import Embedders, embeddable
from greenlang_vectors.errors import UsageError
from greenlang_vectors.store import (
    chunks,
    collections,
    direct_documents,
    documents,
    embeddings,
    namespaces,
)
from greenlang_vectors.store.collections import Collection
from greenlang_vectors.store.direct_documents import ORIGINS
from greenlang_vectors.store.documents import NewVersion
from greenlang_vectors.store.embedding_jobs import Counting
from greenlang_vectors.store.embeddings import PendingChunk
from greenlang_vectors.store.encryption.cipher import Cipher
from greenlang_vectors.store.encryption.data_keys import cipher_of
from greenlang_vectors.store.identity import document_id
from greenlang_vectors.store.leaves import Leaf

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class SuppliedVectors:
    """Ready vectors, of a model that only the application has.

    Attributes:
        model: what the store calls it; they go into the collection "<namespace>/<model>", made
            on first use.
        vectors: of all passages of all documents in their order, shape (passages, dimensions).
        fingerprint: what they were made with, where that is a model of this machine, whose
            collection is there; None for an application's model.
    """

    model: str
    vectors: NDArray[np.float32]
    fingerprint: str | None = None


@dataclass(frozen=True, slots=True)
class Arrival:
    """A document as it is to be stored.

    Attributes:
        version: its text whole, and the hash that tells whether it is stored already.
        texts: what is embedded: the passages of its chunks of level 0.
        indexes: the numbers of these chunks.
        metadata: of each embedding.
        chunking_fingerprint: how it is cut.
        cut: its chunks, counted with the tokenizer of the model that serves.
    """

    version: NewVersion
    texts: Sequence[str]
    indexes: Sequence[int]
    metadata: Sequence[Mapping[str, JSON]]
    chunking_fingerprint: str
    cut: Callable[[Tokenizer], Sequence[Chunk]]

    def identity(self, namespace: str) -> UUID:
        """Its id in a namespace."""
        return document_id(namespace, self.version.source_type, self.version.source_key)


class Embedded(NamedTuple):
    """Vectors of texts, shape (n_texts, dimensions), and how many distinct ones the cache held."""

    rows: NDArray[np.float32]
    cache_hits: int


class _Vectors(NamedTuple):
    """What goes into one collection: vectors of all passages, and what they were made with."""

    rows: NDArray[np.float32]
    fingerprint: str
    cache_hits: int = 0


def land(
    connection: psycopg.Connection,
    embedders: Embedders,
    namespace: str,
    arrivals: Sequence[Arrival],
    *,
    origin: str,
    extraction_version: str,
    job: Counting,
    supplied: SuppliedVectors | None = None,
    batch_size: int = 1000,
    cache_seconds: int,
) -> int:
    """Store these documents in place of older ones of the same keys; return how many rows changed.

    All of it is one transaction. Every collection whose model is the library's to open gets an
    embedding of each passage, made before the transaction begins; the first one of a namespace
    is made, unless vectors are supplied. Rows are counted in the collection that serves, or in
    the one of the supplied vectors. Storing the same again changes nothing.

    Args:
        arrivals: no two of one key.
        origin: whose they are (`documents.origin`).
        job: told of the passages in that transaction.
        batch_size: texts embedded in one step.
        cache_seconds: how long the vectors of replaced passages stay in the embedding cache.

    Raises:
        UsageError: a document that its source delivers, a text that a collection's model cannot
            embed, or vectors that do not fit; nothing is stored then.
        UnknownNamespace: the namespace is not registered.
        ModelUnavailable, EmbeddingFailed: of a collection's model; nothing is stored then.
    """
    namespaces.get(connection, namespace)
    texts = [text for arrival in arrivals for text in arrival.texts]
    if not texts:
        return 0
    vectors: dict[UUID, _Vectors] = {}
    own: list[Collection] = []
    if supplied is not None and supplied.fingerprint is not None:
        there = collections.get(connection, f"{namespace}/{supplied.model}")
        vectors[there.id] = _Vectors(supplied.vectors, supplied.fingerprint)
    elif supplied is not None:
        leaf = Leaf(namespace, supplied.model, supplied.vectors.shape[1])
        own = [collections.ensure_supplied(connection, leaf)]
        vectors[own[0].id] = _Vectors(supplied.vectors, collections.supplied_fingerprint(leaf))
    while True:
        for collection in (
            embeddable(collections.list_all(connection, namespace))
            if own
            else embedders.collections(connection, namespace)
        ):
            if collection.id not in vectors:
                embedder = embedders.of(collection)
                made = embed(embedder, texts, batch_size)
                vectors[collection.id] = _Vectors(
                    made.rows,
                    embedder.model.spec.fingerprint(embedder.normalize),
                    made.cache_hits,
                )
        with collections.settled(connection, namespace) as present:
            wanted = own + embeddable(present)
            if wanted and all(collection.id in vectors for collection in wanted):
                opened = embedders.open(embedders.default) if own else embedders.of(wanted[0])
                cipher = cipher_of(connection, namespace)
                passages = _store(
                    connection,
                    namespace,
                    arrivals,
                    opened.model.spec.tokenizer(),
                    cipher,
                    origin=origin,
                    extraction_version=extraction_version,
                    cache_seconds=cache_seconds,
                )
                written = [
                    _write(connection, each, passages, vectors[each.id], cipher) for each in wanted
                ]
                job.add(processed=len(texts), cache_hits=vectors[wanted[0].id].cache_hits)
                return written[0]


def apart(
    items: Sequence[T],
    attempt: Callable[[Sequence[T]], int],
    refuse: Callable[[T, UsageError], None],
) -> int:
    """What the attempts add up to; items that one refuses are halved until the one is alone.

    Args:
        attempt: all of it or nothing, and a UsageError for nothing.
        refuse: told of each item that is refused alone.
    """
    if not items:
        return 0
    try:
        return attempt(items)
    except UsageError as error:
        if len(items) == 1:
            refuse(items[0], error)
            return 0
    middle = len(items) // 2
    return apart(items[:middle], attempt, refuse) + apart(items[middle:], attempt, refuse)


def landed(
    connection: psycopg.Connection,
    namespace: str,
    arrivals: Sequence[Arrival],
    supplied_model: str | None = None,
) -> set[UUID]:
    """Those of the documents that are stored as they are, with all their embeddings.

    Args:
        supplied_model: the application's model of their vectors, if any.
    """
    models = {each.model for each in embeddable(collections.list_all(connection, namespace))}
    if supplied_model is not None:
        models.add(supplied_model)
    wanted = {arrival.identity(namespace): arrival for arrival in arrivals}
    rows = connection.execute(
        """
        SELECT d.id, d.file_hash, d.chunking_fingerprint, (
            SELECT count(*) FROM vector_embeddings e
            WHERE e.namespace = d.namespace AND e.embedding_model = ANY(%s) AND e.source_id = d.id)
        FROM documents d WHERE d.namespace = %s AND d.id = ANY(%s)
        """,
        [list(models), namespace, list(wanted)],
    )
    return {
        identity
        for identity, file_hash, fingerprint, embeddings_ in rows
        if (file_hash, fingerprint, embeddings_)
        == (
            wanted[identity].version.file_hash,
            wanted[identity].chunking_fingerprint,
            len(wanted[identity].texts) * len(models),
        )
        and models
    }


def embed(embedder: Embedder, texts: Sequence[str], batch_size: int) -> Embedded:
    """The texts' vectors, made `batch_size` texts at a time.

    Raises:
        UsageError: a text that cannot be embedded.
        ModelUnavailable, EmbeddingFailed: as `Embedder.embed` does.
    """
    spec = embedder.model.spec
    vectors = np.empty((len(texts), spec.dimensions), dtype=np.float32)
    hits = 0
    for start in range(0, len(texts), batch_size):
        batch = embedder.embed(texts[start : start + batch_size])
        for index, error in batch.failures.items():
            raise UsageError(f"Text {start + index} cannot be embedded with {spec.name}: {error}")
        vectors[start : start + len(batch.vectors)] = batch.vectors
        hits += batch.counts.cache_hits
    return Embedded(vectors, hits)


def lock(
    connection: psycopg.Connection, namespace: str, identities: Sequence[UUID]
) -> dict[UUID, direct_documents.Known]:
    """The documents that are there; they may be changed until the transaction ends.

    Raises:
        UsageError: one that its source delivers.
    """
    known = direct_documents.lock(connection, namespace, identities)
    for each in known.values():
        if each.origin not in ORIGINS:
            raise UsageError(
                f"The document {each.source_key!r} of {namespace} is delivered by its source.",
                "Change it there; the next run brings it in.",
            )
    return known


def _store(
    connection: psycopg.Connection,
    namespace: str,
    arrivals: Sequence[Arrival],
    tokenizer: Tokenizer,
    cipher: Cipher | None,
    *,
    origin: str,
    extraction_version: str,
    cache_seconds: int,
) -> list[PendingChunk]:
    """Documents and chunks, those that are stored already left alone; gives all passages."""
    identities = [arrival.identity(namespace) for arrival in arrivals]
    known = lock(connection, namespace, identities)
    changed: dict[str, dict[UUID, Arrival]] = {}
    for identity, arrival in sorted(zip(identities, arrivals, strict=True), key=itemgetter(0)):
        old = known.get(identity)
        now = arrival.version.file_hash, arrival.chunking_fingerprint
        if old is None or (old.file_hash, old.chunking_fingerprint) != now:
            changed.setdefault(arrival.chunking_fingerprint, {})[identity] = arrival
    for fingerprint, group in changed.items():
        documents.save_all(
            connection,
            namespace,
            [arrival.version for arrival in group.values()],
            extraction_version=extraction_version,
            origin=origin,
            cipher=cipher,
        )
        chunks.replace_all(
            connection,
            namespace,
            {identity: arrival.cut(tokenizer) for identity, arrival in group.items()},
            fingerprint=fingerprint,
            cache_seconds=cache_seconds,
            cipher=cipher,
        )
    return [
        PendingChunk(
            arrival.version.source_type, identity, index, text, content_hash(text), metadata
        )
        for identity, arrival in zip(identities, arrivals, strict=True)
        for index, text, metadata in zip(
            arrival.indexes, arrival.texts, arrival.metadata, strict=True
        )
    ]


def _write(
    connection: psycopg.Connection,
    collection: Collection,
    passages: Sequence[PendingChunk],
    vectors: _Vectors,
    cipher: Cipher | None,
) -> int:
    report = embeddings.write(
        connection,
        collection.leaf,
        passages,
        vectors.rows,
        fingerprint=vectors.fingerprint,
        cipher=cipher,
    )
    for place, error in report.failures.items():
        raise UsageError(f"Text {place} cannot be stored in {collection.name}: {error}")
    return report.written
