"""Which requests come in: credentials, rate limits and, without credentials, the local machine.

All of it is settled before a body is read: whoever may not call sends nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import psycopg
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from greenlang_vectors.api import problems
from greenlang_vectors.api.caller import EVERYONE, Caller
from greenlang_vectors.api.limits import RateLimiter
from greenlang_vectors.api.tokens import Tokens
from greenlang_vectors.store import api_keys
from greenlang_vectors.store.api_keys import EVERY_NAMESPACE, ApiKey
from greenlang_vectors.store.database import Database

logger = logging.getLogger(__name__)

FRESH_SECONDS = 5.0
"""How long a revoked key may go on being used."""
NEW_SECONDS = 1.0
"""How long a new key may open nothing yet; unknown keys cause no more reading than that."""

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1", "[::1]"})


class KeyRing:
    """The keys in use, read together every few seconds: a request costs no query, and an
    unknown key none either."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._keys: Mapping[str, ApiKey] = {}
        self._used: set[str] = set()
        self._read_at = float("-inf")
        self._reading = anyio.Lock()
        self._thread = anyio.CapacityLimiter(1)

    async def caller(self, text: str) -> Caller | None:
        """Whose key this is; None if it opens nothing.

        Raises:
            DatabaseUnavailable: the keys cannot be read.
        """
        if (sent := api_keys.parse(text)) is None:
            return None
        identity, secret = sent
        if self._stale(identity):
            async with self._reading:
                if self._stale(identity):
                    await anyio.to_thread.run_sync(self._read, limiter=self._thread)
        key = self._keys.get(identity)
        if key is None or not key.opened_by(secret):
            return None
        self._used.add(identity)
        everywhere = EVERY_NAMESPACE in key.namespaces
        return Caller(
            f"key:{identity}",
            None if everywhere else frozenset(key.namespaces),
            frozenset(key.scopes),
        )

    def _stale(self, identity: str) -> bool:
        most = FRESH_SECONDS if identity in self._keys else NEW_SECONDS
        return time.monotonic() - self._read_at > most

    def _read(self) -> None:
        used, self._used = self._used, set()
        with self._database.connection() as connection:
            self._keys = api_keys.usable(connection)
            if used:
                try:
                    api_keys.note_use(connection, used)
                except (
                    psycopg.errors.InsufficientPrivilege,
                    psycopg.errors.ReadOnlySqlTransaction,
                ) as error:
                    logger.debug("The use of keys is not noted: %s", error)
        self._read_at = time.monotonic()


class Authenticator:
    """Credentials: API keys, and tokens where their keys are published."""

    def __init__(self, ring: KeyRing, tokens: Tokens | None) -> None:
        self._ring = ring
        self._tokens = tokens

    async def caller(self, headers: Headers) -> Caller | None:
        """Who calls; None without a credential that is valid now.

        Raises:
            DatabaseUnavailable: the keys cannot be read.
        """
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        credential = headers.get("x-api-key") or (
            bearer.strip() if scheme.lower() == "bearer" else ""
        )
        if credential.startswith("glv_"):
            return await self._ring.caller(credential)
        return await self._tokens.caller(credential) if self._tokens and credential else None


class Gate:
    """Lets in those who may call, and notes on the request who it is.

    Args:
        authenticator: None for a service of this machine alone, without credentials: then only
            requests for a local name are answered, and none that another site's page sends.
        guarded: where paths begin so, a credential is asked for.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        authenticator: Authenticator | None,
        limiter: RateLimiter,
        guarded: tuple[str, ...],
    ) -> None:
        self.app = app
        self._guarded = guarded
        self._authenticator = authenticator
        self._limiter = limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            try:
                if self._authenticator is None:
                    _keep_local(headers)
                if scope["path"].startswith(self._guarded):
                    scope["state"]["caller"] = await self._admit(scope, headers)
            except HTTPException as error:
                await problems.answer_to(error, scope)(scope, receive, send)
                return
        await self.app(scope, receive, send)

    async def _admit(self, scope: Scope, headers: Headers) -> Caller:
        if self._authenticator is None:
            return EVERYONE
        caller = await self._authenticator.caller(headers)
        if caller is None:
            address = scope["client"][0] if scope.get("client") else "unknown"
            await self._limiter.refusal(address)
            raise HTTPException(
                HTTPStatus.UNAUTHORIZED,
                "Send an API key, or a token, as Authorization: Bearer.",
                {"WWW-Authenticate": "Bearer"},
            )
        await self._limiter.request(caller.id)
        return caller


def _keep_local(headers: Headers) -> None:
    """Refuse what a page of another site may have sent through a browser of this machine.

    Raises:
        HTTPException: 403.
    """
    host = headers.get("host", "")
    if urlsplit(f"//{host}").hostname not in LOCAL_NAMES:
        raise HTTPException(
            HTTPStatus.FORBIDDEN, "Without authentication only this machine is served."
        )
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != host:
        raise HTTPException(HTTPStatus.FORBIDDEN, "Without authentication no other site is served.")
