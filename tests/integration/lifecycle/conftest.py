"""A leaf full of old embeddings, and a backup location for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest

from greenlang_vectors.lifecycle import archive
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.leaves import Leaf

HALF_A_YEAR = timedelta(days=180)
PASSAGES = 30

AddDocument = Callable[[psycopg.Connection, str, str, Sequence[str]], UUID]
EmbedAll = Callable[[psycopg.Connection, Leaf], int]


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few rows take several pages and parts."""
    monkeypatch.setattr(archive, "PAGE_ROWS", 4)
    monkeypatch.setattr(archive, "PART_BYTES", 3000)


@pytest.fixture
def old_leaf(
    database: Database, leaf: Leaf, add_document: AddDocument, embed_all: EmbedAll
) -> Leaf:
    """Thirty passages of three documents, embedded a year ago."""
    with database.connect() as connection:
        for key in ("a.txt", "b.txt", "c.txt"):
            passages = [f"{key} says — “{i}” – für {i * i}" for i in range(PASSAGES // 3)]
            add_document(connection, leaf.namespace, key, passages)
        embed_all(connection, leaf)
        make_older(connection, leaf)
    return leaf


def make_older(connection: psycopg.Connection, leaf: Leaf) -> None:
    """Let every row of the leaf be a year old, with metadata of its own."""
    connection.execute(
        """
        UPDATE vector_embeddings
        SET created_at = created_at - interval '2 years',
            updated_at = updated_at - interval '1 year' + chunk_index * interval '1 microsecond',
            metadata = jsonb_build_object('n', chunk_index, 'deep', '{"a": [1, 2.50, null]}'::jsonb)
        WHERE namespace = %s
        """,
        [leaf.namespace],
    )


def rows_of(
    connection: psycopg.Connection, leaf: Leaf, *, moments: bool = False
) -> dict[UUID, tuple[object, ...]]:
    """What the leaf holds, vectors bit by bit; with the moments of writing if asked."""
    found = connection.execute(
        """
        SELECT id, source_type, source_id, chunk_index, content_hash, content_preview,
               encode(vector_send(embedding), 'hex'), embedding_fingerprint, metadata::text,
               CASE WHEN %s THEN (created_at, updated_at) END
        FROM vector_embeddings WHERE namespace = %s AND embedding_model = %s
        """,
        [moments, leaf.namespace, leaf.model],
    )
    return {row[0]: row[1:] for row in found}


def remembered_of(connection: psycopg.Connection, leaf: Leaf) -> dict[UUID, str]:
    """The archive of each archived row of the leaf."""
    return dict(
        connection.execute(
            """
            SELECT id, archive_id FROM archived_embeddings
            WHERE namespace = %s AND embedding_model = %s
            """,
            [leaf.namespace, leaf.model],
        ).fetchall()
    )
