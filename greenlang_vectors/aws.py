"""Clients of AWS, and what their errors say: boto3, which comes with the extra `aws`.

Credentials, endpoint and, by default, the region are as boto3 finds them: the AWS_* environment
variables, a profile, or the role of the machine or pod.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

from greenlang_vectors.errors import GreenLangError, UsageError, said

CONNECT_SECONDS = 10
READ_SECONDS = 60
ATTEMPTS = 5
"""Of one request, unless AWS_MAX_ATTEMPTS says otherwise: boto3 repeats what can be repeated, after
longer and longer waits."""

USER_AGENT = "greenlang-vectors"
"""By which CloudTrail tells these requests from others of the same role."""

_making = threading.Lock()
"""boto3 makes clients in one thread at a time."""


def client(
    service: str,
    region: str | None = None,
    *,
    raising: Callable[[str, str], GreenLangError] = UsageError,
    region_setting: str = "AWS_REGION",
) -> Any:  # noqa: ANN401 - boto3 carries no types
    """A client of one service, such as "s3".

    Args:
        region: None for the one boto3 finds.
        raising: the error of whoever cannot go on without it.
        region_setting: what names the region where none is found.

    Raises:
        UsageError, or what `raising` makes: boto3 is not installed, no region is known, or AWS's
            profiles cannot be read.
    """
    try:
        import boto3  # noqa: PLC0415 - loads slowly
        from botocore.config import Config  # noqa: PLC0415
        from botocore.exceptions import BotoCoreError, NoRegionError  # noqa: PLC0415
    except ImportError:
        raise raising(
            f"AWS {service.upper()} is asked for, but boto3 is not installed.",
            "Install greenlang-vectors[aws].",
        ) from None
    retries: dict[str, object] = {"mode": "standard"}
    if "AWS_MAX_ATTEMPTS" not in os.environ:
        retries["total_max_attempts"] = ATTEMPTS
    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries=retries,
        user_agent_extra=USER_AGENT,
    )
    try:
        with _making:
            return boto3.client(service, region_name=region, config=config)
    except BotoCoreError as error:
        raise raising(
            f"No client of AWS {service.upper()} can be made: {said(error)}.",
            f"Set {region_setting}."
            if isinstance(error, NoRegionError)
            else "Check AWS_PROFILE and AWS's files of configuration.",
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
