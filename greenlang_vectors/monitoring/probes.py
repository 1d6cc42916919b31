"""What Prometheus saw of the database and the API, scrape by scrape: the probes of a month."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from http.client import HTTPException
from urllib.parse import urlencode, urlsplit
from urllib.request import urlopen

from greenlang_vectors.errors import GreenLangError, UsageError

ANSWER_SECONDS = 60


class PrometheusUnavailable(GreenLangError):
    """Prometheus cannot be asked."""


@dataclass(frozen=True, slots=True)
class Uptime:
    """Shares of the scrapes of a time, each None where there was none.

    Attributes:
        database: that found the database answering.
        api: that the API answered.
    """

    database: float | None
    api: float | None


def uptime(prometheus: str, since: datetime, until: datetime) -> Uptime:
    """What was up between these moments, as far as Prometheus remembers.

    Args:
        prometheus: its address, such as http://localhost:9090.

    Raises:
        UsageError: that is no address.
        PrometheusUnavailable: nobody answers there, or not as Prometheus does.
    """
    parts = urlsplit(prometheus)
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
        raise UsageError("That is no address of Prometheus.", "Say http://HOST:PORT.")
    seconds = max(1, round((until - since).total_seconds()))
    return Uptime(
        database=_ask(prometheus, _DATABASE.format(seconds=seconds), until),
        api=_ask(prometheus, _API.format(seconds=seconds), until),
    )


_DATABASE = "avg(avg_over_time(greenlang_vectors_up[{seconds}s]))"
_API = (
    "avg(avg_over_time(up[{seconds}s])"
    " and on (job, instance) count_over_time(pgvector_search_failures_total[{seconds}s]))"
)


def _ask(prometheus: str, expression: str, at: datetime) -> float | None:
    query = urlencode({"query": expression, "time": at.timestamp()})
    url = f"{prometheus.rstrip('/')}/api/v1/query?{query}"
    try:
        with urlopen(url, timeout=ANSWER_SECONDS) as answer:  # noqa: S310 - http or https
            found = json.load(answer)["data"]["result"]
    except (OSError, HTTPException, ValueError, KeyError, TypeError) as error:
        raise PrometheusUnavailable(
            f"Prometheus at {urlsplit(prometheus).netloc} cannot be asked: {error}.",
            "Check the address, or leave --prometheus out.",
        ) from error
    return float(found[0]["value"][1]) if found else None
