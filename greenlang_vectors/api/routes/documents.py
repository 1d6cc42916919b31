"""Documents: uploading, following, reading and deleting them."""

from __future__ import annotations

from dataclasses import asdict
from http import HTTPStatus
from typing import Annotated, Literal
from uuid import UUID

import psycopg
from fastapi import APIRouter, File, Form, HTTPException, Query, UploadFile
from starlette.responses import Response

from greenlang_vectors.api import files, schemas
from greenlang_vectors.api.caller import Calling
from greenlang_vectors.api.service import Answer, Service, failures
from greenlang_vectors.documents.source import FolderSource
from greenlang_vectors.store import documents, namespaces, uploads
from greenlang_vectors.store.documents import SOURCE_TYPE
from greenlang_vectors.store.encryption.data_keys import cipher_of
from greenlang_vectors.store.identity import document_id

router = APIRouter(tags=["documents"])

SANDBOX = "sandbox; default-src 'none'; style-src 'unsafe-inline'"
"""A document is shown as it is, and nothing in it runs or is fetched."""

SourceType = Annotated[
    str, Query(max_length=50, description="PRD 6.1; a file's is document.", examples=[SOURCE_TYPE])
]


@router.post(
    "/v1/documents",
    status_code=HTTPStatus.ACCEPTED,
    response_class=Answer,
    responses={202: {"model": schemas.Accepted}, **failures(400, 404, 409, 413)},
)
def upload(
    caller: Calling,
    service: Service,
    namespace: Annotated[str, Form(max_length=200, examples=["csrd"])],
    file: Annotated[UploadFile, File(description="PDF, HTML, Markdown or plain text.")],
    name: Annotated[
        str | None,
        Form(
            max_length=files.LONGEST_NAME,
            description="Its path in the source, such as 2024/report.pdf; the file's name if left"
            " out. A document of the same name is replaced.",
        ),
    ] = None,
) -> Answer:
    """Store a document in the namespace's source; the pipeline reads it from there."""
    caller.require("write", namespace)
    key = files.safe_name(name or file.filename or "")
    with service.database.connection() as connection:
        folder = _folder(connection, namespace)
    if folder is None:
        raise HTTPException(
            HTTPStatus.CONFLICT,
            "The namespace takes no uploads: its source is no folder. An operator can give it one"
            " with `greenlang-vectors namespaces add NAME --source FOLDER`.",
        )
    with (
        files.arriving(folder, key, file.file, service.settings.max_document_bytes) as arrived,
        service.database.connection() as connection,
        connection.transaction(),
    ):
        job = uploads.record(
            connection, namespace, key, file_hash=arrived.file_hash, size_bytes=arrived.size
        )
        arrived.settle()
    return Answer(
        {"job": job, "namespace": namespace, "document": key, "size_bytes": arrived.size},
        HTTPStatus.ACCEPTED,
        {"Location": f"/v1/jobs/{job}"},
    )


@router.get(
    "/v1/jobs/{job}",
    response_class=Answer,
    responses={200: {"model": schemas.Job}, **failures(404)},
)
def job_state(job: UUID, caller: Calling, service: Service) -> Answer:
    """How far an upload is; one of a namespace that the caller may not read is not there."""
    caller.require("read")
    with service.database.connection() as connection:
        found = uploads.find(connection, job, caller.namespaces)
    if found is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "There is no job of this id.")
    return Answer(asdict(found))


@router.get(
    "/v1/documents/{namespace}/{key:path}",
    response_class=Response,
    responses={
        200: {
            "description": "The source as it is, or its text.",
            "content": {
                media_type: {"schema": {"type": "string"}}
                for media_type in ("application/pdf", "text/html", "text/markdown", "text/plain")
            },
        },
        **failures(404),
    },
)
def read_document(
    namespace: str,
    key: str,
    caller: Calling,
    service: Service,
    source_type: SourceType = SOURCE_TYPE,
    form: Annotated[
        Literal["source", "text"],
        Query(description="The file as it came, where there is one, or the extracted text."),
    ] = "source",
) -> Response:
    """Open the source of a passage."""
    caller.require("read", namespace)
    identity = document_id(namespace, source_type, key)
    with service.database.reading() as connection:
        folder = _folder(connection, namespace)
        origin = _origin(connection, namespace, identity)
        if origin is None:
            raise _no_document()
        data = None
        if form == "source" and origin == "source" and folder is not None:
            data = files.read(folder, key, service.settings.max_document_bytes)
        if data is None:
            found = documents.load(
                connection, namespace, identity, cipher_of(connection, namespace)
            )
            if found is None:
                raise _no_document()
            return Response(found.text, media_type="text/plain; charset=utf-8")
    media_type = files.media_type(key)
    if media_type == "application/pdf":
        return Response(data, media_type=media_type)
    return Response(data, headers={"Content-Type": media_type, "Content-Security-Policy": SANDBOX})


@router.delete(
    "/v1/documents/{namespace}/{key:path}",
    status_code=HTTPStatus.NO_CONTENT,
    response_class=Response,
    responses=failures(404, 409),
)
def delete_document(
    namespace: str,
    key: str,
    caller: Calling,
    service: Service,
    source_type: SourceType = SOURCE_TYPE,
) -> Response:
    """Remove a document with its passages and embeddings, and its file, for good."""
    caller.require("write", namespace)
    identity = document_id(namespace, source_type, key)
    with service.database.connection() as connection:
        folder = _folder(connection, namespace)
        origin = _origin(connection, namespace, identity)
        if origin == "source" and folder is None:
            raise HTTPException(
                HTTPStatus.CONFLICT,
                "The document comes from a source that the service cannot change.",
            )
        removed = origin in {None, "source"} and source_type == SOURCE_TYPE and _unlink(folder, key)
        if origin is None and not removed:
            raise _no_document()
        documents.remove(
            connection,
            namespace,
            identity,
            cache_seconds=service.settings.embedding_cache_seconds,
        )
        uploads.forget(connection, namespace, key)
    return Response(status_code=HTTPStatus.NO_CONTENT)


def _folder(connection: psycopg.Connection, namespace: str) -> FolderSource | None:
    """Where the namespace's files are; None where it has no folder.

    Raises:
        UnknownNamespace: it is not registered.
    """
    return files.folder_of(namespaces.get(connection, namespace).source_uri)


def _origin(connection: psycopg.Connection, namespace: str, identity: UUID) -> str | None:
    row = connection.execute(
        "SELECT origin FROM documents WHERE namespace = %s AND id = %s", [namespace, identity]
    ).fetchone()
    return None if row is None else str(row[0])


def _unlink(folder: FolderSource | None, key: str) -> bool:
    return folder is not None and files.delete(folder, key)


def _no_document() -> HTTPException:
    return HTTPException(HTTPStatus.NOT_FOUND, "There is no document of this name.")
