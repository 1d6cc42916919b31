"""Stage 1: what the source holds becomes what the store holds.

The difference is worked through one file at a time, each in a transaction of its own, so that a
killed run goes on where it stopped.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

import psycopg

from greenlang_vectors.documents.extract import extract, extraction_version
from greenlang_vectors.documents.source import (
    ItemVanished,
    Source,
    SourceItem,
    listing_fingerprint,
    source_from_uri,
)
from greenlang_vectors.errors import ItemError
from greenlang_vectors.progress import Progress, silent
from greenlang_vectors.store import dead_letters, documents, namespaces, versions
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.documents import StoredVersion
from greenlang_vectors.store.encryption.cipher import Cipher
from greenlang_vectors.store.encryption.data_keys import cipher_of
from greenlang_vectors.store.locks import exclusive

STAGE = "documents"


class Outcome(Enum):
    """What became of one item of the source."""

    ADDED = "added"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    FAILED = "failed"
    VANISHED = "vanished"


@dataclass(frozen=True, slots=True)
class DocumentsReport:
    """What a run of the stage did, in files.

    Attributes:
        listed: files the source holds.
        added, changed, unchanged, removed: what they mean for the store.
        failed: files that are dead letters now; an older version stays as it was.
        stored: documents of the namespace in the store now, the SDK's included.
        characters: length of their texts.
    """

    listed: int
    added: int
    changed: int
    unchanged: int
    removed: int
    failed: int
    stored: int
    characters: int


def load_documents(
    database: Database,
    name: str,
    *,
    max_bytes: int,
    cache_seconds: int,
    ocr_languages: str = "",
    only: Collection[str] | None = None,
    progress: Progress = silent,
) -> DocumentsReport:
    """Bring the namespace's documents up to its source.

    A file that cannot become a document becomes a dead letter; all others go on. A namespace
    without a source keeps what the SDK wrote.

    Args:
        max_bytes: larger files are dead letters.
        cache_seconds: how long the vectors of removed documents stay in the cache.
        ocr_languages: in which scanned pages are recognised; empty where they are not.
        only: look at these items alone, by their keys, and remove nothing.

    Raises:
        UnknownNamespace: it is not registered.
        SourceUnavailable: the source could not be listed, and nothing was changed; or went while
            its items were read, and those before it are stored.
        KeyUnavailable: the namespace is encrypted, and its master key cannot be used.
    """
    with database.connect() as connection, exclusive(connection, STAGE, name):
        namespace = namespaces.get(connection, name)
        outcomes: Counter[Outcome] = Counter()
        removed = 0
        if namespace.source_uri is not None:
            source = source_from_uri(namespace.source_uri)
            listing = source.list()
            items = [item for item in listing if only is None or item.key in only]
            stored = documents.versions(connection, name)
            cipher = cipher_of(connection, name)
            failed: list[str] = []
            progress(0, len(items), "files")
            for done, item in enumerate(items, start=1):
                outcome = _bring_in(
                    connection, name, source, item, stored, max_bytes, ocr_languages, cipher
                )
                outcomes[outcome] += 1
                if outcome is Outcome.FAILED:
                    failed.append(item.key)
                progress(done, len(items), "files")
            if only is None:
                gone = stored.keys() - {item.key for item in listing}
                for key in gone:
                    documents.remove(connection, name, stored[key].id, cache_seconds=cache_seconds)
                removed = len(gone)
                namespaces.remember_listing(connection, name, listing_fingerprint(listing))
            dead_letters.keep_only(connection, name, STAGE, failed, among=only)
            versions.link(connection, name, cipher)
        count, characters = documents.totals(connection, name)
        return DocumentsReport(
            listed=outcomes.total(),
            added=outcomes[Outcome.ADDED],
            changed=outcomes[Outcome.CHANGED],
            unchanged=outcomes[Outcome.UNCHANGED],
            removed=removed,
            failed=outcomes[Outcome.FAILED],
            stored=count,
            characters=characters,
        )


def _bring_in(
    connection: psycopg.Connection,
    namespace: str,
    source: Source,
    item: SourceItem,
    stored: dict[str, StoredVersion],
    max_bytes: int,
    ocr_languages: str,
    cipher: Cipher | None,
) -> Outcome:
    known = stored.get(item.key)
    wanted = extraction_version(known.media_type, ocr_languages) if known else None
    current = known if known and known.extraction_version == wanted else None
    fingerprint = item.fingerprint if source.tells_content else None
    if current and fingerprint and current.source_fingerprint == fingerprint:
        return Outcome.UNCHANGED
    try:
        raw = source.read(item, max_bytes)
        file_hash = hashlib.sha256(raw.data).hexdigest()
        if current and current.file_hash == file_hash:
            if fingerprint:
                documents.remember_fingerprint(connection, namespace, current.id, fingerprint)
            return Outcome.UNCHANGED
        document = extract(raw, ocr_languages)
    except ItemVanished:
        return Outcome.VANISHED
    except ItemError as error:
        dead_letters.record(connection, namespace, STAGE, item.key, error)
        return Outcome.FAILED
    documents.save(
        connection,
        namespace,
        item.key,
        document,
        file_hash=file_hash,
        size_bytes=len(raw.data),
        source_fingerprint=fingerprint,
        extraction_version=extraction_version(document.media_type, ocr_languages),
        cipher=cipher,
    )
    return Outcome.ADDED if known is None else Outcome.CHANGED
