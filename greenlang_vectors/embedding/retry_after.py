"""How long a server asks to be left alone, read from the headers of its reply."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds until the next try is welcome; None if the headers (lower case) do not say.

    `retry-after-ms` comes before `retry-after` (seconds or a date, RFC 9110 10.2.3). Without
    them OpenAI's limits answer: that of the tokens, and that of the requests once none is left
    (https://developers.openai.com/api/docs/guides/rate-limits).
    """
    resets = [_duration(headers.get("x-ratelimit-reset-tokens", ""))]
    if headers.get("x-ratelimit-remaining-requests") == "0":
        resets.append(_duration(headers.get("x-ratelimit-reset-requests", "")))
    asked = (
        _number(headers.get("retry-after-ms", "")) / 1000
        or _number(headers.get("retry-after", ""))
        or _until(headers.get("retry-after", ""))
        or max(resets)
    )
    return asked or None


def _number(value: str) -> float:
    """The number, or 0 if it is none to wait for."""
    with suppress(ValueError):
        number = float(value)
        return number if number > 0 and isfinite(number) else 0.0
    return 0.0


def _until(date: str) -> float:
    """Seconds from now to an HTTP date, or 0."""
    with suppress(ValueError):
        moment = parsedate_to_datetime(date)
        return max(0.0, (moment.astimezone(UTC) - datetime.now(UTC)).total_seconds())
    return 0.0


def _duration(value: str) -> float:
    """Seconds of a duration such as "1h2m3.5s" or "20ms"; 0 if it is none."""
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(value))
