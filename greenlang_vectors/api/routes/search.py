"""Searching, and embedding texts."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter

from greenlang_vectors.api import schemas
from greenlang_vectors.api.caller import Calling
from greenlang_vectors.api.service import Answer, Parts, Service, failures
from greenlang_vectors.errors import UsageError
from greenlang_vectors.search.model import SearchAnswer, SearchRequest
from greenlang_vectors.store import collections, namespaces

router = APIRouter(tags=["search"])

PASSAGE = tuple(schemas.Passage.model_fields)
ANSWER = tuple(name for name in schemas.SearchAnswered.model_fields if name != "results")


@router.post(
    "/v1/search",
    response_class=Answer,
    responses={200: {"model": schemas.SearchAnswered}, **failures(400, 404, 413)},
)
def search(body: schemas.Search, caller: Calling, service: Service) -> Answer:
    """Find the passages that answer a question."""
    caller.require("read", body.namespace)
    return _answer(service, body.as_request(), caller.id)


@router.post(
    "/v1/search/hybrid",
    response_class=Answer,
    responses={200: {"model": schemas.SearchAnswered}, **failures(400, 404, 413)},
)
def search_hybrid(body: schemas.HybridSearch, caller: Calling, service: Service) -> Answer:
    """Find passages by vectors and by words, fused by rank (PRD 8.1.3)."""
    caller.require("read", body.namespace)
    return _answer(service, body.as_request(), caller.id)


@router.post(
    "/v1/embeddings",
    response_class=Answer,
    responses={200: {"model": schemas.Embedded}, **failures(400, 404, 413)},
)
def embed(body: schemas.Embed, caller: Calling, service: Service) -> Answer:
    """Embed texts with the model of a namespace, or with the service's own."""
    caller.require("read", body.namespace)
    began = time.perf_counter()
    embedder = service.embedders.open(service.embedders.default)
    if body.namespace is not None:
        with service.database.reading() as connection:
            serving = collections.serving(connection, body.namespace)
            if serving is None:
                namespaces.get(connection, body.namespace)
            else:
                embedder = service.embedders.of(serving)
    batch = embedder.embed(body.texts)
    for index, error in batch.failures.items():
        raise UsageError(f"Text {index} cannot be embedded: {error}")
    return Answer(
        {
            "model": embedder.model.spec.name,
            "dimensions": embedder.model.spec.dimensions,
            "embeddings": batch.vectors.tolist(),
            "embed_ms": (time.perf_counter() - began) * 1000,
        }
    )


def _answer(service: Parts, request: SearchRequest, user: str) -> Answer:
    try:
        answer = service.engine.search(request, user)
    except UsageError:
        raise
    except Exception as error:
        service.metrics.failed(request.mode, error)
        raise
    service.metrics.searched(request.namespace, answer)
    return Answer(_as_json(answer))


def _as_json(answer: SearchAnswer) -> dict[str, Any]:
    results = [{name: getattr(each, name) for name in PASSAGE} for each in answer.results]
    for result in results:
        result["parent"] = result["parent"] and asdict(result["parent"])
    return {"results": results, **{name: getattr(answer, name) for name in ANSWER}}
