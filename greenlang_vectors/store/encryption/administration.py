"""Encrypting a namespace, rotating its data key, wrapping its data keys anew, and how it stands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import LiteralString, cast

import psycopg
from psycopg import sql

from greenlang_vectors.errors import UsageError
from greenlang_vectors.progress import Progress, silent
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import (
    collections,
    namespaces,
    text_statistics,
    weaviate_migrations,
)
from greenlang_vectors.store.encryption import data_keys
from greenlang_vectors.store.encryption.providers import KeyProvider, wrapping_provider
from greenlang_vectors.store.encryption.resealing import pending_rows, reseal
from greenlang_vectors.store.locks import exclusive

CONSEQUENCES = (
    "Sealed: texts, titles and headings of documents; content, headings and previews of passages; "
    "the chosen metadata keys. People with SQL see none of them. What is asked is not logged.",
    "Stops working: full text search, and every query of SQL over these columns. Integrity "
    "checks read and open every row here instead of counting on the server.",
    "Stays visible: vectors (embeddings can be inverted approximately, so they tell roughly what "
    "a passage says), SHA-256 hashes of passages and files (whoever guesses a passage can confirm "
    "it), file names, other metadata, token counts, page numbers, sizes, and how many there are.",
    "Stays where it is: clear text in older backups and archives, in the write-ahead log, in dead "
    "rows until VACUUM FULL, and in the audit log, which notes the metadata a row had before.",
    "Without the master key nothing can be read again: keep it in a backup of its own.",
)
"""What whoever encrypts a namespace must know, a sentence or two each.

