"""Documents, chunks and embeddings: what is written, kept, replaced and refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

import numpy as np
import psycopg
import pytest

from greenlang_vectors.chunking.model import content_hash
from greenlang_vectors.store import chunks, documents, embeddings
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.embeddings import PendingChunk
from greenlang_vectors.store.leaves import Leaf

pytestmark = pytest.mark.integration

AddDocument = Callable[[psycopg.Connection, str, str, Sequence[str]], UUID]
EmbedAll = Callable[[psycopg.Connection, Leaf], int]


def embedded_passages(connection: psycopg.Connection, leaf: Leaf) -> dict[int, str]:
    rows = connection.execute(
        "SELECT chunk_index, content_preview FROM vector_embeddings WHERE namespace = %s",
        [leaf.namespace],
    )
    return dict(rows.fetchall())


def cached(connection: psycopg.Connection, passage: str) -> bool:
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM embedding_cache WHERE content_hash = %s)",
        [content_hash(passage)],
    ).fetchone()
    return row == (True,)


def test_only_changed_passages_lose_their_embeddings(
    database: Database, leaf: Leaf, add_document: AddDocument, embed_all: EmbedAll
) -> None:
    with database.connect() as connection:
        add_document(connection, leaf.namespace, "a.txt", ["one keeps", "two changes", "three"])
        assert embed_all(connection, leaf) == 3
        add_document(connection, leaf.namespace, "a.txt", ["one keeps", "two has changed"])
        assert embedded_passages(connection, leaf) == {0: "one keeps"}
        assert embeddings.plan_work(connection, leaf, "test") == 1


def test_the_vector_of_a_passage_that_moved_waits_in_the_cache(
    database: Database, leaf: Leaf, add_document: AddDocument, embed_all: EmbedAll
) -> None:
    with database.connect() as connection:
        add_document(connection, leaf.namespace, "a.txt", ["it moves down", "it stays away"])
        embed_all(connection, leaf)
        assert not cached(connection, "it moves down")
        add_document(connection, leaf.namespace, "a.txt", ["inserted above", "it moves down"])
        assert cached(connection, "it moves down")


def test_removing_a_document_leaves_no_row_of_it(
    database: Database, leaf: Leaf, add_document: AddDocument, embed_all: EmbedAll
) -> None:
    with database.connect() as connection:
        gone = add_document(connection, leaf.namespace, "gone.txt", ["gone soon"])
        add_document(connection, leaf.namespace, "stays.txt", ["stays here"])
        embed_all(connection, leaf)
        documents.remove(connection, leaf.namespace, gone, cache_seconds=60)
        assert documents.totals(connection, leaf.namespace)[0] == 1
        assert chunks.totals(connection, leaf.namespace)[0] == 1
        assert embedded_passages(connection, leaf) == {0: "stays here"}


def test_chunks_of_a_text_that_was_replaced_meanwhile_are_not_stored(
    database: Database, leaf: Leaf, add_document: AddDocument
) -> None:
    with database.connect() as connection:
        identity = add_document(connection, leaf.namespace, "a.txt", ["the newer text"])
        outcome = chunks.replace(
            connection,
            leaf.namespace,
            identity,
            [],
            text_hash=content_hash("the older text"),
            fingerprint="cut",
            cache_seconds=60,
        )
        assert outcome is False
        assert chunks.totals(connection, leaf.namespace)[0] == 1


def test_an_embedding_whose_chunk_changed_meanwhile_is_not_stored(
    database: Database, leaf: Leaf, add_document: AddDocument
) -> None:
    with database.connect() as connection:
        add_document(connection, leaf.namespace, "a.txt", ["before the change", "untouched"])
        total = embeddings.plan_work(connection, leaf, "test")
        pending = embeddings.pending(connection, leaf, 0, total)
        add_document(connection, leaf.namespace, "a.txt", ["after the change", "untouched"])
        vectors = np.eye(total, leaf.dimensions, dtype=np.float32)
        assert embeddings.write(connection, leaf, pending, vectors, fingerprint="test").written == 1
        assert embedded_passages(connection, leaf) == {1: "untouched"}


def test_writing_again_changes_nothing(
    database: Database, leaf: Leaf, add_document: AddDocument
) -> None:
    with database.connect() as connection:
        add_document(connection, leaf.namespace, "a.txt", ["one", "two"])
        total = embeddings.plan_work(connection, leaf, "test")
        pending = embeddings.pending(connection, leaf, 0, total)
        vectors = np.eye(total, leaf.dimensions, dtype=np.float32)
        assert embeddings.write(connection, leaf, pending, vectors, fingerprint="test").written == 2
        assert embeddings.write(connection, leaf, pending, vectors, fingerprint="test").written == 0


def test_another_fingerprint_makes_every_chunk_pending_again(
    database: Database, leaf: Leaf, add_document: AddDocument, embed_all: EmbedAll
) -> None:
    with database.connect() as connection:
        add_document(connection, leaf.namespace, "a.txt", ["one", "two"])
        embed_all(connection, leaf)
        assert embeddings.plan_work(connection, leaf, "test") == 0
        assert embeddings.plan_work(connection, leaf, "other weights") == 2


def test_work_comes_longest_first_and_in_pages(
    database: Database, leaf: Leaf, add_document: AddDocument
) -> None:
    with database.connect() as connection:
        passages = ["a " * n + "end" for n in (1, 5, 3, 2, 4)]
        add_document(connection, leaf.namespace, "a.txt", passages)
        total = embeddings.plan_work(connection, leaf, "test")
        pages = [embeddings.pending(connection, leaf, after, 2) for after in range(0, total, 2)]
    assert [[len(chunk.content.split()) - 1 for chunk in page] for page in pages] == [
        [5, 4],
        [3, 2],
        [1],
    ]


def test_the_leaf_refuses_vectors_of_other_dimensions(
    database: Database, leaf: Leaf, add_document: AddDocument
) -> None:
    with database.connect() as connection:
        identity = add_document(connection, leaf.namespace, "a.txt", ["one"])
        chunk = PendingChunk("document", identity, 0, "one", content_hash("one"))
        embeddings.write(
            connection, leaf, [chunk], np.ones((1, leaf.dimensions), np.float32), fingerprint="test"
        )
        with pytest.raises(psycopg.errors.CheckViolation):
            connection.execute(
                "UPDATE vector_embeddings SET embedding = '[1,2,3]' WHERE source_id = %s",
                [identity],
            )
