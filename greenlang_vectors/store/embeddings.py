"""The vector_embeddings table: one leaf per namespace and model, written by binary COPY."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from greenlang_vectors.store.identity import derived_id, embedding_id, identifier
from greenlang_vectors.store.locks import exclusive

PREVIEW_CHARACTERS = 500

_STAGING = """
    CREATE TEMP TABLE IF NOT EXISTS staged_embeddings (
        id uuid, source_type varchar, source_id uuid, chunk_index integer,
        content_hash varchar, content_preview text, embedding vector
    ) ON COMMIT DELETE ROWS
"""


@dataclass(frozen=True, slots=True)
class Leaf:
    """The partition that holds one namespace's embeddings of one model."""

    namespace: str
    model: str
    dimensions: int

    @property
    def name(self) -> str:
        """Its table name."""
        return identifier(f"vector_embeddings_{self.namespace}", self.model)

    @property
    def table(self) -> sql.Identifier:
        """Its table, for SQL."""
        return sql.Identifier(self.name)

    @property
    def collection_id(self) -> UUID:
        """The collection that searches this leaf (PRD 6.2)."""
        return derived_id("collection", self.namespace, self.model)


@dataclass(frozen=True, slots=True)
class PendingChunk:
    """A chunk that has no embedding yet."""

    source_type: str
    document_id: UUID
    chunk_index: int
    content: str
    content_hash: str


def ensure_leaf(connection: psycopg.Connection, leaf: Leaf) -> None:
    """Create the leaf and its collection unless they are there.

    A vector of other than the leaf's dimensions is refused by a CHECK. Vectors stay in the row:
    out of line, in TOAST, they cost a third of the write rate.
    """
    parent = sql.Identifier(identifier(f"vector_embeddings_{leaf.namespace}"))
    with exclusive(connection, "leaf", leaf.name), connection.transaction():
        connection.execute(
            sql.SQL(
                "CREATE TABLE IF NOT EXISTS {leaf} PARTITION OF {parent} "
                "(CONSTRAINT dimensions CHECK (vector_dims(embedding) = {dimensions})) "
                "FOR VALUES IN ({model}) WITH (toast_tuple_target = 8160)"
            ).format(
                leaf=leaf.table,
                parent=parent,
                dimensions=sql.Literal(leaf.dimensions),
                model=sql.Literal(leaf.model),
            )
        )
        connection.execute(
            """
            INSERT INTO embedding_collections
                (id, name, namespace, embedding_model, dimensions, distance_metric)
            VALUES (%s, %s, %s, %s, %s, 'cosine') ON CONFLICT DO NOTHING
            """,
            [
                leaf.collection_id,
                f"{leaf.namespace}/{leaf.model}",
                leaf.namespace,
                leaf.model,
                leaf.dimensions,
            ],
        )


def plan_work(connection: psycopg.Connection, leaf: Leaf, fingerprint: str) -> int:
    """List the chunks that lack an embedding in a temporary table; return how many they are.

    They are ordered by length, so that batches of neighbours need little padding. The list
    lives with the connection; `pending` reads it in pages.
    """
    connection.execute("DROP TABLE IF EXISTS pg_temp.embedding_work")
    connection.execute(
        """
        CREATE TEMP TABLE embedding_work AS
        SELECT row_number() OVER (ORDER BY token_count DESC, document_id, chunk_index)::integer
                   AS position, document_id, chunk_index
        FROM document_chunks c
        WHERE namespace = %(namespace)s AND level = 0 AND NOT EXISTS (
            SELECT FROM vector_embeddings e
            WHERE e.namespace = %(namespace)s AND e.embedding_model = %(model)s
              AND e.source_id = c.document_id AND e.chunk_index = c.chunk_index
              AND e.content_hash = c.content_hash
              AND e.embedding_fingerprint = %(fingerprint)s)
        """,
        {"namespace": leaf.namespace, "model": leaf.model, "fingerprint": fingerprint},
    )
    connection.execute("CREATE INDEX ON embedding_work (position)")
    row = connection.execute("SELECT count(*) FROM embedding_work").fetchone()
    return 0 if row is None else int(row[0])


def pending(
    connection: psycopg.Connection, leaf: Leaf, after: int, size: int
) -> list[PendingChunk]:
    """Positions after+1 to after+size of what `plan_work` found, vanished chunks left out."""
    with connection.cursor(row_factory=class_row(PendingChunk)) as cursor:
        return cursor.execute(
            """
            SELECT d.source_type, c.document_id, c.chunk_index, c.content, c.content_hash
            FROM embedding_work w
            JOIN document_chunks c ON c.namespace = %(namespace)s
                AND c.document_id = w.document_id AND c.chunk_index = w.chunk_index
            JOIN documents d ON d.namespace = %(namespace)s AND d.id = c.document_id
            WHERE w.position > %(after)s AND w.position <= %(after)s + %(size)s AND c.level = 0
            ORDER BY w.position
            """,
            {"namespace": leaf.namespace, "after": after, "size": size},
        ).fetchall()


