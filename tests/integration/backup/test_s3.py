"""A bucket as the backup location, over HTTP: moto's server, and one that fails on purpose."""

from __future__ import annotations

import hashlib
import random
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

import pytest

from greenlang_vectors.backup import exports, pruning
from greenlang_vectors.backup.drill import drill
from greenlang_vectors.backup.export import create
from greenlang_vectors.lifecycle import location as locations
from greenlang_vectors.lifecycle.location import LocationUnavailable, open_location
from greenlang_vectors.settings import Settings, get_settings

from .conftest import Filled

pytestmark = pytest.mark.integration

BUCKET = "greenlang-backups"

Client = Any
"""boto3 carries no types."""


@pytest.fixture
def s3(aws_server: None) -> Client:  # noqa: ARG001 - it sets the environment
    import boto3

    client = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET)
    return client


@pytest.fixture
def where(s3: Client) -> str:  # noqa: ARG001
    return f"s3://{BUCKET}/{uuid4().hex}"


@pytest.fixture
def in_bucket(settings: Settings, where: str) -> Settings:
    return settings.model_copy(update={"backup_location": where})


def test_an_export_goes_to_a_bucket_encrypted_and_is_proven_from_there(
    filled: Filled,
    in_bucket: Settings,
    s3: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import boto3

    kms_key = boto3.client("kms").create_key()["KeyMetadata"]["Arn"]
    monkeypatch.setenv("GREENLANG_BACKUP_KMS_KEY", kms_key)
    get_settings.cache_clear()
    try:
        location = open_location(in_bucket.backup_location)
    finally:
        monkeypatch.delenv("GREENLANG_BACKUP_KMS_KEY")
        get_settings.cache_clear()
    made = create(filled.database, location, filled.name, settings=in_bucket)
    assert made is not None
    prefix = in_bucket.backup_location.rpartition("/")[2]
    for found in s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix)["Contents"]:
        head = s3.head_object(Bucket=BUCKET, Key=found["Key"])
        assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", kms_key)
    held = drill(filled.database, location, made.export, settings=in_bucket)
    assert held.passed
    assert exports.newest(location, filled.name, good=True).id == made.export


def test_a_large_object_goes_in_parts_and_is_read_back(where: str, s3: Client) -> None:
    location = open_location(where)
    data = random.Random(3).randbytes(2 * locations.PART_BYTES + 12345)
    written = location.put_stream(
        "pgvector/x/dump", (data[i : i + 999_999] for i in range(0, len(data), 999_999))
    )
    assert written.size_bytes == len(data)
    assert written.sha256 == hashlib.sha256(data).hexdigest()
    blocks = location.stream("pgvector/x/dump")
    assert blocks is not None
    assert b"".join(blocks) == data
    key = f"{where.rpartition('/')[2]}/pgvector/x/dump"
    assert s3.head_object(Bucket=BUCKET, Key=key)["ETag"].endswith('-3"')
    assert location.stream("pgvector/x/other") is None


def test_blocks_that_break_off_leave_no_object_and_an_old_upload_is_aborted(
    filled: Filled,
    in_bucket: Settings,
    s3: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    location = open_location(in_bucket.backup_location)

    def blocks() -> Iterator[bytes]:
        yield b"x" * (locations.PART_BYTES + 1)
        raise ValueError("broke off")

    with pytest.raises(ValueError, match="broke off"):
        location.put_stream("pgvector/x/dump", blocks())
    assert location.keys("pgvector") == []
    prefix = in_bucket.backup_location.rpartition("/")[2]
    s3.create_multipart_upload(Bucket=BUCKET, Key=f"{prefix}/pgvector/y/dump")
    s3.create_multipart_upload(Bucket=BUCKET, Key="somebody/else")

    def uploads() -> list[str]:
        found = s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
        return sorted(each["Key"] for each in found)

    def run(*, delete: bool) -> tuple[str, ...]:
        with filled.database.connect() as connection:
            return pruning.prune(
                connection,
                location,
                settings=in_bucket,
                now=datetime.now(UTC),
                delete=delete,
            ).uploads

    assert uploads() == [f"{prefix}/pgvector/y/dump", "somebody/else"]
    with monkeypatch.context() as patch:  # the stand-in has every upload begin in 2010
        patch.setattr(pruning, "UNFINISHED", timedelta(days=36_500))
        assert run(delete=True) == ()
    assert run(delete=False) == (f"{prefix}/pgvector/y/dump",)
    assert uploads() == [f"{prefix}/pgvector/y/dump", "somebody/else"]
    assert run(delete=True) == (f"{prefix}/pgvector/y/dump",)
    assert uploads() == ["somebody/else"]


class Refusing(BaseHTTPRequestHandler):
    """Answers every request with the same error, as S3 words it."""

    status, code = 403, "ExpiredToken"

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        body = (
            f"<?xml version='1.0'?><Error><Code>{self.code}</Code>"
            f"<Message>The provided token has expired.</Message></Error>"
        ).encode()
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int, str], None]]:
    """An S3 that refuses everything from now on with this status and code."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def refuse(status: int, code: str) -> None:
        monkeypatch.setattr(Refusing, "status", status)
        monkeypatch.setattr(Refusing, "code", code)
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")

    yield refuse
    server.shutdown()
    server.server_close()


def unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{taken.getsockname()[1]}")


@pytest.mark.parametrize("failure", ["expired", "throttled", "unreachable"])
def test_a_bucket_that_fails_is_a_clear_error_and_what_was_exported_stays(
    filled: Filled,
    in_bucket: Settings,
    failure: str,
    refusing: Callable[[int, str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    good = open_location(in_bucket.backup_location)
    before = create(filled.database, good, filled.name, settings=in_bucket)
    assert before is not None
    monkeypatch.setattr(locations, "RETRY_SECONDS", 1)
    if failure == "expired":
        refusing(403, "ExpiredToken")
    elif failure == "throttled":
        refusing(503, "SlowDown")
    else:
        unreachable(monkeypatch)
    failing = open_location(in_bucket.backup_location)
    with pytest.raises(LocationUnavailable, match="GREENLANG_BACKUP_LOCATION") as caught:
        create(filled.database, failing, filled.name, settings=in_bucket)
    assert "\n" not in str(caught.value)
    if failure == "expired":
        assert "ExpiredToken" in str(caught.value) or "403" in str(caught.value)
    assert [each.id for each in exports.list_exports(good)] == [before.export]
    with filled.database.connect() as connection:
        waiting = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'pg_dump%'"
            " OR backend_xmin IS NOT NULL AND pid <> pg_backend_pid()"
            " AND datname = current_database()"
        ).fetchone()
    assert waiting == (0,)
