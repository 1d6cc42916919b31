"""Clients of AWS, and what their errors say: boto3, which comes with the extra `aws`.

Credentials, region and endpoint are as boto3 finds them: the AWS_* environment variables, a
profile, or the role of the machine or pod.
"""

from __future__ import annotations

from typing import Any

from greenlang_vectors.errors import UsageError, said

CONNECT_SECONDS = 10
READ_SECONDS = 60
ATTEMPTS = 5
"""Of one request: boto3 repeats what can be repeated, after longer and longer waits."""


def client(service: str) -> Any:  # noqa: ANN401 - boto3 carries no types
    """A client of one service, such as "s3".

    Raises:
        UsageError: boto3 is not installed, or no region is known.
    """
    try:
        import boto3  # noqa: PLC0415 - loads slowly
        from botocore.config import Config  # noqa: PLC0415
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415
    except ImportError:
        raise UsageError(
            f"AWS {service.upper()} is asked for, but boto3 is not installed.",
            "Install greenlang-vectors[aws].",
        ) from None
    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
    )
    try:
        return boto3.client(service, config=config)
    except BotoCoreError as error:
        raise UsageError(
            f"No client of AWS {service.upper()} can be made: {said(error)}.", "Set AWS_REGION."
        ) from error


def failures() -> tuple[type[Exception], ...]:
    """What a request raises that AWS refuses, or that does not reach it."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    return BotoCoreError, ClientError


def broken_off() -> tuple[type[Exception], ...]:
    """What reading an answer raises that breaks off or is damaged: boto3 does not repeat that."""
    from botocore.exceptions import (  # noqa: PLC0415
        FlexibleChecksumError,
        IncompleteReadError,
        ReadTimeoutError,
        ResponseStreamingError,
    )

    return (
        FlexibleChecksumError,
        IncompleteReadError,
        ReadTimeoutError,
        ResponseStreamingError,
    )


def code(error: Exception) -> str:
    """AWS's word for why it refused ("AccessDenied"); "" where it was not reached."""
    response: dict[str, Any] = getattr(error, "response", {})
    return str(response.get("Error", {}).get("Code", ""))
