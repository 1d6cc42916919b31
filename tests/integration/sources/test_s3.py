"""A bucket as a source: listed whole, read as listed, and what fails deletes nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from greenlang_vectors import aws
from greenlang_vectors.documents.source import ItemVanished, S3Source, SourceItem
from greenlang_vectors.errors import ExtractionError, SourceUnavailable, UsageError
from greenlang_vectors.quality.comparison import held_back
from greenlang_vectors.settings import Settings
from greenlang_vectors.stages.documents import DocumentsReport, load_documents
from greenlang_vectors.store import dead_letters, namespaces
from greenlang_vectors.store.database import Database

from .conftest import Client, Refuse

pytestmark = pytest.mark.integration

LIMIT = 1_000_000
Put = Callable[[str, str], None]


@pytest.fixture
def load(database: Database, bucket: str) -> Callable[[], DocumentsReport]:
    """Runs the documents stage of a namespace whose source is `acts/` of the bucket."""
    with database.connect() as connection:
        namespaces.register(connection, bucket, source_uri=f"s3://{bucket}/acts")
    settings = Settings()
    return lambda: load_documents(
        database, bucket, max_bytes=LIMIT, cache_seconds=settings.embedding_cache_seconds
    )


@pytest.mark.usefixtures("small_pages")
def test_all_objects_below_the_prefix_are_listed_whatever_their_keys_are(
    put: Put, s3: Client, bucket: str
) -> None:
    strange = ["a//b.txt", "x#?&+%41.txt", "ü ä.txt", "tab\t.txt", "./dot.txt", "back\\x41.txt"]
    for key in [*strange, "a/b/c.md", ".hidden", "a/.git/x", "_evaluation/q.jsonl"]:
        put(f"acts/{key}", key)
    put("acts-of-others/no.txt", "no")
    for marker in ("acts/", "acts/folder/"):
        s3.put_object(Bucket=bucket, Key=marker)
    source = S3Source(bucket, "/acts/")
    assert source.uri == f"s3://{bucket}/acts"
    items = {item.key: item for item in source.list()}
    assert list(items) == sorted(items)
    stored = {*strange, "a/b/c.md", "back\\x5cx41.txt"} - {"back\\x41.txt"}
    assert set(items) == stored
    assert {source.read(item, LIMIT).data.decode() for item in items.values()} == {
        *strange,
        "a/b/c.md",
    }
    assert source.read(items["a//b.txt"], LIMIT).name == "b.txt"


def test_an_object_is_read_as_it_was_listed_or_not_at_all(
    put: Put, s3: Client, bucket: str, requests: list[str]
) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    put("acts/a.txt", "one")
    put("acts/b.txt", "two")
    source = S3Source(bucket, "acts")
    first, second = source.list()
    put("acts/a.txt", "another")
    s3.delete_object(Bucket=bucket, Key="acts/b.txt")
    for item in (first, second):
        with pytest.raises(ItemVanished):
            source.read(item, LIMIT)
    (now,) = source.list()
    assert now.fingerprint != first.fingerprint
    assert source.read(now, LIMIT).data == b"another"
    requests.clear()
    with pytest.raises(ExtractionError) as caught:
        source.read(now, 6)
    assert (caught.value.reason, requests) == ("oversized", [])


def test_only_objects_that_are_new_or_changed_are_read_again(
    put: Put, load: Callable[[], DocumentsReport], requests: list[str], database: Database
) -> None:
    for name in "abc":
        put(f"acts/{name}.txt", f"Article {name} binds every operator.")
    assert load().added == 3
    assert requests.count("GetObject") == 3
    requests.clear()
    assert load().unchanged == 3
    put("acts/b.txt", "Article b was repealed.")
    put("acts/c.txt", "Article c binds every operator.")
    report = load()
    assert (report.changed, report.unchanged, requests.count("GetObject")) == (1, 2, 1)
    with database.connect() as connection:  # as one that was read before fingerprints were kept
        connection.execute("UPDATE documents SET source_fingerprint = NULL")
    requests.clear()
    assert load().unchanged == 3
    assert load().unchanged == 3
    assert requests.count("GetObject") == 3


@pytest.mark.usefixtures("small_pages")
def test_a_bucket_that_is_not_listed_whole_deletes_nothing(
    put: Put, load: Callable[[], DocumentsReport], refuse: Refuse, s3: Client, bucket: str
) -> None:
    for name in "abcd":
        put(f"acts/{name}.txt", f"Article {name} binds every operator.")
    assert load().stored == 4
    s3.delete_object(Bucket=bucket, Key="acts/a.txt")
    refuse("continuation-token", "InternalError", 500)
    with pytest.raises(SourceUnavailable, match="cannot be listed"):
        load()
    refuse("list-type=2", "AccessDenied", 403)
    with pytest.raises(SourceUnavailable, match="AccessDenied"):
        load()


def test_what_one_object_refuses_is_its_own_and_what_the_bucket_refuses_stops_the_stage(
    put: Put,
    load: Callable[[], DocumentsReport],
    refuse: Refuse,
    database: Database,
    bucket: str,
) -> None:
    for name in "abc":
        put(f"acts/{name}.txt", f"Article {name} binds every operator.")
    refuse("acts/b.txt", "InvalidObjectState", 403)
    report = load()
    assert (report.added, report.failed) == (2, 1)
    with database.connect() as connection:
        (letter,) = dead_letters.list_all(connection, bucket)
    assert (letter.item, letter.reason) == ("b.txt", "unreadable")
    put("acts/c.txt", "Article c was repealed.")
    refuse("acts/c.txt", "SlowDown", 503)
    with pytest.raises(SourceUnavailable, match=r"c\.txt"):
        load()


def test_an_answer_that_breaks_off_is_asked_for_again(
    put: Put, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from botocore.response import IncompleteReadError, StreamingBody

    put("a.txt", "It binds every operator.")
    source = S3Source(bucket)
    (item,) = source.list()
    really, broken = StreamingBody.read, [True]

    def read(body: StreamingBody, amt: int | None = None) -> object:
        if broken:
            broken.pop()
            raise IncompleteReadError(actual_bytes=3, expected_bytes=24)
        return really(body, amt)

    monkeypatch.setattr(StreamingBody, "read", read)
    assert source.read(item, LIMIT).data == b"It binds every operator."
    broken.extend([True] * 9)
    with pytest.raises(SourceUnavailable):
        source.read(item, LIMIT)


def test_held_back_questions_are_those_of_the_bucket(put: Put, bucket: str, refuse: Refuse) -> None:
    uri = f"s3://{bucket}/acts"
    put("_evaluation/queries.jsonl", "of another prefix")
    assert held_back(uri) == ({}, {})
    put("acts/_evaluation/queries.jsonl", '{"_id": "q", "text": "Who must report?"}')
    assert held_back(uri) == ({"q": "Who must report?"}, {})
    put("acts/_evaluation/qrels.tsv", "q\ta.txt\t1\n")
    assert held_back(uri) == ({"q": "Who must report?"}, {"q": {"a.txt": 1}})
    refuse("acts/_evaluation/", "AccessDenied", 403)
    with pytest.raises(SourceUnavailable, match=r"_evaluation/queries\.jsonl.*AccessDenied"):
        held_back(uri)


@pytest.mark.usefixtures("aws_server")
def test_a_bucket_that_is_not_there_or_not_reached_is_unavailable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(aws, "ATTEMPTS", 1)
    with pytest.raises(SourceUnavailable, match="NoSuchBucket"):
        S3Source("no-such-bucket").list()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    source = S3Source("no-such-bucket")
    for act in (source.list, lambda: source.read(SourceItem("a", 1, "1-x"), LIMIT)):
        with pytest.raises(SourceUnavailable):
            act()
    monkeypatch.setitem(__import__("sys").modules, "boto3", None)
    with pytest.raises(UsageError, match=r"\[aws\]"):
        S3Source("no-such-bucket").list()