Hashes stay plain SHA-256: they tell less than the vectors beside them, and matching chunks,
embeddings and the embedding cache by them is what rotates keys without embedding again.
"""

_CLEAR: dict[str, tuple[LiteralString, LiteralString]] = {
    "documents": (
        "text, title, headings, metadata, language",
        "left(NEW.text, 5) <> 'glv1:' OR left(NEW.title, 5) <> 'glv1:' "
        "OR jsonb_typeof(NEW.headings) <> 'string' OR NEW.language IS NOT NULL",
    ),
    "document_chunks": (
        "content, heading_path, metadata, language",
        "left(NEW.content, 5) <> 'glv1:' "
        "OR cardinality(NEW.heading_path) > 0 AND left(NEW.heading_path[1], 5) <> 'glv1:' "
        "OR NEW.language IS NOT NULL",
    ),
    "vector_embeddings": (
        "content_preview, metadata",
        "left(NEW.content_preview, 5) <> 'glv1:'",
    ),
    "vector_search_logs": (
        "query_text, query_embedding",
        "NEW.query_text IS NOT NULL OR NEW.query_embedding IS NOT NULL",
    ),
}
"""By table: the columns that hold no clear text, and what a row is like that does. Words are
indexed where a language is known (migration 0008)."""

_CLEAR_METADATA: LiteralString = (
    "NEW.metadata ? {key} AND left(NEW.metadata ->> {key}, 5) IS DISTINCT FROM 'glv1:'"
)


@dataclass(frozen=True, slots=True)
class EncryptionStatus:
    """How a namespace stands.

    Attributes:
        encrypted: whether its texts are sealed.
        complete: every row is under the current data key.
        pending_rows: how many are not.
        metadata_keys: metadata whose values are sealed.
        data_keys: all of them, oldest first.
    """

    namespace: str
    encrypted: bool
    complete: bool
    pending_rows: int
    metadata_keys: list[str]
    data_keys: list[data_keys.DataKey]


def enable(
    connection: psycopg.Connection,
    namespace: str,
    settings: Settings,
    *,
    metadata_keys: Sequence[str] = (),
    progress: Progress = silent,
) -> int:
    """Encrypt a namespace, empty or filled, or add metadata keys to what is sealed.

    What is written from now on is sealed, and the database refuses clear text; then what is there
    is sealed. A killed run goes on when it is run again. Returns how many rows were sealed.

    Raises:
        UnknownNamespace: it is not registered.
        UsageError: it is being moved from Weaviate; nothing was changed.
        KeyUnavailable: the master key cannot be used; nothing was changed.
    """
    namespaces.get(connection, namespace)
    with nothing_written(connection, namespace):
        with connection.transaction():
            connection.execute(
                """
                INSERT INTO encrypted_namespaces AS known (namespace, metadata_keys)
                VALUES (%(namespace)s, %(keys)s)
                ON CONFLICT (namespace) DO UPDATE SET
                    metadata_keys = ARRAY(SELECT unnest(known.metadata_keys)
                                          UNION SELECT unnest(%(keys)s) ORDER BY 1),
                    sealed = known.sealed AND known.metadata_keys @> %(keys)s
                """,
                {"namespace": namespace, "keys": sorted(set(metadata_keys))},
            )
            weaviate_migrations.check_not_under_way(connection, namespace)
            if not data_keys.of_namespace(connection, namespace):
                data_keys.add(connection, namespace, _provider(connection, settings))
            refuse_clear_text(connection, namespace)
            text_statistics.clear(connection, namespace)
            connection.execute(
                "UPDATE vector_search_logs SET query_text = NULL, query_embedding = NULL,"
                " filter = NULL WHERE namespace = %s",
                [namespace],
            )
        return _bring_under_current_key(connection, namespace, settings, progress)


def rotate(
    connection: psycopg.Connection,
    namespace: str,
    settings: Settings,
    *,
    progress: Progress = silent,
) -> int:
    """Seal every row with a new data key; nothing has to be embedded again.

    A killed rotation goes on with the key it began with when it is run again; until then both
    keys open. Returns how many rows were sealed.

    Raises:
        UnknownNamespace, UsageError: it is not registered, or not encrypted.
        KeyUnavailable: a key cannot be used.
        SealBroken: a row does not open; those before it are done.
    """
    _must_be_encrypted(connection, namespace)
    with nothing_written(connection, namespace):
        keys = data_keys.of_namespace(connection, namespace)
        if all(key.state != "outgoing" for key in keys):
            data_keys.add(connection, namespace, _provider(connection, settings))
        return _bring_under_current_key(connection, namespace, settings, progress)


def rewrap(
    connection: psycopg.Connection,
    namespace: str,
    settings: Settings,
    *,
    old_key_file: Path | None = None,
) -> int:
    """Wrap a namespace's data keys with the master key of the settings; no row is touched.

    Args:
        old_key_file: the file they are wrapped with now, where it is not that of the settings.

    Returns:
        How many data keys were wrapped anew.

    Raises:
        UnknownNamespace, UsageError: it is not registered, or not encrypted.
        KeyUnavailable: a key cannot be used; nothing was changed.
    """
    _must_be_encrypted(connection, namespace)
    with exclusive(connection, "data keys", namespace), connection.transaction():
        keys = data_keys.of_namespace(connection, namespace)
        opened = {key.id: key.unwrap(settings, old_key_file) for key in keys}
        provider = wrapping_provider(settings, may_create=True)
        old = [key for key in keys if key.master_key != provider.master_key]
        for key in old:
            context = data_keys.context_of(namespace, key.id)
            connection.execute(
                """
                UPDATE data_keys SET wrapped = %s, master_key = %s WHERE (namespace, id) = (%s, %s)
                """,
                [provider.wrap(opened[key.id], context), provider.master_key, namespace, key.id],
            )
    return len(old)


def status(connection: psycopg.Connection) -> list[EncryptionStatus]:
    """How every namespace stands, by name; no master key is needed."""
    return [_status(connection, namespace.name) for namespace in namespaces.list_all(connection)]


def _status(connection: psycopg.Connection, namespace: str) -> EncryptionStatus:
    keys = data_keys.of_namespace(connection, namespace)
    if not keys:
        return EncryptionStatus(namespace, False, False, 0, [], [])
    row = connection.execute(
        "SELECT metadata_keys, sealed FROM encrypted_namespaces WHERE namespace = %s", [namespace]
    ).fetchone()
    metadata_keys, sealed = cast("tuple[list[str], bool]", row)
    current = next(key.id for key in keys if key.state == "current")
    pending = pending_rows(connection, namespace, current, metadata_keys)
    complete = sealed and pending == 0
    return EncryptionStatus(namespace, True, complete, pending, metadata_keys, keys)


@contextmanager
def nothing_written(connection: psycopg.Connection, namespace: str) -> Iterator[None]:
    """Keep the stages that write texts from running meanwhile, by the locks they hold."""
    with ExitStack() as locks:
        locks.enter_context(exclusive(connection, "documents", namespace))
        locks.enter_context(exclusive(connection, "chunks", namespace))
        for collection in collections.list_all(connection, namespace):
            locks.enter_context(exclusive(connection, "embeddings", collection.name))
        yield


def _bring_under_current_key(
    connection: psycopg.Connection, namespace: str, settings: Settings, progress: Progress
) -> int:
    cipher = data_keys.cipher_of(connection, namespace, settings)
    if cipher is None:
        return 0
    done = reseal(connection, cipher, progress)
    for table in _CLEAR:  # what the planner knows of a column are words of it
        connection.execute(sql.SQL("ANALYZE {}").format(namespaces.partition(table, namespace)))
    with connection.transaction():
        connection.execute(
            "UPDATE encrypted_namespaces SET sealed = true WHERE namespace = %s", [namespace]
        )
        connection.execute(
            "UPDATE data_keys SET state = 'retired' WHERE namespace = %s AND state = 'outgoing'",
            [namespace],
        )
    return done


def _must_be_encrypted(connection: psycopg.Connection, namespace: str) -> None:
    namespaces.get(connection, namespace)
    if not data_keys.of_namespace(connection, namespace):
        raise UsageError(
            f"The namespace {namespace} is not encrypted.",
            f"Run `greenlang-vectors encryption enable {namespace}`.",
        )


def _provider(connection: psycopg.Connection, settings: Settings) -> KeyProvider:
    """Who wraps a new data key; a key file that others depend on is never made anew."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM data_keys WHERE starts_with(master_key, 'file:'))"
    ).fetchone()
    return wrapping_provider(settings, may_create=row == (False,))


def refuse_clear_text(connection: psycopg.Connection, namespace: str) -> None:
    """Have the database itself refuse what an encrypted namespace must not hold."""
    row = connection.execute(
        "SELECT metadata_keys FROM encrypted_namespaces WHERE namespace = %s", [namespace]
    ).fetchone()
    (metadata_keys,) = cast("tuple[list[str]]", row)
    for table, (columns, clear) in _CLEAR.items():
        conditions: list[sql.Composable] = [sql.SQL(clear)]
        if "metadata" in columns:
            conditions += [
                sql.SQL(_CLEAR_METADATA).format(key=sql.Literal(key)) for key in metadata_keys
            ]
        partition = namespaces.partition(table, namespace)
        connection.execute(
            sql.SQL("DROP TRIGGER IF EXISTS clear_text_refused ON {}").format(partition)
        )
        connection.execute(
            sql.SQL(
                "CREATE TRIGGER clear_text_refused AFTER INSERT OR UPDATE OF {} ON {} "
                "FOR EACH ROW WHEN ({}) EXECUTE FUNCTION refuse_clear_text()"
            ).format(sql.SQL(columns), partition, sql.SQL(" OR ").join(conditions))
        )
