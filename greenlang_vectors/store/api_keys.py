"""Keys of the HTTP API: who may call it, for which namespaces and to what end.

A key reads `glv_<id>_<secret>`. The secret has 256 random bits and is shown once; the database
keeps its SHA-256, which for so much chance is as good as a slow hash and costs a request nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

import psycopg
from psycopg.rows import class_row

from greenlang_vectors.errors import UsageError
from greenlang_vectors.store import namespaces

Scope = Literal["read", "write", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

EVERY_NAMESPACE = "*"
LONGEST_NAME = 100

_KEY = re.compile(r"glv_(?P<id>[0-9a-f]{16})_(?P<secret>[A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key, without its secret.

    Attributes:
        secret_hash: SHA-256 of the secret.
        namespaces: where it opens; `EVERY_NAMESPACE` alone for all.
        scopes: what it may do there; "admin" may all.
        last_used_at: to the minute.
    """

    id: str
    name: str
    secret_hash: bytes
    namespaces: list[str]
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    def opened_by(self, secret: str) -> bool:
        """Whether this is the key's secret; takes equally long for any."""
        return hmac.compare_digest(_hash(secret), self.secret_hash)


def parse(text: str) -> tuple[str, str] | None:
    """(id, secret) of a key as callers send it; None for anything else."""
    found = _KEY.fullmatch(text)
    return None if found is None else (found["id"], found["secret"])


def create(
    connection: psycopg.Connection,
    name: str,
    *,
    for_namespaces: Sequence[str],
    scopes: Sequence[Scope],
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """Make a key; return it and, for the only time, what callers send.

    Args:
        for_namespaces: registered ones, or `EVERY_NAMESPACE`.

    Raises:
        UsageError: no name, no namespace, no scope, or one that is unknown.
        UnknownNamespace: one of them is not registered.
    """
    if not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
        raise UsageError(f"A key needs a name of 1 to {LONGEST_NAME} printable characters.")
    if not for_namespaces or not scopes:
        raise UsageError("A key needs at least one namespace and one scope.")
    for scope in scopes:
        if scope not in SCOPES:
            raise UsageError(f"Unknown scope {scope!r}.", f"Known: {', '.join(SCOPES)}.")
    for namespace in for_namespaces:
        if namespace != EVERY_NAMESPACE:
            namespaces.get(connection, namespace)
    identity, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    with connection.cursor(row_factory=class_row(ApiKey)) as cursor:
        made = cursor.execute(
            """
            INSERT INTO api_keys (id, name, secret_hash, namespaces, scopes, expires_at)
            VALUES (%s, %s, %s, %s, %s, %s)
            RETURNING *
            """,
            [
                identity,
                name,
                _hash(secret),
                sorted(set(for_namespaces)),
                sorted(set(scopes)),
                expires_at,
            ],
        ).fetchone()
    if made is None:
        raise AssertionError("INSERT … RETURNING gives the row")
    return made, f"glv_{identity}_{secret}"


def list_all(connection: psycopg.Connection) -> list[ApiKey]:
    """Every key, the revoked and the expired too, in order of creation."""
    with connection.cursor(row_factory=class_row(ApiKey)) as cursor:
        return cursor.execute("SELECT * FROM api_keys ORDER BY created_at, id").fetchall()


def usable(connection: psycopg.Connection) -> dict[str, ApiKey]:
    """The keys that open something now, by id."""
    with connection.cursor(row_factory=class_row(ApiKey)) as cursor:
        rows = cursor.execute(
            """
            SELECT * FROM api_keys
            WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
            """
        )
        return {row.id: row for row in rows}


def revoke(connection: psycopg.Connection, identity: str) -> None:
    """Let a key open nothing from now on; revoking twice changes nothing.

    Raises:
        UsageError: there is no such key.
    """
    found = connection.execute(
        "UPDATE api_keys SET revoked_at = coalesce(revoked_at, now()) WHERE id = %s", [identity]
    )
    if found.rowcount == 0:
        raise UsageError(
            f"There is no API key {identity!r}.", "`greenlang-vectors api-keys list` shows them."
        )


def note_use(connection: psycopg.Connection, identities: Collection[str]) -> None:
    """Remember that these keys were used, to the minute."""
    connection.execute(
        """
        UPDATE api_keys SET last_used_at = now()
        WHERE id = ANY (%s)
          AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')
        """,
        [list(identities)],
    )


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
