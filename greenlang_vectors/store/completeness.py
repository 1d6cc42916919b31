"""Whether a collection has an embedding, and an index, of all that it should answer from."""

from __future__ import annotations

from typing import cast
from uuid import UUID

import psycopg

from greenlang_vectors.errors import UsageError
from greenlang_vectors.store import leaves, segments
from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.maintenance import EXACT_ROWS

DEAD_LETTER_STAGE = "embeddings"


def unfinished(
    connection: psycopg.Connection, leaf: Leaf, fingerprint: str | None = None
) -> tuple[int, int]:
    """(chunks without an embedding of their text, all searched chunks) of a collection.

    A chunk that the model refused is a dead letter, one that was archived is elsewhere: neither
    is held against it.

    Args:
        fingerprint: what counts as embedded; None for embeddings of any weights and settings.
    """
    row = connection.execute(
        """
        SELECT count(*) FILTER (WHERE NOT EXISTS (
                   SELECT FROM vector_embeddings e
                   WHERE e.namespace = %(namespace)s AND e.embedding_model = %(model)s
                     AND e.source_id = c.document_id AND e.chunk_index = c.chunk_index
                     AND e.content_hash = c.content_hash
                     AND (%(fingerprint)s::text IS NULL
                          OR e.embedding_fingerprint = %(fingerprint)s))
               AND NOT EXISTS (
                   SELECT FROM dead_letters l
                   WHERE l.namespace = %(namespace)s AND l.stage = %(stage)s
                     AND l.item = c.document_id || '/' || c.chunk_index || %(ending)s)
               AND NOT EXISTS (
                   SELECT FROM archived_embeddings a
                   WHERE a.namespace = %(namespace)s AND a.embedding_model = %(model)s
                     AND a.document_id = c.document_id AND a.chunk_index = c.chunk_index
                     AND a.content_hash = c.content_hash)),
               count(*)
        FROM document_chunks c WHERE namespace = %(namespace)s AND level = 0
        """,
        {
            "namespace": leaf.namespace,
            "model": leaf.model,
            "fingerprint": fingerprint,
            "stage": DEAD_LETTER_STAGE,
            "ending": dead_letter_ending(leaf),
        },
    ).fetchone()
    return cast("tuple[int, int]", row)


def dead_letter_item(leaf: Leaf, document: UUID, chunk_index: int) -> str:
    """What a chunk is called that a leaf's model refused."""
    return f"{document}/{chunk_index}{dead_letter_ending(leaf)}"


def dead_letter_ending(leaf: Leaf) -> str:
    """How these names end: each model may refuse other chunks."""
    return f" ({leaf.model})"


def check_finished(connection: psycopg.Connection, leaf: Leaf, name: str, fingerprint: str) -> None:
    """Refuse a collection that would answer less than it should, or slowly.

    Args:
        name: of the collection.
        fingerprint: as of `unfinished`.

    Raises:
        UsageError: it is unfinished.
    """
    missing, chunks = unfinished(connection, leaf, fingerprint)
    rows = leaves.count(connection, leaf)
    remedy = f"Run `greenlang-vectors collections fill {name}` first."
    if missing or (chunks and not rows):
        raise UsageError(
            f"The collection {name} is unfinished: {missing or chunks} of {chunks} "
            "chunks have no embedding of their text.",
            remedy,
        )
    layout = segments.cover(segments.on_leaf(connection, leaf))
    scanned = sum(segments.rows_in(connection, leaf, part) for part in layout if part.index is None)
    if scanned > (EXACT_ROWS if len(layout) > 1 else 0):
        raise UsageError(
            f"The collection {name} is unfinished: no valid index serves {scanned} of "
            f"its {rows} embeddings.",
            remedy,
        )