def write(
    connection: psycopg.Connection,
    leaf: Leaf,
    chunks: Sequence[PendingChunk],
    vectors: NDArray[np.float32],
    *,
    fingerprint: str,
    metadata: Mapping[str, object] | None = None,
) -> int:
    """Store the vectors of these chunks in one transaction; return how many rows changed.

    Rows are staged by binary COPY. One whose chunk has changed or gone meanwhile is left out: an
    embedding never outlives its chunk. Writing the same again changes nothing.

    Args:
        vectors: shape (len(chunks), leaf.dimensions).
        fingerprint: model, weights and settings they were made with.
        metadata: kept with every row; None leaves what a row already has.
    """
    with connection.transaction():
        connection.execute(_STAGING)
        copy_in = "COPY staged_embeddings FROM STDIN (FORMAT binary)"
        with connection.cursor() as cursor, cursor.copy(copy_in) as copy:
            copy.set_types(["uuid", "varchar", "uuid", "int4", "varchar", "text", "vector"])
            for chunk, vector in zip(chunks, vectors, strict=True):
                copy.write_row(
                    (
                        embedding_id(
                            leaf.namespace, chunk.document_id, chunk.chunk_index, leaf.model
                        ),
                        chunk.source_type,
                        chunk.document_id,
                        chunk.chunk_index,
                        chunk.content_hash,
                        chunk.content[:PREVIEW_CHARACTERS],
                        vector,
                    )
                )
        connection.execute(
            """
            SELECT FROM documents WHERE namespace = %s AND id = ANY(%s) ORDER BY id FOR SHARE
            """,
            [leaf.namespace, list({chunk.document_id for chunk in chunks})],
        )
        written = connection.execute(
            """
            INSERT INTO vector_embeddings AS known (
                id, source_type, source_id, chunk_index, content_hash, content_preview, embedding,
                embedding_model, embedding_fingerprint, metadata, namespace)
            SELECT s.id, s.source_type, s.source_id, s.chunk_index, s.content_hash,
                   s.content_preview, s.embedding,
                   %(model)s, %(fingerprint)s, coalesce(%(metadata)s::jsonb, '{}'), %(namespace)s
            FROM staged_embeddings s
            JOIN document_chunks c ON c.namespace = %(namespace)s AND c.document_id = s.source_id
                AND c.chunk_index = s.chunk_index AND c.content_hash = s.content_hash
            ON CONFLICT (namespace, embedding_model, id) DO UPDATE SET
                content_hash = excluded.content_hash,
                content_preview = excluded.content_preview,
                embedding = excluded.embedding,
                embedding_fingerprint = excluded.embedding_fingerprint,
                metadata = coalesce(%(metadata)s::jsonb, known.metadata),
                updated_at = now()
            WHERE (known.content_hash, known.embedding_fingerprint, known.metadata)
                IS DISTINCT FROM
                (excluded.content_hash, excluded.embedding_fingerprint,
                 coalesce(%(metadata)s::jsonb, known.metadata))
            """,
            {
                "model": leaf.model,
                "fingerprint": fingerprint,
                "metadata": None if metadata is None else Jsonb(dict(metadata)),
                "namespace": leaf.namespace,
            },
        )
    return written.rowcount


def retire(
    connection: psycopg.Connection,
    namespace: str,
    document: UUID,
    *,
    keep: Mapping[int, str],
    cache_seconds: int,
) -> None:
    """Remove a document's embeddings but those to keep; their vectors go to the embedding cache.

    Args:
        keep: content hash by chunk index of the chunks that stay.
    """
    connection.execute(
        """
        WITH gone AS (
            DELETE FROM vector_embeddings e
            WHERE namespace = %(namespace)s AND source_id = %(document)s AND NOT EXISTS (
                SELECT FROM unnest(%(indexes)s::integer[], %(hashes)s::text[])
                    AS kept (chunk_index, content_hash)
                WHERE kept.chunk_index = e.chunk_index AND kept.content_hash = e.content_hash)
            RETURNING embedding_fingerprint, content_hash, embedding
        )
        INSERT INTO embedding_cache (fingerprint, content_hash, embedding, expires_at)
        SELECT DISTINCT ON (embedding_fingerprint, content_hash)
               embedding_fingerprint, content_hash, embedding,
               now() + make_interval(secs => %(seconds)s)
        FROM gone ORDER BY embedding_fingerprint, content_hash
        ON CONFLICT (fingerprint, content_hash) DO UPDATE SET expires_at = excluded.expires_at
        """,
        {
            "namespace": namespace,
            "document": document,
            "indexes": list(keep.keys()),
            "hashes": list(keep.values()),
            "seconds": cache_seconds,
        },
    )


def count(connection: psycopg.Connection, leaf: Leaf) -> int:
    """How many embeddings the leaf holds."""
    row = connection.execute(
        "SELECT count(*) FROM vector_embeddings WHERE namespace = %s AND embedding_model = %s",
        [leaf.namespace, leaf.model],
    ).fetchone()
    return 0 if row is None else int(row[0])


def analyze(connection: psycopg.Connection, leaf: Leaf) -> None:
    """Tell the planner what the leaf holds, as autovacuum would do later."""
    connection.execute(sql.SQL("ANALYZE {}").format(leaf.table))
