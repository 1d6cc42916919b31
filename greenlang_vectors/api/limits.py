"""How much a caller may send: requests in a time, bytes in one."""

from __future__ import annotations

import logging
import math
import time
from http import HTTPStatus

import limits
from fastapi import HTTPException
from limits.aio.storage import Storage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.errors import ConfigurationError, StorageError
from limits.storage import storage_from_string
from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from greenlang_vectors.api import problems
from greenlang_vectors.errors import UsageError

logger = logging.getLogger(__name__)

REFUSALS = limits.parse("60/minute")
"""Requests without a valid credential from one address."""

UPLOADS = "/v1/documents"
FORM_BYTES = 64 * 1024
"""What a form may add to the file in it."""


class RateLimiter:
    """Counts requests over a sliding window (Cloudflare's approximation of it).

    Args:
        rate: of one caller, such as "100/second" or "6000/minute".
        redis_url: where processes that serve together count; None to count in this one.

    Raises:
        UsageError: a rate that cannot be read, or no client for Redis.
    """

    def __init__(self, rate: str, redis_url: SecretStr | None) -> None:
        try:
            self._rate = limits.parse(rate)
        except ValueError as error:
            raise UsageError(
                f"GREENLANG_API_RATE_LIMIT {rate!r} cannot be read.", "Write 100/second."
            ) from error
        self._limiter = SlidingWindowCounterRateLimiter(_storage(redis_url))

    async def request(self, caller: str) -> None:
        """Count a request of this caller.

        Raises:
            HTTPException: 429, with Retry-After.
        """
        await self._count(self._rate, "caller", caller)

    async def refusal(self, address: str) -> None:
        """Count a request from this address whose credential opens nothing.

        Raises:
            HTTPException: 429, with Retry-After.
        """
        await self._count(REFUSALS, "refused", address)

    async def _count(self, rate: limits.RateLimitItem, *who: str) -> None:
        try:
            if await self._limiter.hit(rate, *who):
                return
            window = await self._limiter.get_window_stats(rate, *who)
        except StorageError as error:
            logger.warning("Requests are not counted, Redis does not answer: %s", error)
            return
        seconds = max(1, math.ceil(window.reset_time - time.time()))
        raise HTTPException(
            HTTPStatus.TOO_MANY_REQUESTS,
            f"More requests than {rate}.",
            {"Retry-After": str(seconds)},
        )


def _storage(redis_url: SecretStr | None) -> Storage:
    try:
        if redis_url is None:
            found = storage_from_string("async+memory://")
        else:
            found = storage_from_string(
                f"async+{redis_url.get_secret_value()}",
                implementation="redispy",
                wrap_exceptions=True,
                socket_timeout=1,
                socket_connect_timeout=1,
            )
    except (ConfigurationError, ValueError) as error:
        raise UsageError(
            f"GREENLANG_REDIS_URL cannot be used ({type(error).__name__}).",
            "Write redis://HOST:6379/0, and install greenlang-vectors[redis].",
        ) from error
    if not isinstance(found, Storage):
        raise UsageError("GREENLANG_REDIS_URL names no Redis.", "Write redis://HOST:6379/0.")
    return found


class BodyLimit:
    """Refuses bodies that are too large: by what they announce, and by what really comes.

    Args:
        most: bytes of a request.
        most_upload: bytes of a file that is uploaded.
    """

    def __init__(self, app: ASGIApp, *, most: int, most_upload: int) -> None:
        self.app = app
        self._most = most
        self._most_upload = most_upload + FORM_BYTES

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        most = self._most_upload if scope["path"] == UPLOADS else self._most
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdecimal() and (len(announced) > 18 or int(announced) > most):
            await problems.answer_to(_too_large(most), scope)(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > most:
                raise _too_large(most)
            return message

        await self.app(scope, counted, send)


def _too_large(most: int) -> Exception:
    return HTTPException(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"More than the {most:,} bytes a request may have."
    )
