"""What the caller may use: namespaces and collections."""

from __future__ import annotations

from fastapi import APIRouter

from greenlang_vectors.api import files, schemas
from greenlang_vectors.api.caller import Calling
from greenlang_vectors.api.service import Answer, Service, failures
from greenlang_vectors.store import collections, documents, namespaces
from greenlang_vectors.store.records import newest_search_quality

router = APIRouter(tags=["registry"])


@router.get(
    "/v1/namespaces",
    response_class=Answer,
    responses={200: {"model": schemas.Namespaces}, **failures()},
)
def list_namespaces(caller: Calling, service: Service) -> Answer:
    """The namespaces the caller may read or write, and no others."""
    found = []
    with service.database.reading() as connection:
        for each in namespaces.list_all(connection):
            if not (caller.may("read", each.name) or caller.may("write", each.name)):
                continue
            serving = collections.serving(connection, each.name)
            found.append(
                {
                    "namespace": each.name,
                    "collection": None if serving is None else serving.name,
                    "documents": documents.totals(connection, each.name)[0],
                    "uploads": files.folder_of(each.source_uri) is not None,
                }
            )
    return Answer({"namespaces": found})


@router.get(
    "/v1/collections",
    response_class=Answer,
    responses={200: {"model": schemas.Collections}, **failures()},
)
def list_collections(caller: Calling, service: Service) -> Answer:
    """The collections of the namespaces the caller may read, and no others."""
    found = []
    with service.database.reading() as connection:
        for each in collections.list_all(connection):
            if not caller.may("read", each.namespace):
                continue
            measured = newest_search_quality(connection, each.leaf)
            found.append(
                {
                    "name": each.name,
                    "namespace": each.namespace,
                    "description": each.description,
                    "model": each.model,
                    "dimensions": each.dimensions,
                    "serving": each.serving,
                    "index": each.index.as_json(),
                    "recall_at_10": None if measured is None else measured.recall_at_10,
                }
            )
    return Answer({"collections": found})
