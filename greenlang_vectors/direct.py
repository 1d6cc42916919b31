"""Documents that applications write themselves: put, read back and deleted by their keys (PRD 7.2).

A document is what its last `put` said: passages in their order, metadata, title. It gets an
embedding in every collection of its namespace, and the pipeline leaves it as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql

from greenlang_vectors.chunking.model import content_hash
from greenlang_vectors.chunking.passages import as_chunks
from greenlang_vectors.chunking.tokens import Tokenizer
from greenlang_vectors.documents.direct import SEPARATOR, DirectDocument
from greenlang_vectors.documents.model import ExtractedDocument
from greenlang_vectors.embedding.embedder import Embedder
from greenlang_vectors.embedding.embedders import Embedders, embeddable
from greenlang_vectors.errors import UsageError
from greenlang_vectors.search.conditions import condition
from greenlang_vectors.search.filters import And, Filter
from greenlang_vectors.store import (
    chunks,
    collections,
    direct_documents,
    documents,
    embeddings,
    namespaces,
    weaviate_outbox,
)
from greenlang_vectors.store.collections import Collection
from greenlang_vectors.store.direct_documents import ORIGIN, ORIGINS
from greenlang_vectors.store.documents import SOURCE_TYPE, NewVersion
from greenlang_vectors.store.embeddings import PendingChunk
from greenlang_vectors.store.encryption.cipher import Cipher
from greenlang_vectors.store.encryption.data_keys import cipher_of
from greenlang_vectors.store.identity import document_id
from greenlang_vectors.store.leaves import Leaf

FORMAT = "sdk"
"""Extraction version and chunking fingerprint of what comes as passages."""


@dataclass(frozen=True, slots=True, eq=False)
class SuppliedVectors:
    """Ready vectors, of a model that only the application has.

    Attributes:
        model: what the store calls it; they go into the collection "<namespace>/<model>", made
            on first use.
        vectors: of all passages of all documents in their order, shape (passages, dimensions).
    """

    model: str
    vectors: NDArray[np.float32]


class _Vectors(NamedTuple):
    """What goes into one collection: vectors of all passages, and what they were made with."""

    rows: NDArray[np.float32]
    fingerprint: str


def put(
    connection: psycopg.Connection,
    embedders: Embedders,
    namespace: str,
    items: Sequence[DirectDocument],
    *,
    supplied: SuppliedVectors | None = None,
    batch_size: int = 1000,
    cache_seconds: int,
) -> int:
    """Store these documents in place of older ones of the same keys; return how many rows changed.

    All of it is one transaction. Every collection whose model is the library's to open gets an
    embedding of each passage, made before the transaction begins; the first one of a namespace
    is made, unless vectors are supplied. Rows are counted in the collection that serves, or in
    the one of the supplied vectors. Putting the same again changes nothing; of one key put twice
    the last counts.

    Args:
        batch_size: texts embedded in one step.
        cache_seconds: how long the vectors of replaced passages stay in the embedding cache.

    Raises:
        UsageError: a document that cannot be stored, one that its source delivers, a text that a
            collection's model cannot embed, or vectors that do not fit; nothing is stored then.
        UnknownNamespace: the namespace is not registered.
        ModelUnavailable, EmbeddingFailed: of a collection's model; nothing is stored then.
    """
    namespaces.get(connection, namespace)
    documents_ = [item.cleaned() for item in items]
    last = {(item.source_type, item.key): place for place, item in enumerate(documents_)}
    kept = [documents_[place] for place in sorted(last.values())]
    texts = [text for item in kept for text in item.texts]
    if not texts:
        return 0
    vectors: dict[UUID, _Vectors] = {}
    own: list[Collection] = []
    if supplied is not None:
        rows = _rows_of(supplied, documents_, set(last.values()))
        leaf = Leaf(namespace, supplied.model, rows.shape[1])
        own = [collections.ensure_supplied(connection, leaf)]
        vectors[own[0].id] = _Vectors(rows, collections.supplied_fingerprint(leaf))
    while True:
        for collection in (
            embeddable(collections.list_all(connection, namespace))
            if own
            else embedders.collections(connection, namespace)
        ):
            if collection.id not in vectors:
                embedder = embedders.of(collection)
                vectors[collection.id] = _Vectors(
                    embed(embedder, texts, batch_size),
                    embedder.model.spec.fingerprint(embedder.normalize),
                )
        with collections.settled(connection, namespace) as present:
            wanted = own + embeddable(present)
            if wanted and all(collection.id in vectors for collection in wanted):
                opened = embedders.open(embedders.default) if own else embedders.of(wanted[0])
                cipher = cipher_of(connection, namespace)
                tokenizer = opened.model.spec.tokenizer()
                passages = _store(connection, namespace, kept, tokenizer, cipher, cache_seconds)
                written = [
                    _write(connection, each, passages, vectors[each.id], cipher) for each in wanted
                ]
                return written[0]


def get(
    connection: psycopg.Connection,
    namespace: str,
    keys: Sequence[str],
    source_type: str = SOURCE_TYPE,
) -> list[DirectDocument]:
    """The documents of these keys, in their order; those that are not there are left out.

    Raises:
        UnknownNamespace: the namespace is not registered.
        SealBroken, KeyUnavailable: of an encrypted namespace.
    """
    namespaces.get(connection, namespace)
    identities = [document_id(namespace, source_type, key) for key in dict.fromkeys(keys)]
    cipher = cipher_of(connection, namespace)
    found = direct_documents.load(connection, namespace, identities, cipher)
    return [
        DirectDocument(
            each.source_key,
            each.texts,
            each.metadata,
            None if each.title == each.source_key else each.title,
            source_type,
        )
        for each in (found[identity] for identity in identities if identity in found)
    ]


def matching(
    connection: psycopg.Connection,
    namespace: str,
    filter: Filter | None,
    source_type: str = SOURCE_TYPE,
    collection: str | None = None,
) -> list[str]:
    """The keys of the documents with a passage that passes the filter, in order.

    Args:
        collection: whose passages are looked at; None for the one that serves.

    Raises:
        UnknownCollection, UnknownNamespace: it is not there.
    """
    namespaces.get(connection, namespace)
    found = (
        collections.serving(connection, namespace)
        if collection is None
        else collections.get(connection, collection)
    )
    if found is None:
        return []
    passes, values = condition(filter or And(()), "e")
    rows = connection.execute(
        sql.SQL(
            """
            SELECT source_key FROM documents d
            WHERE namespace = %(namespace)s AND origin = ANY(%(origins)s)
              AND source_type = %(source_type)s AND EXISTS (
                  SELECT FROM {leaf} e WHERE e.source_id = d.id AND {passes})
            ORDER BY source_key
            """
        ).format(leaf=found.leaf.table, passes=passes),
        {"namespace": namespace, "origins": ORIGINS, "source_type": source_type, **values},
    )
    return [key for (key,) in rows]


def delete(
    connection: psycopg.Connection,
    namespace: str,
    keys: Sequence[str] | None,
    source_type: str = SOURCE_TYPE,
    *,
    cache_seconds: int,
) -> int:
    """Remove documents with their passages and embeddings; return how many were there.

    All of it is one transaction. Of a namespace that is moved from Weaviate, documents that only
    Weaviate has are deleted, too.

    Args:
        keys: None for all that applications wrote of this source type.
        cache_seconds: how long their vectors stay in the embedding cache.

    Raises:
        UsageError: one that its source delivers; nothing is removed then.
        UnknownNamespace: the namespace is not registered.
    """
    namespaces.get(connection, namespace)
    with connection.transaction():
        if keys is None:
            identities = direct_documents.identities(connection, namespace, source_type)
        else:
            identities = [document_id(namespace, source_type, key) for key in keys]
        known = _locked(connection, namespace, identities)
        documents.remove_all(connection, namespace, list(known), cache_seconds=cache_seconds)
        elsewhere = {*(keys or ())} - {each.source_key for each in known.values()}
        weaviate_outbox.note_deletions(connection, namespace, source_type, elsewhere)
    return len(known)


def embed(embedder: Embedder, texts: Sequence[str], batch_size: int) -> NDArray[np.float32]:
    """The texts' vectors, shape (n_texts, dimensions), made `batch_size` texts at a time.

    Raises:
        UsageError: a text that cannot be embedded.
        ModelUnavailable, EmbeddingFailed: as `Embedder.embed` does.
    """
    spec = embedder.model.spec
    vectors = np.empty((len(texts), spec.dimensions), dtype=np.float32)
    for start in range(0, len(texts), batch_size):
        batch = embedder.embed(texts[start : start + batch_size])
        for index, error in batch.failures.items():
            raise UsageError(f"Text {start + index} cannot be embedded with {spec.name}: {error}")
        vectors[start : start + len(batch.vectors)] = batch.vectors
    return vectors


def _rows_of(
    supplied: SuppliedVectors, given: Sequence[DirectDocument], kept: set[int]
) -> NDArray[np.float32]:
    """The supplied vectors of the documents that are kept."""
    passages = np.repeat(np.arange(len(given)), [len(item.texts) for item in given])
    if supplied.vectors.ndim != 2 or len(supplied.vectors) != len(passages):
        raise UsageError("Supplied vectors must be one for each passage, all of one length.")
    return supplied.vectors[np.isin(passages, list(kept))]


def _version(item: DirectDocument) -> NewVersion:
    text = item.content
    document = ExtractedDocument(
        text, item.title or item.key, "text/plain", metadata=dict(item.metadata)
    )
    return NewVersion(item.source_type, item.key, document, item.version, len(text.encode()))


def _locked(
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
    items: Sequence[DirectDocument],
    tokenizer: Tokenizer,
    cipher: Cipher | None,
    cache_seconds: int,
) -> list[PendingChunk]:
    """Documents and chunks, those that are stored already left alone; gives all passages."""
    identities = [document_id(namespace, item.source_type, item.key) for item in items]
    versions = dict(zip(identities, map(_version, items), strict=True))
    known = _locked(connection, namespace, identities)
    changed = {
        identity
        for identity, new in versions.items()
        if (old := known.get(identity)) is None
        or (old.file_hash, old.chunking_fingerprint) != (new.file_hash, FORMAT)
    }
    documents.save_all(
        connection,
        namespace,
        [versions[identity] for identity in sorted(changed)],
        extraction_version=FORMAT,
        origin=ORIGIN,
        cipher=cipher,
    )
    cut = {
        identity: as_chunks(item.texts, SEPARATOR, tokenizer)
        for identity, item in zip(identities, items, strict=True)
        if identity in changed
    }
    chunks.replace_all(
        connection,
        namespace,
        cut,
        fingerprint=FORMAT,
        cache_seconds=cache_seconds,
        cipher=cipher,
    )
    return [
        PendingChunk(item.source_type, identity, index, text, content_hash(text), item.metadata)
        for identity, item in zip(identities, items, strict=True)
        for index, text in enumerate(item.texts)
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
