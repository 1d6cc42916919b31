"""The documents table: what was read, its hashes, its text and structure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from greenlang_vectors.chunking.model import content_hash
from greenlang_vectors.documents.language import language_of
from greenlang_vectors.documents.model import ExtractedDocument, Heading
from greenlang_vectors.store import embeddings
from greenlang_vectors.store.encryption.cipher import Cipher
from greenlang_vectors.store.encryption.columns import DocumentColumns, open_text
from greenlang_vectors.store.identity import document_id

SOURCE_TYPE = "document"
"""PRD 6.1 `source_type` of what a source delivers."""


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """What tells whether a stored document is the one the source holds now.

    Attributes:
        source_fingerprint: of the item that was read; None where it does not tell the content.
    """

    id: UUID
    source_key: str
    media_type: str
    file_hash: str
    extraction_version: str
    source_fingerprint: str | None


def versions(connection: psycopg.Connection, namespace: str) -> dict[str, StoredVersion]:
    """The stored version of every document of the source, by source key."""
    with connection.cursor(row_factory=class_row(StoredVersion)) as cursor:
        rows = cursor.execute(
            """
            SELECT id, source_key, media_type, file_hash, extraction_version, source_fingerprint
            FROM documents WHERE namespace = %s AND origin = 'source'
            """,
            [namespace],
        )
        return {row.source_key: row for row in rows}


_SAVE = """
    INSERT INTO documents AS known (
        namespace, id, origin, source_type, source_key, title, media_type, size_bytes,
        file_hash, text, text_hash, characters, page_starts, headings, metadata,
        extraction_version, language, source_fingerprint)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (namespace, id) DO UPDATE SET
        origin = excluded.origin, title = excluded.title, media_type = excluded.media_type,
        size_bytes = excluded.size_bytes, file_hash = excluded.file_hash,
        text = excluded.text, text_hash = excluded.text_hash,
        characters = excluded.characters, page_starts = excluded.page_starts,
        headings = excluded.headings,
        metadata = excluded.metadata, extraction_version = excluded.extraction_version,
        language = excluded.language, source_fingerprint = excluded.source_fingerprint,
        chunking_fingerprint = NULL, updated_at = now()
