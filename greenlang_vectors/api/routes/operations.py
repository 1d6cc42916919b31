"""For those who run the service: is it alive, is it ready, what are its figures."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import anyio
import anyio.to_thread
import psycopg
from fastapi import APIRouter, Request
from starlette.responses import Response

from greenlang_vectors.api import metrics, schemas
from greenlang_vectors.api.caller import Caller
from greenlang_vectors.api.service import Answer, Parts, Service, failures
from greenlang_vectors.errors import DatabaseUnavailable
from greenlang_vectors.store import schema

router = APIRouter(tags=["operations"])

PROBE_SECONDS = 5


@router.get("/healthz", response_class=Answer, responses={200: {"model": schemas.Health}})
async def health() -> Answer:
    """The process answers; it asks nobody."""
    return Answer({"status": "ok"})


@router.get(
    "/readyz",
    response_class=Answer,
    responses={200: {"model": schemas.Ready}, 503: {"model": schemas.Ready}},
)
async def ready(service: Service) -> Answer:
    """Whether the database can be read, holds this version's schema or a newer one, and has an
    endpoint. While a deployment brings a newer schema, the pods of the version before serve on."""
    found: dict[str, Any] = {"database": False, "schema": False, "endpoint": False}
    with anyio.move_on_after(PROBE_SECONDS):
        found = await anyio.to_thread.run_sync(
            _probe, service, limiter=service.probes, abandon_on_cancel=True
        )
    all_well = all(found.values())
    return Answer(
        {"ready": all_well, "checks": found},
        HTTPStatus.OK if all_well else HTTPStatus.SERVICE_UNAVAILABLE,
    )


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
        **failures(),
    },
)
async def figures(request: Request, service: Service) -> Response:
    """What Prometheus reads; GREENLANG_API_METRICS says who may."""
    if service.settings.api_metrics != "open":
        caller: Caller = request.state.caller
        caller.require("admin")
    return Response(service.metrics.exposition(), headers={"Content-Type": metrics.CONTENT_TYPE})


def _probe(service: Parts) -> dict[str, bool]:
    try:
        with service.database.reading() as connection:
            current = (schema.current(connection) or "") >= schema.head()
    except (DatabaseUnavailable, psycopg.Error):
        return {"database": False, "schema": False, "endpoint": False}
    endpoint = any(each.healthy for each in service.database.endpoints())
    return {"database": True, "schema": current, "endpoint": endpoint}
