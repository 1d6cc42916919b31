"""Buckets of a stand-in for AWS, over HTTP, that refuse what a test wants refused."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest

from greenlang_vectors import aws

Client = Any
"""boto3 carries no types."""

Refuse = Callable[..., None]


@pytest.fixture
def s3(aws_server: None) -> Client:  # noqa: ARG001 - it sets the environment
    return aws.client("s3")


@pytest.fixture
def bucket(s3: Client) -> str:
    name = f"regulations-{uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
def put(s3: Client, bucket: str) -> Callable[[str, str | bytes], None]:
    """Writes an object of the bucket."""

    def write(key: str, content: str | bytes) -> None:
        body = content.encode() if isinstance(content, str) else content
        s3.put_object(Bucket=bucket, Key=key, Body=body)

    return write


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The operations that clients made from now on ask for, in order."""
    made: list[str] = []
    _hook(
        monkeypatch,
        lambda events: events.register("before-call.*", lambda model, **_: made.append(model.name)),
    )
    return made


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Listings come two objects a page."""
    _hook(
        monkeypatch,
        lambda events: events.register(
            "provide-client-params.s3.ListObjectsV2",
            lambda params, **_: {**params, "MaxKeys": 2},
        ),
    )


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Refuse:
    """Has clients made from now on meet an error where the URL of a request holds these words."""
    refused: list[tuple[str, str, int]] = []
    monkeypatch.setattr(aws, "ATTEMPTS", 1)

    def answer(request: Any, **_: object) -> object:  # noqa: ANN401
        from botocore.awsrequest import AWSResponse

        for words, code, status in refused:
            if words in request.url:
                body = f"<Error><Code>{code}</Code><Message>On purpose</Message></Error>"
                return AWSResponse(request.url, status, {}, _Raw(body.encode()))
        return None

    _hook(monkeypatch, lambda events: events.register("before-send.*", answer))
    return lambda words, code, status: refused.append((words, code, status))


class _Raw(io.BytesIO):
    def stream(self, *_: object, **__: object) -> Iterator[bytes]:
        yield self.read()


def _hook(monkeypatch: pytest.MonkeyPatch, register: Callable[[Any], None]) -> None:
    really = aws.client

    def client(service: str) -> Client:
        made = really(service)
        register(made.meta.events)
        return made

    monkeypatch.setattr(aws, "client", client)
