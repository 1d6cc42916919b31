"""The integrity checks of texts, for encrypted namespaces: every row is read and opened here.

Rows are streamed, one document or a page of chunks at a time; no finding quotes a text.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import psycopg

from greenlang_vectors.chunking.model import content_hash
from greenlang_vectors.documents.model import JSON, ExtractedDocument
from greenlang_vectors.quality.outcome import MAX_EXAMPLES, CheckOutcome, judged
from greenlang_vectors.store import documents
from greenlang_vectors.store.encryption.cipher import Cipher
from greenlang_vectors.store.encryption.columns import ChunkColumns
from greenlang_vectors.store.encryption.errors import SealBroken

ROWS_AT_ONCE = 500


def documents_intact(
    connection: psycopg.Connection, namespace: str, cipher: Cipher
) -> CheckOutcome:
    """`integrity.documents_intact` of an encrypted namespace."""
    count = failed = 0
    examples: list[dict[str, JSON]] = []
    with connection.transaction(), connection.cursor(name="sealed_documents") as cursor:
        cursor.itersize = ROWS_AT_ONCE
        cursor.execute(
            "SELECT id, source_key, text_hash, origin FROM documents WHERE namespace = %s"
            " ORDER BY source_key",
            [namespace],
        )
        for identity, key, text_hash, origin in cursor:
            try:
                document = documents.load(connection, namespace, identity, cipher)
                problems = [] if document is None else list(_problems(document, text_hash, origin))
            except SealBroken as error:
                problems = [error.message.rstrip(".")]
            count += 1
            failed += bool(problems)
            if problems and len(examples) < MAX_EXAMPLES:
                examples.append({"document": key, "problem": "; ".join(problems)})
    return judged("documents", "are damaged", {"documents": count}, failed, examples)


def chunk_hashes_match(
    connection: psycopg.Connection, namespace: str, cipher: Cipher
) -> CheckOutcome:
    """`integrity.chunk_hashes_match` of an encrypted namespace; headings must open, too."""
    count = failed = 0
    examples: list[dict[str, JSON]] = []
    with connection.transaction(), connection.cursor(name="sealed_chunks") as cursor:
        cursor.itersize = ROWS_AT_ONCE
        cursor.execute(
            """
            SELECT c.document_id, c.chunk_index, c.content, c.heading_path, c.content_hash,
                   d.source_key
            FROM document_chunks c
            LEFT JOIN documents d ON d.namespace = c.namespace AND d.id = c.document_id
            WHERE c.namespace = %s ORDER BY c.document_id, c.chunk_index
            """,
            [namespace],
        )
        for document, index, content, heading_path, wanted, key in cursor:
            count += 1
            try:
                opened = ChunkColumns(content, heading_path).opened(cipher, document, index)
                if content_hash(opened.content) == wanted:
                    continue
                problem = "the content does not match its hash"
            except SealBroken as error:
                problem = error.message.rstrip(".")
            failed += 1
            if len(examples) < MAX_EXAMPLES:
                examples.append({"document": key, "chunk_index": index, "problem": problem})
    return judged("chunks", "differ from their hash", {"chunks": count}, failed, examples)


def _problems(document: ExtractedDocument, text_hash: str, origin: str) -> Iterator[str]:
    length = len(document.text)
    pages = document.page_starts
    headings = [0, *(heading.start for heading in document.headings)]
    if content_hash(document.text) != text_hash:
        yield "the text does not match its hash"
    if origin != "weaviate" and not document.text.strip():
        yield "the text is empty"
    if pages and (pages[0] != 0 or not _ascending(pages) or pages[-1] > length):
        yield "a page starts outside the text or out of order"
    if document.headings and (not _ascending(headings) or headings[-1] >= length):
        yield "a heading stands outside the text or out of order"


def _ascending(starts: tuple[int, ...] | list[int]) -> bool:
    return all(before <= start for before, start in pairwise(starts))
