"""Asking AWS: RDS of one region, with every failure as one clear line.

Requests are retried in botocore's standard mode, which waits longer each time it is throttled;
AWS_MAX_ATTEMPTS says how often.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from greenlang_vectors import aws
from greenlang_vectors.backup.aurora.errors import AuroraUnavailable
from greenlang_vectors.errors import said

_CREDENTIALS = (
    "Renew the credentials of AWS (AWS_PROFILE, AWS_ACCESS_KEY_ID, or the instance's role) and"
    " run it again."
)
_REMEDIES = {
    **dict.fromkeys(
        [
            *("ExpiredToken", "ExpiredTokenException", "RequestExpired", "InvalidClientTokenId"),
            *("SignatureDoesNotMatch", "UnrecognizedClientException", "NoCredentialsError"),
            *("PartialCredentialsError", "TokenRetrievalError", "SSOTokenLoadError"),
            *("UnauthorizedSSOTokenError", "CredentialRetrievalError"),
        ],
        _CREDENTIALS,
    ),
    **dict.fromkeys(
        [
            *("Throttling", "ThrottlingException", "ThrottledException", "TooManyRequests"),
            *("RequestLimitExceeded", "RequestThrottled", "SlowDown"),
        ],
        "AWS asks for fewer requests: run it again in some minutes, or raise AWS_MAX_ATTEMPTS.",
    ),
    **dict.fromkeys(
        [
            *("EndpointConnectionError", "ConnectTimeoutError", "ReadTimeoutError"),
            *("ConnectionClosedError", "ProxyConnectionError", "SSLError", "HTTPClientError"),
            "ResponseParserError",
        ],
        "Check the network, the region and AWS_ENDPOINT_URL, and run it again.",
    ),
    **dict.fromkeys(
        [
            "AccessDenied",
            "AccessDeniedException",
            "UnauthorizedOperation",
            "KMSKeyNotAccessibleFault",
        ],
        "Give these credentials the rights that docs/aurora-backups.md lists.",
    ),
}


class Rds:
    """RDS of one region.

    Args:
        region: None for the one boto3 finds.

    Raises:
        AuroraUnavailable: boto3 is not installed, or there is no region.
    """

    def __init__(self, region: str | None = None) -> None:
        self._client = _client(region)
        self.region: str = self._client.meta.region_name

    def call(self, operation: str, **arguments: object) -> dict[str, Any]:
        """What RDS answers to one request; `operation` is spelled as boto3 spells it.

        Raises:
            AuroraUnavailable: after retries, where a retry can help.
        """
        with _named(operation, self.region):
            answer: dict[str, Any] = getattr(self._client, operation)(**arguments)
            return answer

    def all(self, operation: str, key: str, **arguments: object) -> Iterator[dict[str, Any]]:
        """Every record of a listing, over all its pages.

        Args:
            key: what RDS calls the list.

        Raises:
            AuroraUnavailable: see `call`.
        """
        with _named(operation, self.region):
            for page in self._client.get_paginator(operation).paginate(**arguments):
                yield from page[key]


def in_utc(moment: datetime | None) -> datetime | None:
    """A time of AWS's, which boto3 gives in this machine's zone, in UTC."""
    return None if moment is None else moment.astimezone(UTC)


def _client(region: str | None) -> Any:  # noqa: ANN401 - boto3 is untyped
    return aws.client(
        "rds", region, raising=AuroraUnavailable, region_setting="GREENLANG_AURORA_REGION"
    )


@contextmanager
def _named(operation: str, region: str) -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415
    from botocore.parsers import ResponseParserError  # noqa: PLC0415

    try:
        yield
    except ClientError as error:
        details = error.response.get("Error", {})
        code, words = str(details.get("Code", "")), str(details.get("Message", error))
        raise _unavailable(operation, region, code, words) from None
    except (BotoCoreError, ResponseParserError) as error:
        raise _unavailable(operation, region, type(error).__name__, str(error)) from None


def _unavailable(operation: str, region: str, code: str, words: str) -> AuroraUnavailable:
    return AuroraUnavailable(
        f"AWS RDS in {region} did not {operation.replace('_', ' ')}: {said(words)} ({code}).",
        _REMEDIES.get(code, ""),
        code=code,
    )
