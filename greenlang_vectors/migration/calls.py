"""One exchange with a Weaviate server: the official client's connection, retried, its errors named.

gRPC calls go through the stub and the credentials of the client's own connection, which it keeps
to itself: its retries wait for a minute and say nothing, and it cannot tell a message that is too
large from any other refusal. No other server is asked: the client's own look for newer versions
is off.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast
from urllib.parse import urlsplit

import grpc
import httpx
import stamina
import weaviate
from weaviate.auth import AuthApiKey
from weaviate.config import AdditionalConfig, GrpcConfig
from weaviate.exceptions import WeaviateBaseError

from greenlang_vectors.documents.model import JSON
from greenlang_vectors.embedding.encoding import ATTEMPTS, FIRST_WAIT, LONGEST_WAIT
from greenlang_vectors.errors import GreenLangError, UsageError
from greenlang_vectors.migration.errors import (
    MessageTooLarge,
    WeaviateRefused,
    WeaviateUnavailable,
)
from greenlang_vectors.settings import Settings

CALL_SECONDS = 60.0
"""How long one call may take."""

_PASSING = frozenset(
    {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED}
)
_LOCKED = frozenset({grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED})
_PASSING_STATUS = frozenset({408, 429, 500, 502, 503, 504})
_SET_PLACE = (
    "Check that the server runs, and GREENLANG_WEAVIATE_URL, GREENLANG_WEAVIATE_GRPC_HOST and "
    "GREENLANG_WEAVIATE_GRPC_PORT; then run again: what was done until now is kept."
)
_SET_KEY = "Set GREENLANG_WEAVIATE_API_KEY to a key that may use the collection."


class Calls:
    """The calls of one open connection; those of several threads run at once."""

    def __init__(self, client: weaviate.WeaviateClient, place: str) -> None:
        """Args: place: the server, as errors name it."""
        self._client = client
        self._connection = client._connection
        self._place = place

    @property
    def version(self) -> str:
        """Of the server, as it said when the connection was opened."""
        return str(self._connection.server_version)

    def is_older_than(self, major: int, minor: int) -> bool:
        """Whether the server is of an earlier version than this."""
        return bool(self._connection._weaviate_version.is_lower_than(major, minor, 0))

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def get(self, path: str) -> Any | None:  # noqa: ANN401 - what JSON holds
        """What `/v1/{path}` answers; None where there is nothing (404).

        Raises:
            WeaviateUnavailable, WeaviateRefused: as of `call`.
        """
        reply = self._rest(lambda: self._connection.get(path=f"/{path}"))
        if reply.status_code == 404:
            return None
        return self._accepted(path, reply)

    def post(self, path: str, body: dict[str, JSON]) -> Any:  # noqa: ANN401 - what JSON holds
        """What `/v1/{path}` answers to a body, which may be sent more than once.

        Raises:
            WeaviateUnavailable, WeaviateRefused: as of `call`.
        """
        return self._accepted(
            path,
            self._rest(lambda: self._connection.post(path=f"/{path}", weaviate_object=body)),
        )

    def _accepted(self, path: str, reply: httpx.Response) -> Any:  # noqa: ANN401
        if reply.is_success:
            return reply.json()
        raise WeaviateRefused(self._place, f"{reply.status_code} for {path}: {reply.text[:300]}")

    def _rest(self, send: Callable[[], Any]) -> httpx.Response:
        for attempt in self._attempts(ATTEMPTS):
            with attempt:
                return self._sent(send)
        raise AssertionError("the last attempt raises")

    def _sent(self, send: Callable[[], Any]) -> httpx.Response:
        try:
            reply = cast(httpx.Response, send())
        except (WeaviateBaseError, httpx.HTTPError, OSError) as error:
            failure: GreenLangError = self._unavailable(type(error).__name__)
        else:
            if reply.status_code in {401, 403}:
                failure = self._locked(reply.text[:300])
            elif reply.status_code in _PASSING_STATUS:
                failure = self._unavailable(str(reply.status_code))
            else:
                return reply
        raise failure

    def call(
        self,
        method: str,
        request: Any,  # noqa: ANN401 - a protobuf message
        attempts: int = ATTEMPTS,
        seconds: float = CALL_SECONDS,
    ) -> Any:  # noqa: ANN401
        """Call a method of the gRPC service.

        Raises:
            WeaviateUnavailable: no answer, after so many attempts; or the key is not accepted.
            MessageTooLarge: what was asked for is more than one message holds.
            WeaviateRefused: anything else that another try would not mend.
        """
        call = getattr(self._connection.grpc_stub, method)
        for attempt in self._attempts(attempts):
            with attempt:
                try:
                    return call(request, metadata=self._connection.grpc_headers(), timeout=seconds)
                except grpc.RpcError as error:
                    failure = self._named(error)
                raise failure
        raise AssertionError("the last attempt raises")

    def _attempts(self, attempts: int) -> Any:  # noqa: ANN401 - stamina's own iterator
        return stamina.retry_context(
            on=_may_pass,
            attempts=attempts,
            wait_initial=FIRST_WAIT,
            wait_max=LONGEST_WAIT,
        )

    def _named(self, error: grpc.RpcError) -> GreenLangError:
        code, words = error.code(), " ".join(str(error.details()).split())[:300]
        if code in _PASSING:
            return self._unavailable(f"{code.name}: {words}")
        if code in _LOCKED:
            return self._locked(words)
        if code == grpc.StatusCode.RESOURCE_EXHAUSTED:
            return MessageTooLarge(self._place, words)
        return WeaviateRefused(self._place, words)

    def _unavailable(self, words: str) -> WeaviateUnavailable:
        return WeaviateUnavailable(
            f"Weaviate at {self._place} gives no answer ({words}).", _SET_PLACE, passing=True
        )

    def _locked(self, words: str) -> WeaviateUnavailable:
        return WeaviateUnavailable(
            f"Weaviate at {self._place} does not let us in ({words}).", _SET_KEY
        )


def connect(settings: Settings) -> Calls:
    """Open a connection to the server of these settings.

    Raises:
        WeaviateUnavailable: it cannot be reached, refuses the key, or is too old for the client.
        UsageError: GREENLANG_WEAVIATE_URL is no such URL.
    """
    url = urlsplit(settings.weaviate_url)
    if url.scheme not in {"http", "https"} or not url.hostname or url.path.strip("/"):
        raise UsageError(
            f"{settings.weaviate_url!r} is not the URL of a Weaviate server.",
            "Set GREENLANG_WEAVIATE_URL to http(s)://HOST:PORT.",
        )
    secure = url.scheme == "https"
    key = settings.weaviate_api_key.get_secret_value() if settings.weaviate_api_key else ""
    port = url.port or (443 if secure else 80)
    place = f"{url.hostname}:{port}"
    try:
        client = weaviate.connect_to_custom(
            url.hostname,
            port,
            secure,
            settings.weaviate_grpc_host or url.hostname,
            settings.weaviate_grpc_port,
            secure,
            auth_credentials=AuthApiKey(key) if key else None,
            skip_init_checks=True,
            additional_config=AdditionalConfig(
                grpc_config=GrpcConfig(channel_options=[("grpc.max_reconnect_backoff_ms", 2000)])
            ),
        )
    except (WeaviateBaseError, httpx.HTTPError, OSError) as error:
        words = " ".join(str(error).split()).replace(key or "\0", "***")[:300]
        failure = WeaviateUnavailable(
            f"Weaviate at {place} cannot be reached ({type(error).__name__}: {words}).",
            _SET_KEY if "401" in words else _SET_PLACE,
        )
    else:
        return Calls(client, place)
    raise failure  # here, not above: the client's error may print the request with its key


def _may_pass(error: Exception) -> bool:
    return isinstance(error, WeaviateUnavailable) and error.passing
