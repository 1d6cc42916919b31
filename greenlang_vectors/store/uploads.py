"""Documents that came in over the HTTP API, and what has become of each.

An upload is a file in the namespace's source folder and a row here. The stages know nothing of
it: how far they are is read off what they store.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple, cast
from uuid import UUID

import psycopg
from psycopg.rows import namedtuple_row

from greenlang_vectors.store.documents import SOURCE_TYPE
from greenlang_vectors.store.identity import document_id

State = Literal["waiting", "running", "succeeded", "failed"]


@dataclass(frozen=True, slots=True)
class Upload:
    """One upload and how far it is.

    Attributes:
        document: its key in the namespace's source.
        state: "waiting" until its file is read, "running" until every passage is embedded.
        chunks: passages it was cut into.
        embeddings: those with a vector in the collection that serves.
        refused: those that the model refused.
        reason: why it failed, in one word; "superseded" where other content came in under its
            name.
        message: the same in a sentence, with what helps.
    """

    id: UUID
    namespace: str
    document: str
    size_bytes: int
    created_at: datetime
    state: State
    chunks: int = 0
    embeddings: int = 0
    refused: int = 0
    reason: str | None = None
    message: str | None = None


def record(
    connection: psycopg.Connection, namespace: str, key: str, *, file_hash: str, size_bytes: int
) -> UUID:
    """Note an upload; return its id. In one transaction with putting the file in its place, so
    that nothing can become of the file before the time noted here."""
    row = connection.execute(
        """
        INSERT INTO uploads (namespace, document_id, source_key, file_hash, size_bytes)
        VALUES (%s, %s, %s, %s, %s) RETURNING id
        """,
        [namespace, document_id(namespace, SOURCE_TYPE, key), key, file_hash, size_bytes],
    ).fetchone()
    return cast("tuple[UUID]", row)[0]


def forget(connection: psycopg.Connection, namespace: str, key: str) -> None:
    """Forget the uploads of a document that is deleted."""
    connection.execute(
        "DELETE FROM uploads WHERE namespace = %s AND source_key = %s", [namespace, key]
    )


def find(
    connection: psycopg.Connection, identity: UUID, among: Collection[str] | None
) -> Upload | None:
    """The upload of this id; None if there is none.

    Args:
        among: the namespaces to look in; None for all. An upload elsewhere is not looked at.
    """
    with connection.cursor(row_factory=namedtuple_row) as cursor:
        row = cursor.execute(
            """
            SELECT u.id, u.namespace, u.source_key AS document, u.size_bytes, u.created_at,
                   coalesce(d.file_hash = u.file_hash, false) AS stored,
                   coalesce(d.chunking_fingerprint IS NOT NULL, false) AS cut,
                   EXISTS (SELECT FROM uploads later
                           WHERE later.namespace = u.namespace
                             AND later.document_id = u.document_id
                             AND later.created_at > u.created_at
                             AND later.file_hash <> u.file_hash) AS superseded,
                   (SELECT count(*) FROM document_chunks c
                    WHERE c.namespace = u.namespace AND c.document_id = u.document_id
                      AND c.level = 0) AS chunks,
                   (SELECT count(*) FROM vector_embeddings e
                    WHERE e.namespace = u.namespace AND e.source_id = u.document_id
                      AND e.source_type = %(source_type)s
                      AND e.embedding_model = serving.embedding_model) AS embeddings,
                   (SELECT count(*) FROM dead_letters l
                    WHERE l.namespace = u.namespace AND l.stage = 'embeddings'
                      AND starts_with(l.item, u.document_id || '/')
                      AND right(l.item, length(serving.embedding_model) + 3)
                          = ' (' || serving.embedding_model || ')') AS refused,
                   letter.reason, concat_ws(' ', letter.message, letter.remedy) AS message
            FROM uploads u
            LEFT JOIN documents d ON d.namespace = u.namespace AND d.id = u.document_id
            LEFT JOIN embedding_collections serving
                ON serving.namespace = u.namespace AND serving.serving
            LEFT JOIN LATERAL (
                SELECT reason, message, nullif(remedy, '') AS remedy FROM dead_letters l
                WHERE l.namespace = u.namespace AND l.item = u.source_key
                  AND l.stage IN ('documents', 'chunks') AND l.last_failed_at >= u.created_at
                ORDER BY last_failed_at DESC LIMIT 1
            ) letter ON true
            WHERE u.id = %(id)s
              AND (%(among)s::text[] IS NULL OR u.namespace = ANY (%(among)s))
            """,
            {
                "id": identity,
                "among": None if among is None else list(among),
                "source_type": SOURCE_TYPE,
            },
        ).fetchone()
    return None if row is None else _judged(cast("_Row", row))


class _Row(NamedTuple):
    id: UUID
    namespace: str
    document: str
    size_bytes: int
    created_at: datetime
    stored: bool
    cut: bool
    superseded: bool
    chunks: int
    embeddings: int
    refused: int
    reason: str | None
    message: str


def _judged(row: _Row) -> Upload:
    state: State = "waiting"
    counts = (0, 0, 0)
    reason, message = None, None
    if row.superseded:
        state, reason = "failed", "superseded"
        message = "A later upload of the same name has other content."
    elif row.reason is not None:
        state, reason, message = "failed", row.reason, row.message
    elif row.stored:
        counts = (row.chunks, row.embeddings, row.refused) if row.cut else counts
        state = "running"
        if row.cut and row.embeddings + row.refused >= row.chunks:
            state = "succeeded"
        if state == "succeeded" and row.chunks and not row.embeddings:
            state, reason = "failed", "refused"
            message = "The embedding model refused every passage of it."
    return Upload(
        row.id,
        row.namespace,
        row.document,
        row.size_bytes,
        row.created_at,
        state,
        *counts,
        reason=reason,
        message=message,
    )
