"""JSON Web Tokens of an identity provider, checked against its published keys (RFC 7517, 7519).

Claims: `exp` is required; `iss` and `aud` are where the settings name them. `sub` names the
caller, `scope` holds words out of read, write and admin, separated by blanks (RFC 8693), and
`namespaces` is a list of names, or "*".
"""

from __future__ import annotations

import json
import logging
import time
import urllib.request
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import anyio
import anyio.to_thread
import jwt

from greenlang_vectors.api.caller import Caller
from greenlang_vectors.errors import UsageError
from greenlang_vectors.store.api_keys import EVERY_NAMESPACE, SCOPES

logger = logging.getLogger(__name__)

ALGORITHMS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
)
KEPT_SECONDS = 300
"""How long published keys are used before they are asked for again."""
REFRESH_SECONDS = 10
"""The least time between two questions for keys, however many unknown ones are named."""
FETCH_SECONDS = 5
MAX_BYTES = 1 << 20
MAX_TOKEN = 16_384
LEEWAY_SECONDS = 30
UNREADABLE = (
    *(OSError, HTTPException, jwt.PyJWTError),
    *(ValueError, LookupError, TypeError, AttributeError),
)
"""What reading something that is no key set may end in."""


class Tokens:
    """Checks tokens.

    Args:
        jwks_url: where the keys are: http(s), file, or a path.
        issuer, audience: what `iss` and `aud` must say; None for anything.

    Raises:
        UsageError: the URL is of another kind.
    """

    def __init__(self, jwks_url: str, issuer: str | None, audience: str | None) -> None:
        if urlsplit(jwks_url).scheme not in ("http", "https", "file", ""):
            raise UsageError("GREENLANG_API_JWKS_URL must be an http(s) or file URL.")
        self._url = jwks_url
        self._issuer = issuer
        self._audience = audience
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._read_at = self._tried_at = float("-inf")
        self._refreshing = anyio.Lock()
        self._thread = anyio.CapacityLimiter(1)

    async def caller(self, token: str) -> Caller | None:
        """Who bears the token; None where it is not valid now."""
        if len(token) > MAX_TOKEN:
            return None
        try:
            header = jwt.get_unverified_header(token)
            key = await self._key(header.get("kid"))
            if key is None:
                return None
            claims = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                issuer=self._issuer,
                audience=self._audience,
                leeway=LEEWAY_SECONDS,
                options={
                    "require": ["exp", "sub"],
                    "verify_iss": self._issuer is not None,
                    "verify_aud": self._audience is not None,
                },
            )
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
            logger.info("A token was refused: %s", error)
            return None
        return _caller_of(claims)

    async def _key(self, kid: str | None) -> jwt.PyJWK | None:
        known = self._find(kid)
        if known is None or time.monotonic() - self._read_at > KEPT_SECONDS:
            async with self._refreshing:
                if time.monotonic() - self._tried_at > REFRESH_SECONDS:
                    await self._refresh()
            known = self._find(kid)
        return known

    def _find(self, kid: str | None) -> jwt.PyJWK | None:
        if kid is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(kid)

    async def _refresh(self) -> None:
        """Ask for the keys; those known go on being used while nobody answers."""
        self._tried_at = time.monotonic()
        try:
            self._keys = await anyio.to_thread.run_sync(
                partial(_published, self._url), limiter=self._thread
            )
            self._read_at = time.monotonic()
        except UNREADABLE as error:
            logger.warning("The keys of GREENLANG_API_JWKS_URL cannot be had: %s", error)


def _published(url: str) -> dict[str | None, jwt.PyJWK]:
    """The public keys of a key set, by id; symmetric ones are left out."""
    parts = urlsplit(url)
    if parts.scheme in ("file", ""):
        data = Path(unquote(parts.path)).read_bytes()
    else:
        with urllib.request.urlopen(url, timeout=FETCH_SECONDS) as answer:  # noqa: S310 - http(s)
            data = answer.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"more than {MAX_BYTES} bytes")
    keys: dict[str | None, jwt.PyJWK] = {}
    for each in json.loads(data)["keys"]:
        if each.get("kty") in ("RSA", "EC", "OKP") and each.get("use", "sig") == "sig":
            try:
                key = jwt.PyJWK(each)
            except jwt.PyJWTError as error:
                logger.warning("A key of GREENLANG_API_JWKS_URL cannot be used: %s", error)
                continue
            if key.algorithm_name in ALGORITHMS:
                keys[key.key_id] = key
    return keys


def _caller_of(claims: dict[str, Any]) -> Caller:
    """Whom verified claims speak of; what they do not grant is not granted."""
    words = claims.get("scope")
    granted = set(words.split()) if isinstance(words, str) else set()
    named = claims.get("namespaces")
    if named in (EVERY_NAMESPACE, [EVERY_NAMESPACE]):
        reach = None
    else:
        names = named if isinstance(named, list) else []
        reach = frozenset(name for name in names if isinstance(name, str))
    return Caller(
        f"jwt:{claims.get('iss', '')}:{claims['sub']}",
        reach,
        frozenset(scope for scope in SCOPES if scope in granted),
    )
