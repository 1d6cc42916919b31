"""Embedding jobs: what was embedded and stored in the namespaces the caller may read, and how."""

from __future__ import annotations

from dataclasses import asdict
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, HTTPException, Query

from greenlang_vectors.api import schemas
from greenlang_vectors.api.caller import Caller, Calling
from greenlang_vectors.api.service import Answer, Service, failures
from greenlang_vectors.store import jobs, namespaces
from greenlang_vectors.store.jobs import Job, Status

router = APIRouter(tags=["jobs"])


@router.get(
    "/v1/embedding-jobs",
    response_class=Answer,
    responses={200: {"model": schemas.EmbeddingJobs}, **failures(404)},
)
def list_jobs(
    caller: Calling,
    service: Service,
    namespace: Annotated[
        str | None, Query(max_length=200, description="Only of this one.", examples=["csrd"])
    ] = None,
    status: Annotated[
        Status | None, Query(description="Only those that are so; stuck: killed and left.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=100, description="The most jobs of a page.")] = 20,
    after: Annotated[UUID | None, Query(description="`next` of the page before.")] = None,
) -> Answer:
    """Runs of embedding work and writes of applications, the newest first."""
    caller.require("read", namespace)
    with service.database.connection() as connection:
        among = caller.namespaces
        if namespace is not None:
            among = frozenset({namespaces.get(connection, namespace).name})
        found = jobs.newest(connection, among, status, after=after, most=limit + 1)
    shown = found[:limit]
    return Answer(
        {
            "jobs": [_shown(job, caller) for job in shown],
            "next": shown[-1].id if len(found) > limit else None,
        }
    )


@router.get(
    "/v1/embedding-jobs/{job}",
    response_class=Answer,
    responses={200: {"model": schemas.EmbeddingJob}, **failures(404)},
)
def read_job(job: UUID, caller: Calling, service: Service) -> Answer:
    """One of them; of a namespace that the caller may not read, there is none."""
    caller.require("read")
    with service.database.connection() as connection:
        found = jobs.find(connection, job, caller.namespaces)
    if found is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "There is no job of this id.")
    return Answer(_shown(found, caller))


def _shown(job: Job, caller: Caller) -> dict[str, Any]:
    """The job; paths, topics and an error's words may name machines, and are the operators'."""
    hidden = () if caller.may("admin", job.namespace) else ("source", "error_message")
    return {**asdict(job), **dict.fromkeys(hidden)}
