"""One HTTP POST to an address that is a secret itself.

urllib and not httpx or urllib3, which write the path of a request into logs: whoever knows that of
an incoming webhook may write there.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from pydantic import SecretStr

from greenlang_vectors.embedding.retry_after import retry_after
from greenlang_vectors.notifications.channel import NotDelivered

ANSWER_SECONDS = 5
LONGEST_ANSWER = 200
"""Characters of an answer that are told."""

_PASSING = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}


class _NoRedirects(HTTPRedirectHandler):
    """Nobody sends us, and what is told, elsewhere."""

    def redirect_request(self, *_: Any, **__: Any) -> None:  # noqa: ANN401 - as urllib has it
        """None: the redirect is the answer."""


_opener = build_opener(_NoRedirects)


def post(url: SecretStr, setting: str, body: bytes, headers: Mapping[str, str]) -> str:
    """Send a JSON body; return the answer in a line.

    Args:
        setting: where the URL came from, for messages.

    Raises:
        NotDelivered: the URL is none, nobody answers, or not with a status of 2xx.
    """
    address = url.get_secret_value()
    parts = urlsplit(address)
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
        raise NotDelivered(f"{setting} is no address.", "Set it to https://HOST/PATH.")
    request = Request(  # noqa: S310 - http or https
        address,
        body,
        {"Content-Type": "application/json", "User-Agent": "greenlang-vectors", **headers},
        method="POST",
    )
    try:
        with _opener.open(request, timeout=ANSWER_SECONDS) as answer:
            return f"{answer.status} {_words(answer, address)}".strip()
    except HTTPError as error:
        with error:
            said = f"{error.code} {_words(error, address)}".strip()
        lowered = {name.lower(): value for name, value in error.headers.items()}
        failure = NotDelivered(
            f"{parts.hostname} answers {said}.",
            f"Check {setting}.",
            passing=error.code in _PASSING or error.code >= HTTPStatus.INTERNAL_SERVER_ERROR,
            wait=retry_after(lowered),
        )
    except URLError as error:
        failure = _unreachable(parts.hostname, setting, str(error.reason))
    except (OSError, HTTPException, ValueError) as error:
        failure = _unreachable(parts.hostname, setting, type(error).__name__)
    raise failure  # here, not above: the error of urllib would be printed as its context


def _unreachable(host: str, setting: str, reason: str) -> NotDelivered:
    return NotDelivered(
        f"{host} cannot be reached: {reason.rstrip('.')}.", f"Check {setting}.", passing=True
    )


def _words(answer: Any, address: str) -> str:  # noqa: ANN401 - an answer or an HTTPError
    """The answer's own words, short and without the address."""
    try:
        text = answer.read(LONGEST_ANSWER * 4).decode("utf-8", "replace")
    except (OSError, HTTPException):
        return ""
    parts = urlsplit(address)
    for secret in (address, f"{parts.path}?{parts.query}", parts.path, parts.query):
        if len(secret) > 1:
            text = text.replace(secret, "***")
    return " ".join(text.split())[:LONGEST_ANSWER].rstrip(".")
