"""The application: endpoints, what stands before them, and what is closed after the last."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from fastapi import FastAPI, Security
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from greenlang_vectors.api import problems
from greenlang_vectors.api.auth import Authenticator, Gate, KeyRing
from greenlang_vectors.api.limits import BodyLimit, RateLimiter
from greenlang_vectors.api.metrics import Metrics
from greenlang_vectors.api.observe import Observe
from greenlang_vectors.api.routes import documents, jobs, operations, page, registry, search
from greenlang_vectors.api.service import Parts
from greenlang_vectors.api.tokens import Tokens
from greenlang_vectors.embedding.embedders import Embedders, embedders_of
from greenlang_vectors.errors import GreenLangError, UsageError
from greenlang_vectors.migration.router import MigratingSearch
from greenlang_vectors.search.engine import SearchEngine
from greenlang_vectors.search.log import SearchLog
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import api_keys
from greenlang_vectors.store.database import Database

logger = logging.getLogger(__name__)

VERSION = "1"
GUARDED = [Security(HTTPBearer(auto_error=False, description="An API key, or a token."))]


def create_app(
    database: Database,
    settings: Settings,
    *,
    authentication: bool = True,
    embedders: Embedders | None = None,
) -> FastAPI:
    """The application over this database.

    Args:
        database: closed with the application.
        authentication: whether a credential is asked for; without, only this machine is served.
        embedders: those of the settings if None.

    Raises:
        UsageError: settings that cannot be used together.
    """
    embedders = embedders or embedders_of(database, settings, cache_seconds=None)
    log = SearchLog(database, settings)
    engine = MigratingSearch(
        SearchEngine(database, embedders, settings, log), database, embedders, settings, log
    )
    parts = Parts(
        settings=settings,
        database=database,
        embedders=embedders,
        engine=engine,
        log=log,
        metrics=Metrics(
            database.endpoints, lambda: log.dropped, lambda: engine.shadow_reads_dropped
        ),
        probes=anyio.CapacityLimiter(2),
    )
    app = FastAPI(
        title="GreenLang vectors",
        version=VERSION,
        description="Searches sustainability regulation, and takes in documents to be searched.",
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
        redirect_slashes=False,
        telemetry={"operation_spans": False, "logs": False},
    )
    app.state.parts = parts
    app.add_exception_handler(HTTPException, problems.handle)
    app.add_exception_handler(RequestValidationError, problems.handle)
    for router in (search.router, documents.router, jobs.router, registry.router):
        app.include_router(router, dependencies=GUARDED)
    app.include_router(operations.router)
    app.include_router(page.router)
    app.add_middleware(
        Gate,
        authenticator=_authenticator(database, settings) if authentication else None,
        limiter=RateLimiter(settings.api_rate_limit, settings.redis_url),
        guarded=("/v1/", "/metrics") if settings.api_metrics == "admin" else ("/v1/",),
    )
    app.add_middleware(
        BodyLimit,
        most=settings.api_max_request_bytes,
        most_upload=settings.max_document_bytes,
    )
    if origins := [each.strip() for each in settings.api_cors_origins.split(",") if each.strip()]:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "X-API-Key", "X-Request-ID"],
            expose_headers=["X-Request-ID", "Retry-After", "Location"],
        )
    app.add_middleware(Observe, metrics=parts.metrics)
    return app


def check_credentials(database: Database, settings: Settings) -> None:
    """Refuse to serve what nobody could call.

    Raises:
        UsageError: there is neither a key nor a place where those of tokens are published.
    """
    if settings.api_jwks_url is None:
        with database.connection() as connection:
            if not api_keys.usable(connection):
                raise UsageError(
                    "There is no API key that callers could use.",
                    "Create one: greenlang-vectors api-keys create NAME --namespace NAMESPACE.",
                )


def _authenticator(database: Database, settings: Settings) -> Authenticator:
    tokens = None
    if settings.api_jwks_url is not None:
        if settings.api_jwt_audience is None:
            raise UsageError(
                "GREENLANG_API_JWKS_URL without GREENLANG_API_JWT_AUDIENCE would take tokens that"
                " were made for other services.",
                "Set GREENLANG_API_JWT_AUDIENCE to what the provider calls this one.",
            )
        tokens = Tokens(settings.api_jwks_url, settings.api_jwt_issuer, settings.api_jwt_audience)
    return Authenticator(KeyRing(database), tokens)


def warm(embedders: Embedders) -> None:
    """Load the weights of the service's own model, so that no caller waits for them."""
    try:
        embedders.open(embedders.default).embed(["warm"])
    except GreenLangError as error:
        logger.warning("The embedding model cannot be loaded: %s", error)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Close what is open after the last request."""
    try:
        yield
    finally:
        await asyncio.to_thread(_close, app.state.parts)


def _close(parts: Parts) -> None:
    parts.engine.close()
    parts.log.close()
    parts.database.close()
