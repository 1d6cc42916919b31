"""Checks that hold the chunks against the text they were cut from.

What came from Weaviate came as passages: there is no text to hold them against.

They read one document at a time: cutting a text by characters costs PostgreSQL a walk from its
beginning for every chunk (ten times the processor time in all, and minutes for a text of tens of
megabytes), and only Python knows what the chunker took for white space.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any, LiteralString, cast
from uuid import UUID

import psycopg

from greenlang_vectors.documents.model import JSON
from greenlang_vectors.quality.outcome import MAX_EXAMPLES, CheckContext, CheckOutcome, judged
from greenlang_vectors.store.encryption.cipher import Cipher
from greenlang_vectors.store.encryption.columns import open_content, open_text
from greenlang_vectors.store.encryption.data_keys import cipher_of
from greenlang_vectors.store.encryption.errors import SealBroken

ROWS_AT_ONCE = 500
QUOTED_CHARACTERS = 80


def chunks_match_text(connection: psycopg.Connection, context: CheckContext) -> CheckOutcome:
    """Every chunk's content is what stands at its span in its document's text."""
    chunks = failed = 0
    examples: list[dict[str, JSON]] = []
    cipher = cipher_of(connection, context.namespace)
    for document, text, rows in _by_document(
        connection,
        context.namespace,
        cipher,
        """
        SELECT c.document_id, c.chunk_index, c.start_char, c.end_char, c.content
        FROM document_chunks c
        JOIN documents d ON d.namespace = c.namespace AND d.id = c.document_id
        WHERE c.namespace = %(namespace)s AND d.chunking_fingerprint IS NOT NULL
          AND d.origin <> 'weaviate'
        ORDER BY c.document_id, c.chunk_index
        """,
    ):
        for identity, index, start, end, stored in rows:
            chunks += 1
            content = _content(cipher, identity, index, stored)
            if 0 <= start < end <= len(text) and text[start:end] == content:
                continue
            failed += 1
            if len(examples) < MAX_EXAMPLES:
                examples.append(
                    {
                        "document": document,
                        "chunk_index": index,
                        "start": start,
                        "end": end,
                        "problem": "the text at its span is another"
                        if 0 <= start < end <= len(text)
                        else f"its span lies outside the text of {len(text)} characters",
                    }
                )
    return judged(
        "chunks", "differ from their document's text", {"chunks": chunks}, failed, examples
    )


def chunks_cover_text(connection: psycopg.Connection, context: CheckContext) -> CheckOutcome:
    """No text lies between, before or after the searched chunks of a document."""
    documents = failed = lost = 0
    examples: list[dict[str, JSON]] = []
    cipher = cipher_of(connection, context.namespace)
    for document, text, rows in _by_document(
        connection,
        context.namespace,
        cipher,
        """
        SELECT c.document_id, c.start_char, c.end_char
        FROM document_chunks c
        JOIN documents d ON d.namespace = c.namespace AND d.id = c.document_id
        WHERE c.namespace = %(namespace)s AND c.level = 0 AND d.chunking_fingerprint IS NOT NULL
          AND d.origin <> 'weaviate'
        ORDER BY c.document_id, c.start_char
        """,
    ):
        documents += 1
        holes = list(_holes(text, rows))
        failed += bool(holes)
        lost += sum(end - start for start, end in holes)
        examples += [
            {
                "document": document,
                "start": start,
                "end": end,
                "problem": f"no chunk holds {text[start : min(end, start + QUOTED_CHARACTERS)]!r}"
                if cipher is None
                else f"no chunk holds the {end - start} characters there",
            }
            for start, end in holes[: MAX_EXAMPLES - len(examples)]
        ]
    return judged(
        "documents",
        "have text outside their chunks",
        {"documents": documents, "characters_lost": lost},
        failed,
        examples,
    )


def _holes(text: str, rows: Iterator[tuple[Any, ...]]) -> Iterator[tuple[int, int]]:
    """Spans of the text, white space trimmed, that none of the chunks (by start) covers."""
    covered = 0
    for _, start, end in (*rows, (None, len(text), len(text))):
        gap = text[covered:start]
        if gap and not gap.isspace():
            first = covered + len(gap) - len(gap.lstrip())
            yield first, first + len(gap.strip())
        covered = max(covered, end)


def _content(cipher: Cipher | None, document: UUID, index: int, stored: str) -> str | None:
    """A chunk's content; None if it does not open, which `chunk_hashes_match` explains."""
    try:
        return stored if cipher is None else open_content(cipher, document, index, stored)
    except SealBroken:
        return None


def _by_document(
    connection: psycopg.Connection, namespace: str, cipher: Cipher | None, query: LiteralString
) -> Iterator[tuple[str, str, Iterator[tuple[Any, ...]]]]:
    """(source key, text, rows) of each document, all of one moment.

    A text that does not open counts as empty; `documents_intact` explains it.

    Args:
        cipher: that of an encrypted namespace.
        query: rows in order of the document's id, which comes first in each.
    """
    with connection.transaction(), connection.cursor(name="passages") as cursor:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.itersize = ROWS_AT_ONCE
        cursor.execute(query, {"namespace": namespace})
        for identity, rows in groupby(cursor, key=itemgetter(0)):
            document = connection.execute(
                "SELECT source_key, text FROM documents WHERE namespace = %s AND id = %s",
                [namespace, identity],
            ).fetchone()
            key, text = cast("tuple[str, str]", document)
            if cipher is not None:
                try:
                    text = open_text(cipher, identity, text)
                except SealBroken:
                    text = ""
            yield key, text, rows
