"""The data keys of encrypted namespaces, wrapped, and the cipher they make."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, cast

import psycopg
from psycopg.rows import class_row

from greenlang_vectors.settings import Settings, get_settings
from greenlang_vectors.store.encryption.cipher import KEY_ID_DIGITS, Cipher
from greenlang_vectors.store.encryption.providers import (
    KEY_BYTES,
    KeyProvider,
    unwrapping_provider,
)


@dataclass(frozen=True, slots=True)
class DataKey:
    """A data key as it is stored.

    Attributes:
        state: "current" seals; "outgoing" is being rotated away from; "retired" opens archives.
        master_key: what unwraps it.
    """

    namespace: str
    id: str
    state: Literal["current", "outgoing", "retired"]
    master_key: str
    wrapped: bytes
    created_at: datetime

    def unwrap(self, settings: Settings, old_key_file: Path | None = None) -> bytes:
        """The data key itself, 32 bytes.

        Raises:
            KeyUnavailable: see `providers`.
        """
        provider = unwrapping_provider(self.master_key, settings, old_key_file)
        return provider.unwrap(bytes(self.wrapped), context_of(self.namespace, self.id))


def context_of(namespace: str, key_id: str) -> dict[str, str]:
    """What a wrapped data key is bound to."""
    return {"namespace": namespace, "data_key": key_id}


def of_namespace(connection: psycopg.Connection, namespace: str) -> list[DataKey]:
    """The data keys of a namespace, oldest first; none where it is not encrypted."""
    with connection.cursor(row_factory=class_row(DataKey)) as cursor:
        return cursor.execute(
            """
            SELECT namespace, id, state, master_key, wrapped, created_at
            FROM data_keys WHERE namespace = %s ORDER BY created_at, id
            """,
            [namespace],
        ).fetchall()


def add(connection: psycopg.Connection, namespace: str, provider: KeyProvider) -> None:
    """Make a data key and have it seal from now on; the one that did so far is outgoing.

    Raises:
        KeyUnavailable: the provider cannot wrap it.
    """
    key_id = os.urandom(KEY_ID_DIGITS // 2).hex()
    wrapped = provider.wrap(os.urandom(KEY_BYTES), context_of(namespace, key_id))
    with connection.transaction():
        connection.execute(
            "UPDATE data_keys SET state = 'outgoing' WHERE namespace = %s AND state = 'current'",
            [namespace],
        )
        connection.execute(
            """
            INSERT INTO data_keys (namespace, id, state, master_key, wrapped)
            VALUES (%s, %s, 'current', %s, %s)
            """,
            [namespace, key_id, provider.master_key, wrapped],
        )


def cipher_of(
    connection: psycopg.Connection, namespace: str, settings: Settings | None = None
) -> Cipher | None:
    """The cipher of a namespace, None where it is not encrypted: asked for once an operation.

    Args:
        settings: where the master key is; those of this process by default.

    Raises:
        KeyUnavailable: the master key is missing or another one.
    """
    keys = {key.id: key for key in of_namespace(connection, namespace)}
    if not keys:
        return None
    row = connection.execute(
        "SELECT metadata_keys, sealed FROM encrypted_namespaces WHERE namespace = %s", [namespace]
    ).fetchone()
    metadata_keys, sealed = cast("tuple[list[str], bool]", row)
    current = next(key.id for key in keys.values() if key.state == "current")
    known_settings = settings or get_settings()
    return Cipher(
        namespace,
        current,
        lambda key_id: keys[key_id].unwrap(known_settings),
        metadata_keys=frozenset(metadata_keys),
        accepts_clear=not sealed,
    )