"""


@dataclass(frozen=True, slots=True)
class NewVersion:
    """A document as it is to be stored.

    Attributes:
        file_hash: tells whether the stored version is this one.
        source_fingerprint: tells the same without the file; None where it does not.
    """

    source_type: str
    source_key: str
    document: ExtractedDocument
    file_hash: str
    size_bytes: int
    source_fingerprint: str | None = None


def save(
    connection: psycopg.Connection,
    namespace: str,
    source_key: str,
    document: ExtractedDocument,
    *,
    file_hash: str,
    size_bytes: int,
    extraction_version: str,
    source_type: str = SOURCE_TYPE,
    source_fingerprint: str | None = None,
    origin: str = "source",
    cipher: Cipher | None = None,
) -> UUID:
    """Insert a document or replace its older version; return its id.

    Chunks and embeddings of the older version stay until the chunks stage replaces them.

    Args:
        source_fingerprint: of the item, where it tells the content.
        cipher: that of an encrypted namespace; the database refuses clear text there.
    """
    new = NewVersion(source_type, source_key, document, file_hash, size_bytes, source_fingerprint)
    [identity] = save_all(
        connection,
        namespace,
        [new],
        extraction_version=extraction_version,
        origin=origin,
        cipher=cipher,
    )
    return identity


def save_all(
    connection: psycopg.Connection,
    namespace: str,
    versions: Sequence[NewVersion],
    *,
    extraction_version: str,
    origin: str,
    cipher: Cipher | None = None,
) -> list[UUID]:
    """Do so for many documents in one exchange with the server; return their ids."""
    rows = [_row(namespace, new, extraction_version, origin, cipher) for new in versions]
    with connection.cursor() as cursor:
        cursor.executemany(_SAVE, rows)
    return [row[1] for row in rows]


def _row(
    namespace: str, new: NewVersion, extraction_version: str, origin: str, cipher: Cipher | None
) -> tuple[Any, ...]:
    document = new.document
    identity = document_id(namespace, new.source_type, new.source_key)
    columns = DocumentColumns(
        document.title,
        document.text,
        [[h.start, h.level, h.title] for h in document.headings],
        document.metadata,
    )
    if cipher is not None:
        columns = columns.sealed(cipher, identity)
    return (
        namespace,
        identity,
        origin,
        new.source_type,
        new.source_key,
        columns.title,
        document.media_type,
        new.size_bytes,
        new.file_hash,
        columns.text,
        content_hash(document.text),
        len(document.text),
        list(document.page_starts),
        Jsonb(columns.headings),
        Jsonb(columns.metadata),
        extraction_version,
        language_of(document.text) if cipher is None else None,
        new.source_fingerprint,
    )


def remember_fingerprint(
    connection: psycopg.Connection, namespace: str, identity: UUID, fingerprint: str
) -> None:
    """Note what the source calls the content that is stored already."""
    connection.execute(
        "UPDATE documents SET source_fingerprint = %s WHERE namespace = %s AND id = %s",
        [fingerprint, namespace, identity],
    )


def load(
    connection: psycopg.Connection,
    namespace: str,
    identity: UUID,
    cipher: Cipher | None = None,
) -> ExtractedDocument | None:
    """The text and structure of one document; None if it is gone.

    Args:
        cipher: that of an encrypted namespace.

    Raises:
        SealBroken: its text, title, headings or metadata do not open.
    """
    row = connection.execute(
        """
        SELECT text, title, media_type, page_starts, headings, metadata
        FROM documents WHERE namespace = %s AND id = %s
        """,
        [namespace, identity],
    ).fetchone()
    if row is None:
        return None
    text, title, media_type, page_starts, headings, metadata = row
    columns = DocumentColumns(title, text, headings, metadata)
    if cipher is not None:
        columns = columns.opened(cipher, identity)
    return ExtractedDocument(
        text=columns.text,
        title=columns.title,
        media_type=media_type,
        page_starts=tuple(page_starts),
        headings=tuple(Heading(*heading) for heading in cast("list[list[Any]]", columns.headings)),
        metadata=columns.metadata,
    )


def texts(
    connection: psycopg.Connection, namespace: str, cipher: Cipher | None = None, *, page: int
) -> Iterator[tuple[str, str, str]]:
    """Key, hash and text of every document, in order of key, read a page at a time.

    Args:
        cipher: that of an encrypted namespace.
        page: documents read at once.

    Raises:
        SealBroken: a text does not open.
    """
    with connection.transaction(), connection.cursor(name="document_texts") as cursor:
        cursor.itersize = page
        cursor.execute(
            """
            SELECT id, source_key, text_hash, text FROM documents
            WHERE namespace = %s ORDER BY source_key, id
            """,
            [namespace],
        )
        for identity, key, text_hash, text in cursor:
            yield key, text_hash, text if cipher is None else open_text(cipher, identity, text)


def remove(
    connection: psycopg.Connection, namespace: str, identity: UUID, *, cache_seconds: int
) -> None:
    """Delete a document with its chunks and embeddings, in one transaction.

    Its vectors stay in the embedding cache, so that a file that was only renamed or moved is not
    embedded again.
    """
    remove_all(connection, namespace, [identity], cache_seconds=cache_seconds)


def remove_all(
    connection: psycopg.Connection,
    namespace: str,
    identities: Sequence[UUID],
    *,
    cache_seconds: int,
) -> None:
    """Do so for many documents, in one transaction."""
    which = [namespace, list(identities)]
    with connection.transaction():
        connection.execute(
            "SELECT FROM documents WHERE namespace = %s AND id = ANY(%s) ORDER BY id FOR UPDATE",
            which,
        )
        embeddings.retire(
            connection, namespace, {each: {} for each in identities}, cache_seconds=cache_seconds
        )
        connection.execute("DELETE FROM documents WHERE namespace = %s AND id = ANY(%s)", which)


def uncut(
    connection: psycopg.Connection, namespace: str, fingerprints: dict[str, str], default: str
) -> list[tuple[UUID, str]]:
    """(id, source key) of the documents whose chunks are missing or were cut otherwise.

    Args:
        fingerprints: how documents of a media type are to be cut.
        default: how all others are.
    """
    return connection.execute(
        """
        SELECT id, source_key
        FROM documents
        WHERE namespace = %s AND origin = 'source'
          AND chunking_fingerprint IS DISTINCT FROM coalesce(%s::jsonb ->> media_type, %s)
        ORDER BY id
        """,
        [namespace, Jsonb(fingerprints), default],
    ).fetchall()


def totals(connection: psycopg.Connection, namespace: str) -> tuple[int, int]:
    """(documents, characters of their texts) of a namespace."""
    row = connection.execute(
        "SELECT count(*), coalesce(sum(characters), 0) FROM documents WHERE namespace = %s",
        [namespace],
    ).fetchone()
    return cast("tuple[int, int]", row)
