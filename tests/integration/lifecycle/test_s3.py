"""An S3 bucket as the backup location: the same archives, over HTTP, against moto's server."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from greenlang_vectors.lifecycle import archive
from greenlang_vectors.lifecycle.location import Location, LocationUnavailable, open_location
from greenlang_vectors.lifecycle.manifest import ArchiveDamaged
from greenlang_vectors.lifecycle.restore import restore
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.leaves import Leaf

from .conftest import HALF_A_YEAR, PASSAGES, rows_of

pytestmark = pytest.mark.integration


@pytest.fixture
def location(monkeypatch: pytest.MonkeyPatch) -> Iterator[Location]:
    boto3 = pytest.importorskip("boto3", reason="needs the extra aws")
    server = pytest.importorskip("moto.server", reason="needs moto[server]")
    running = server.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3").create_bucket(Bucket="greenlang-backups")
    yield open_location(f"s3://greenlang-backups/{uuid4().hex}")
    running.stop()


def test_an_archive_in_a_bucket_returns_bit_by_bit(
    database: Database, location: Location, old_leaf: Leaf
) -> None:
    with database.connect() as connection:
        before = rows_of(connection, old_leaf)
        [report] = archive.archive(database, location, old_leaf.namespace, older_than=HALF_A_YEAR)
        assert rows_of(connection, old_leaf) == {}
        assert restore(database, location, report.archive).restored == PASSAGES
        assert rows_of(connection, old_leaf) == before


def test_an_object_of_a_bucket_is_written_once(location: Location) -> None:
    location.put("archives/x", b"first")
    with pytest.raises(LocationUnavailable, match="archives/x"):
        location.put("archives/x", b"second")
    assert location.get("archives/x") == b"first"
    assert location.get("archives/y") is None


def test_a_bucket_that_is_not_there_is_a_clear_error(location: Location) -> None:
    assert location.keys("archives") == []
    elsewhere = open_location("s3://nobodys-bucket/pgvector")
    with pytest.raises(LocationUnavailable, match="GREENLANG_BACKUP_LOCATION"):
        elsewhere.put("archives/x", b"data")


def test_what_a_bucket_has_lost_is_found(
    database: Database, location: Location, old_leaf: Leaf
) -> None:
    [report] = archive.archive(database, location, old_leaf.namespace, older_than=HALF_A_YEAR)
    parts = [key for key in location.keys("") if key.endswith(".parquet")]
    location.delete(parts[:1])
    with pytest.raises(ArchiveDamaged):
        restore(database, location, report.archive)
