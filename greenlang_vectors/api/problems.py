"""Every failure as application/problem+json (RFC 9457).

What an answer says never holds a traceback, SQL, a host or a secret, nor anything of a namespace
the caller may not reach; the log holds the rest, under the request's id.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import psycopg
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.types import Scope

from greenlang_vectors.errors import (
    DatabaseUnavailable,
    EmbeddingFailed,
    ModelUnavailable,
    SourceUnavailable,
    UnknownNamespace,
    UsageError,
)
from greenlang_vectors.store.encryption.errors import KeyUnavailable

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 2
"""How soon a caller may ask again after a failure that passes."""


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str = Field(description="about:blank: the status says what kind of problem it is.")
    title: str = Field(description="The status in words.")
    status: int
    detail: str = Field(description="What happened, and what helps.")
    request_id: str = Field(description="The request's X-Request-ID, as the log has it.")
    errors: list[dict[str, Any]] | None = Field(
        default=None, description="Of a request that is not as the API describes it: where and why."
    )


class ProblemResponse(Response):
    """A problem as the body of an answer."""

    media_type = MEDIA_TYPE


def problem(
    scope: Scope,
    status: int,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    errors: list[dict[str, Any]] | None = None,
) -> Response:
    """The answer to a request that failed.

    Args:
        scope: of the request.
        errors: see `Problem`.
    """
    content = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "request_id": request_id(scope),
        **({} if errors is None else {"errors": errors}),
    }
    return ProblemResponse(json.dumps(content), status, dict(headers or {}))


def request_id(scope: Scope) -> str:
    """The request's id; empty before it has one."""
    return str(scope.get("state", {}).get("request_id", ""))


def answer_to(error: Exception, scope: Scope) -> Response:
    """The answer to a request that ended in this error; what is our fault is logged in full."""
    if isinstance(error, HTTPException):
        detail = error.detail or HTTPStatus(error.status_code).phrase
        return problem(scope, error.status_code, detail, headers=error.headers)
    if isinstance(error, RequestValidationError):
        detail = "The request is not as the API describes it."
        return problem(scope, 422, detail, errors=[_where(each) for each in error.errors()])
    if isinstance(error, UnknownNamespace):
        return problem(scope, 404, "There is no namespace of this name.")
    if (refusal := _refusal(error)) is not None:
        logger.info("%s refused: %s", request_id(scope), ascii(str(error)))
        return problem(scope, 422, refusal)
    logger.error("%s failed", request_id(scope), exc_info=error)
    if (passing := _passing(error)) is not None:
        return problem(scope, 503, passing, headers={"Retry-After": str(RETRY_SECONDS)})
    return problem(scope, 500, "An unexpected error; the service's log has it.")


async def handle(request: Request, error: Exception) -> Response:
    """`answer_to` as FastAPI calls it."""
    return answer_to(error, request.scope)


def _refusal(error: Exception) -> str | None:
    """What to say of something that cannot be asked; None of other errors."""
    match error:
        case UsageError():
            return str(error)
        case psycopg.DataError() | UnicodeEncodeError() | RecursionError():
            return "The request holds text or numbers that cannot be stored or compared."
    return None


def _passing(error: Exception) -> str | None:  # noqa: PLR0911 - one for each kind
    """What to say of a failure that may pass, or that an operator must mend; None of others."""
    match error:
        case DatabaseUnavailable() | psycopg.OperationalError() | psycopg.InterfaceError():
            return "The database does not answer at the moment."
        case ModelUnavailable():
            return "The embedding model of this collection is not available."
        case EmbeddingFailed():
            return "The embedding model gave no usable answer."
        case KeyUnavailable():
            return "The key that opens this namespace's texts is not available."
        case SourceUnavailable():
            return "The source of this namespace cannot be read or written at the moment."
        case psycopg.errors.InsufficientPrivilege() | psycopg.errors.ReadOnlySqlTransaction():
            return "The service may not do this with the database role it has."
    return None


def _where(error: Mapping[str, Any]) -> dict[str, Any]:
    """One validation error, without repeating what was sent."""
    return {"loc": list(error["loc"]), "type": str(error["type"]), "msg": str(error["msg"])}
