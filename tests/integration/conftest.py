"""Content for a real database, without a model: documents, chunks and random unit vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

import numpy as np
import psycopg
import pytest

from greenlang_vectors.chunking.model import Chunk, content_hash
from greenlang_vectors.documents.model import ExtractedDocument
from greenlang_vectors.embedding.embedder import Embedder
from greenlang_vectors.embedding.models import PACKAGED_MODEL
from greenlang_vectors.embedding.opening import open_embedder
from greenlang_vectors.store import chunks, documents, embeddings, namespaces
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.embeddings import Leaf

DIMENSIONS = 8
FINGERPRINT = "test"

AddDocument = Callable[[psycopg.Connection, str, str, Sequence[str]], UUID]


def cut(passages: Sequence[str]) -> list[Chunk]:
    """The passages as chunks of the text that joins them with blank lines."""
    starts = np.cumsum([0, *(len(passage) + 2 for passage in passages)]).tolist()
    return [
        Chunk(i, start, start + len(passage), passage, len(passage.split()) + 2, None, None, ())
        for i, (start, passage) in enumerate(zip(starts, passages, strict=False))
    ]


@pytest.fixture
def add_document() -> AddDocument:
    """Stores a document of these passages with its chunks; returns its id."""

    def add(
        connection: psycopg.Connection, namespace: str, key: str, passages: Sequence[str]
    ) -> UUID:
        text = "\n\n".join(passages)
        identity = documents.save(
            connection,
            namespace,
            key,
            ExtractedDocument(text, title=key, media_type="text/plain"),
            file_hash=content_hash(text),
            size_bytes=len(text),
            extraction_version="1",
        )
        chunks.replace(
            connection,
            namespace,
            identity,
            cut(passages),
            text_hash=content_hash(text),
            fingerprint="cut",
            cache_seconds=3600,
        )
        return identity

    return add


@pytest.fixture
def embed_all() -> Callable[[psycopg.Connection, Leaf], int]:
    """Gives every chunk of the leaf's namespace that lacks one a random unit vector."""

    def embed(connection: psycopg.Connection, leaf: Leaf) -> int:
        embeddings.ensure_leaf(connection, leaf)
        total = embeddings.plan_work(connection, leaf, FINGERPRINT)
        pending = embeddings.pending(connection, leaf, 0, total)
        vectors = np.random.default_rng(total).normal(size=(len(pending), leaf.dimensions))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return embeddings.write(
            connection, leaf, pending, vectors.astype(np.float32), fingerprint=FINGERPRINT
        )

    return embed


@pytest.fixture(scope="module")
def embedder(database: Database) -> Embedder:
    """The packaged model behind the module's own cache."""
    return open_embedder(database, PACKAGED_MODEL, cache_seconds=3600)


@pytest.fixture
def leaf(database: Database, request: pytest.FixtureRequest) -> Leaf:
    """An empty leaf in a namespace of the test's own."""
    name = f"t{abs(hash(request.node.nodeid)) % 10**12}"
    with database.connect() as connection:
        namespaces.register(connection, name)
        made = Leaf(name, "test-model", DIMENSIONS)
        embeddings.ensure_leaf(connection, made)
    return made
