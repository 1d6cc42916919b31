"""An S3 bucket as the backup location: the same archives, over HTTP, against moto's server."""

from __future__ import annotations

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
def location(aws_server: None) -> Location:  # noqa: ARG001 - it sets the environment
    import boto3

    boto3.client("s3").create_bucket(Bucket="greenlang-backups")
    return open_location(f"s3://greenlang-backups/{uuid4().hex}")


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
