"""Documents that applications write themselves: put, read back and deleted by their keys (PRD 7.2).

A document is what its last `put` said: passages in their order, metadata, title. It gets an
embedding in every collection of its namespace, and the pipeline leaves it as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql

from greenlang_vectors.chunking.passages import as_chunks
from greenlang_vectors.documents.direct import SEPARATOR, DirectDocument
from greenlang_vectors.documents.model import ExtractedDocument
from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.errors import UsageError
from greenlang_vectors.landing import Arrival, SuppliedVectors, land, lock
from greenlang_vectors.search.conditions import condition
from greenlang_vectors.search.filters import And, Filter
from greenlang_vectors.store import (
    collections,
    direct_documents,
    documents,
    namespaces,
    weaviate_outbox,
)
from greenlang_vectors.store.direct_documents import ORIGIN, ORIGINS
from greenlang_vectors.store.documents import SOURCE_TYPE, NewVersion
from greenlang_vectors.store.embedding_jobs import one_write
from greenlang_vectors.store.encryption.data_keys import cipher_of
from greenlang_vectors.store.identity import document_id

FORMAT = "sdk"
"""Extraction version and chunking fingerprint of what comes as passages."""


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

    As `land` does, in one transaction with the job of the write; of one key put twice the last
    counts.

    Args:
        batch_size: texts embedded in one step.
        cache_seconds: how long the vectors of replaced passages stay in the embedding cache.

    Raises:
        UsageError: a document that cannot be stored; nothing is stored then.
        GreenLangError: see `land`.
    """
    documents_ = [item.cleaned() for item in items]
    last = {(item.source_type, item.key): place for place, item in enumerate(documents_)}
    kept = sorted(last.values())
    if supplied is not None:
        supplied = SuppliedVectors(supplied.model, _rows_of(supplied, documents_, set(kept)))
    passages = sum(len(documents_[place].texts) for place in kept)
    model = None if supplied is None else supplied.model
    with one_write(connection, namespace, model, passages) as job:
        return land(
            connection,
            embedders,
            namespace,
            [_arrival(documents_[place]) for place in kept],
            origin=ORIGIN,
            extraction_version=FORMAT,
            job=job,
            supplied=supplied,
            batch_size=batch_size,
            cache_seconds=cache_seconds,
        )


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
        known = lock(connection, namespace, identities)
        documents.remove_all(connection, namespace, list(known), cache_seconds=cache_seconds)
        elsewhere = {*(keys or ())} - {each.source_key for each in known.values()}
        weaviate_outbox.note_deletions(connection, namespace, source_type, elsewhere)
    return len(known)


def _rows_of(
    supplied: SuppliedVectors, given: Sequence[DirectDocument], kept: set[int]
) -> NDArray[np.float32]:
    """The supplied vectors of the documents that are kept."""
    passages = np.repeat(np.arange(len(given)), [len(item.texts) for item in given])
    if supplied.vectors.ndim != 2 or len(supplied.vectors) != len(passages):
        raise UsageError("Supplied vectors must be one for each passage, all of one length.")
    return supplied.vectors[np.isin(passages, list(kept))]


def _arrival(item: DirectDocument) -> Arrival:
    text = item.content
    document = ExtractedDocument(
        text, item.title or item.key, "text/plain", metadata=dict(item.metadata)
    )
    return Arrival(
        NewVersion(item.source_type, item.key, document, item.version, len(text.encode())),
        item.texts,
        range(len(item.texts)),
        [item.metadata] * len(item.texts),
        FORMAT,
        lambda tokenizer: as_chunks(item.texts, SEPARATOR, tokenizer),
    )
