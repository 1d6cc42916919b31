"""What the endpoints work with: the parts of one running service."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import anyio
from fastapi import Depends, Request
from starlette.responses import JSONResponse

from greenlang_vectors.api.metrics import Metrics
from greenlang_vectors.api.problems import Problem
from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.migration.router import MigratingSearch
from greenlang_vectors.search.log import SearchLog
from greenlang_vectors.settings import Settings
from greenlang_vectors.store.database import Database


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of one service.

    Attributes:
        embedders: without the database's cache: it is shared, and how fast a text is embedded
            would tell whether another tenant stores it.
        probes: threads of readiness checks, so that these are answered while all others wait.
    """

    settings: Settings
    database: Database
    embedders: Embedders
    engine: MigratingSearch
    log: SearchLog
    metrics: Metrics
    probes: anyio.CapacityLimiter


async def _parts(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


Service = Annotated[Parts, Depends(_parts)]
"""The service's parts, as an endpoint takes them."""


class Answer(JSONResponse):
    """JSON that is written straight away; what it holds is known to fit its description."""

    def render(self, content: Any) -> bytes:  # noqa: ANN401 - what JSON holds
        """See `Response.render`."""
        return json.dumps(
            content, default=_text, ensure_ascii=False, allow_nan=False, separators=(",", ":")
        ).encode()


def _text(value: object) -> str:
    """What JSON has no form of: times as RFC 3339 has them, ids."""
    return value.isoformat() if isinstance(value, datetime) else str(value)


def failures(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's description of the failures of an endpoint, beside those that any may have."""
    content = {"application/problem+json": {"schema": Problem.model_json_schema()}}
    return {
        status: {"description": _MEANINGS[status], "content": content}
        for status in (401, 403, 422, 429, 503, *statuses)
    }


_MEANINGS = {
    400: "The body cannot be read.",
    401: "No valid credential.",
    403: "The credential does not reach so far.",
    404: "There is none.",
    409: "It cannot be in the state things are in.",
    413: "The body is too large.",
    422: "The request cannot be.",
    429: "Too many requests; Retry-After says when.",
    503: "Not at the moment; Retry-After says when.",
}
