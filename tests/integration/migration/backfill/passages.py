"""What an object of Weaviate is to become, and what became of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import psycopg
import pytest

from greenlang_vectors import direct
from greenlang_vectors.documents.direct import DirectDocument
from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.migration import backfill
from greenlang_vectors.migration.plan import Plan
from greenlang_vectors.store import weaviate_migrations

pytest.importorskip("weaviate", reason="needs the extra weaviate")

from local.weaviate_server.store import Sent, Vector

from ..conftest import DIMENSIONS, MODEL

Run = Callable[..., backfill.BackfillReport]
CACHE_SECONDS = 60


def stored(connection: psycopg.Connection, namespace: str) -> dict[UUID, tuple[Any, ...]]:
    """What is here of each object: source, number, text, metadata, vectors by model."""
    return {
        row[0]: row[1:]
        for row in connection.execute(
            """
            SELECT o.object_id, o.tenant, d.source_key, c.chunk_index, c.content, d.title,
                   (SELECT jsonb_object_agg(e.embedding_model, jsonb_build_array(
                        encode(vector_send(e.embedding), 'hex'), e.metadata, e.content_hash))
                    FROM vector_embeddings e
                    WHERE e.namespace = o.namespace AND e.source_id = o.document_id
                      AND e.chunk_index = o.chunk_index)
            FROM weaviate_objects o
            JOIN documents d ON d.namespace = o.namespace AND d.id = o.document_id
            JOIN document_chunks c ON c.namespace = o.namespace
                AND c.document_id = o.document_id AND c.chunk_index = o.chunk_index
            WHERE o.namespace = %s
            """,
            [namespace],
        )
    }


def expected(sent: Sent, tenant: str = "") -> tuple[Any, ...]:
    given = sent.properties
    key = f"{tenant}/{given['source_id']}" if tenant else given["source_id"]
    own = {"text", "source_id", "chunk_index"}
    metadata = {k: v for k, v in given.items() if k not in own and v is not None}
    vector = np.frombuffer(sent.vectors[""].data, "<f4")
    sent_as = (len(vector).to_bytes(2, "big") + bytes(2) + vector.astype(">f4").tobytes()).hex()
    text_hash = hashlib.sha256(given["text"].encode()).hexdigest()
    return (
        tenant,
        key,
        given["chunk_index"],
        given["text"],
        key,
        {MODEL: [sent_as, metadata, text_hash]},
    )


def save(connection: psycopg.Connection, namespace: str, plan: Plan) -> None:
    weaviate_migrations.save_plan(connection, namespace, plan.model_dump(mode="json"))


def passage(source: str, index: int, vector: object = None, **changed: object) -> Sent:
    floats = np.ones(DIMENSIONS, "<f4") if vector is None else np.asarray(vector, "<f4")
    properties = {
        "text": f"{source} {index}",
        "source_id": source,
        "chunk_index": index,
        **changed,
    }
    return Sent(str(uuid4()), properties, {"": Vector(floats.tobytes())})


def put(connection: psycopg.Connection, embedders: Embedders, namespace: str, key: str) -> None:
    """Write a document as an application does."""
    vectors = direct.SuppliedVectors(MODEL, np.full((1, DIMENSIONS), 0.5, np.float32))
    direct.put(
        connection,
        embedders,
        namespace,
        [DirectDocument(key, ["Written here."])],
        supplied=vectors,
        cache_seconds=CACHE_SECONDS,
    )
