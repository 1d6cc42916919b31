"""Where the original of a dead letter is, and its bytes as they are there now.

What failed is still where it came from, and a letter whose item is gone from there goes with the
next run; only of a topic, which forgets, the message is kept with its letter.
"""

from __future__ import annotations

from uuid import UUID

import psycopg

from greenlang_vectors.documents.source import ItemVanished, source_from_uri
from greenlang_vectors.errors import UsageError
from greenlang_vectors.stages import chunks, documents, embeddings
from greenlang_vectors.store import dead_letters, namespaces
from greenlang_vectors.store.dead_letters import DeadLetter
from greenlang_vectors.store.documents import SOURCE_TYPE, load
from greenlang_vectors.store.encryption.columns import open_content
from greenlang_vectors.store.encryption.data_keys import cipher_of
from greenlang_vectors.store.identity import document_id


def where(connection: psycopg.Connection, letter: DeadLetter) -> str:
    """In words, where the original is."""
    source = namespaces.get(connection, letter.namespace).source_uri
    match letter.stage:
        case documents.STAGE:
            return f"{letter.item} in {source or 'a source that is registered no more'}"
        case chunks.STAGE:
            return f"the stored text of {letter.item}, which came from {source or 'an application'}"
        case embeddings.STAGE:
            document, number = _passage(letter)
            key = _key(connection, letter.namespace, document)
            return f"the stored passage {number} of {key or f'the document {document}'}"
    return _ELSEWHERE.get(letter.stage, "{}").format(letter.item)


_ELSEWHERE = {
    "relay": "the stored document {}",
    "backfill": "{} in Weaviate",
    "follow": "{} in Weaviate",
    "kafka": "the message {}, kept with its letter unless the namespace is encrypted",
}


def read(connection: psycopg.Connection, letter: DeadLetter) -> bytes:
    """The original: a file as it is in its source, a text or a passage as it is stored (UTF-8).

    Raises:
        UsageError: it is not there any more, or lies where no stage of the pipeline reads.
        ItemError: it cannot be read.
        KeyUnavailable, SealBroken: of an encrypted namespace's.
    """
    match letter.stage:
        case documents.STAGE:
            found = _from_source(connection, letter)
        case chunks.STAGE:
            found = _text(connection, letter)
        case embeddings.STAGE:
            found = _content(connection, letter)
        case "kafka":
            found = dead_letters.original(connection, letter)
        case _:
            raise UsageError(
                f"The original of a dead letter of the stage {letter.stage} is not read here.",
                f"It is {where(connection, letter)}.",
            )
    if found is None:
        raise UsageError(
            f"{letter.item} is not there any more.", "The next run of its stage forgets the letter."
        )
    return found


def _from_source(connection: psycopg.Connection, letter: DeadLetter) -> bytes | None:
    uri = namespaces.get(connection, letter.namespace).source_uri
    if uri is None:
        return None
    source = source_from_uri(uri)
    for item in source.list():
        if item.key == letter.item:
            try:
                return source.read(item, item.size).data
            except ItemVanished:
                return None
    return None


def _text(connection: psycopg.Connection, letter: DeadLetter) -> bytes | None:
    identity = document_id(letter.namespace, SOURCE_TYPE, letter.item)
    cipher = cipher_of(connection, letter.namespace)
    document = load(connection, letter.namespace, identity, cipher)
    return None if document is None else document.text.encode()


def _content(connection: psycopg.Connection, letter: DeadLetter) -> bytes | None:
    document, number = _passage(letter)
    row = connection.execute(
        """
        SELECT content FROM document_chunks
        WHERE namespace = %s AND document_id = %s AND chunk_index = %s
        """,
        [letter.namespace, document, number],
    ).fetchone()
    if row is None:
        return None
    cipher = cipher_of(connection, letter.namespace)
    content = row[0] if cipher is None else open_content(cipher, document, number, row[0])
    return str(content).encode()


def _passage(letter: DeadLetter) -> tuple[UUID, int]:
    """The document and the number of the passage that a letter of the embeddings stage names."""
    document, _, rest = letter.item.partition("/")
    return UUID(document), int(rest.partition(" ")[0])


def _key(connection: psycopg.Connection, namespace: str, document: UUID) -> str | None:
    row = connection.execute(
        "SELECT source_key FROM documents WHERE namespace = %s AND id = %s", [namespace, document]
    ).fetchone()
    return None if row is None else str(row[0])
