"""Around every request: its id, its line in the log, its figures, the headers of its answer."""

from __future__ import annotations

import logging
import re
import time
from typing import Any
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from greenlang_vectors.api import problems
from greenlang_vectors.api.metrics import Metrics

logger = logging.getLogger(__name__)

REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
"""Of every answer that does not say otherwise."""


class Observe:
    """The outermost part: nothing passes it without an answer, and no error without a problem."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self.app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        identity = _identity(Headers(scope=scope))
        scope.setdefault("state", {})["request_id"] = identity
        status = 0

        async def answered(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = identity
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self.app(scope, receive, answered)
        except ClientDisconnect:
            logger.info("%s the client went away", identity)
        except Exception as error:
            if status:
                raise
            await problems.answer_to(error, scope)(scope, receive, answered)
        finally:
            self._note(scope, status, time.perf_counter() - began)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        self._metrics.requested(scope["method"], route, status, seconds)
        caller = scope["state"].get("caller")
        logger.info(
            "%s %s %s %s %.1f ms %s",
            scope["state"]["request_id"],
            ascii(scope["method"])[1:-1],
            _path(scope),
            status or "-",
            seconds * 1000,
            "-" if caller is None else ascii(caller.id)[1:-1],
        )


def _identity(headers: Headers) -> str:
    """The id the caller gave, where it is harmless; otherwise one of our own."""
    given = headers.get("x-request-id", "")
    return given if REQUEST_ID.fullmatch(given) else uuid4().hex


def _path(scope: dict[str, Any] | Scope) -> str:
    """The path as it was sent, on one line and without the query."""
    raw = scope.get("raw_path") or scope["path"].encode()
    return ascii(bytes(raw)[:300].decode("latin-1"))[1:-1]
