"""S3 tells a queue what has changed: a run for each namespace concerned, and nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote_plus
from uuid import uuid4

import dagster as dg
import pytest

from greenlang_vectors import aws
from greenlang_vectors.errors import ItemError
from greenlang_vectors.ingest import event_queue
from greenlang_vectors.ingest.s3_events import Changed, changed
from greenlang_vectors.settings import Settings, get_settings
from greenlang_vectors.store import namespaces
from greenlang_vectors.store.database import Database
from schedules import sources
from schedules.sensors import source_changes
from schedules.sources import bucket_events

from .conftest import Client, Refuse

pytestmark = pytest.mark.integration

KEY = "acts/ü & x+y.pdf"


def s3_event(bucket: str, key: str) -> dict[str, Any]:
    named = {"bucket": {"name": bucket}, "object": {"key": quote_plus(key)}}
    return {"Records": [{"eventName": "ObjectCreated:Put", "s3": named}]}


def eventbridge(bucket: str, key: str) -> dict[str, Any]:
    detail = {"bucket": {"name": bucket}, "object": {"key": key}}
    return {"source": "aws.s3", "detail-type": "Object Deleted", "detail": detail}


def sns(event: dict[str, Any]) -> dict[str, Any]:
    return {"Type": "Notification", "TopicArn": "arn", "Message": json.dumps(event)}


@pytest.mark.parametrize(
    "event",
    [
        s3_event("b", KEY),
        eventbridge("b", KEY),
        sns(s3_event("b", KEY)),
        sns(eventbridge("b", KEY)),
    ],
)
def test_every_envelope_names_the_same_object(event: dict[str, Any]) -> None:
    assert changed(json.dumps(event)) == [Changed("b", KEY)]


def test_what_is_no_event_of_s3_is_refused_and_a_test_event_names_nothing() -> None:
    assert changed('{"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}') == []
    for message in (
        *("", "[]", "7", "{}", '{"Records": 1}', '{"Records": [{"s3": {}}]}', "[" * 100_000),
        json.dumps({"source": "aws.s3", "detail": {"bucket": {"name": 1}, "object": {"key": 2}}}),
        json.dumps({"Type": "Notification", "Message": "no JSON"}),
    ):
        with pytest.raises(ItemError) as caught:
            changed(message)
        assert caught.value.reason == "damaged"


@pytest.fixture
def queue(aws_server: None, monkeypatch: pytest.MonkeyPatch) -> str:  # noqa: ARG001
    monkeypatch.setattr(sources, "WAIT_SECONDS", 0)
    url: str = aws.client("sqs").create_queue(QueueName=uuid4().hex)["QueueUrl"]
    return url


@pytest.fixture
def send(queue: str) -> Callable[[object], None]:
    sqs = aws.client("sqs")
    return lambda body: sqs.send_message(
        QueueUrl=queue, MessageBody=body if isinstance(body, str) else json.dumps(body)
    )


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture(scope="module")
def registered(database: Database) -> Database:
    """csrd and eudr have parts of one bucket, cbam a folder."""
    with database.connect() as connection:
        for name, uri in {
            "csrd": "s3://regulations/acts",
            "eudr": "s3://regulations/acts/eudr",
            "cbam": "/somewhere",
        }.items():
            namespaces.register(connection, name, source_uri=uri)
    return database


@pytest.fixture
def tenants(registered: Database, instance: dg.DagsterInstance) -> Database:
    """The same as Dagster knows them."""
    instance.add_dynamic_partitions("namespace", ["csrd", "eudr", "cbam"])
    return registered


class Ticks:
    """The sensor evaluated again and again, its cursor kept as the daemon keeps it."""

    def __init__(self, instance: dg.DagsterInstance, database: Database, queue: str) -> None:
        self.instance = instance
        self.resources = {"database": database, "settings": Settings(s3_events_queue_url=queue)}
        self.cursor: str | None = None
        self.note = ""

    def __call__(self, *, dies: bool = False) -> list[str | None]:
        """The namespaces that runs are asked for.

        Args:
            dies: the daemon does so before it keeps the cursor.
        """
        with dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, resources=self.resources
        ) as context:
            result = bucket_events(context)
        if isinstance(result, dg.SkipReason):
            self.note = str(result.skip_message)
            return []
        assert isinstance(result, dg.SensorResult)
        self.note = str(result.skip_reason)
        if not dies:
            self.cursor = result.cursor
        return [request.partition_key for request in result.run_requests or []]


@pytest.fixture
def tick(instance: dg.DagsterInstance, tenants: Database, queue: str) -> Ticks:
    return Ticks(instance, tenants, queue)


@pytest.fixture
def left(queue: str) -> Callable[[], int]:
    """How many messages the queue holds, those that are taken too."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    sqs = aws.client("sqs")

    def count() -> int:
        found = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
        return sum(int(found[name]) for name in names)

    return count


def test_an_upload_asks_for_one_run_of_each_namespace_that_holds_it(
    tick: Ticks, queue: str, s3: Client, left: Callable[[], int]
) -> None:
    arn = aws.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    to_queue = {"QueueArn": arn["Attributes"]["QueueArn"], "Events": ["s3:ObjectCreated:*"]}
    s3.create_bucket(Bucket="regulations")
    s3.put_bucket_notification_configuration(
        Bucket="regulations", NotificationConfiguration={"QueueConfigurations": [to_queue]}
    )
    assert tick() == []
    for number in range(25):
        s3.put_object(Bucket="regulations", Key=f"acts/{number} ü.pdf", Body=b"x")
    assert tick() == ["csrd"]
    s3.put_object(Bucket="regulations", Key="acts/eudr/a.pdf", Body=b"x")
    s3.put_object(Bucket="regulations", Key="elsewhere/a.pdf", Body=b"x")
    assert tick() == ["csrd", "eudr"]
    assert tick() == []
    assert left() == 0


def test_messages_are_deleted_only_once_what_they_ask_for_is_kept(
    tick: Ticks,
    send: Callable[[object], None],
    left: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(event_queue, "HELD_SECONDS", 0)
    monkeypatch.setattr(sources, "MOST_MESSAGES", 1)
    send(s3_event("regulations", "acts/a.pdf"))
    assert tick(dies=True) == ["csrd"]
    assert left() == 1
    monkeypatch.setattr(event_queue, "HELD_SECONDS", 600)
    assert tick() == ["csrd"]
    assert left() == 1
    assert tick() == []
    assert left() == 0


def test_changes_wait_for_the_run_that_is_under_way_and_for_a_partition(
    tick: Ticks,
    send: Callable[[object], None],
    instance: dg.DagsterInstance,
    left: Callable[[], int],
) -> None:
    run = instance.add_run(
        dg.DagsterRun(
            job_name="ingest",
            run_id="busy",
            status=dg.DagsterRunStatus.STARTED,
            tags={"dagster/partition": "csrd"},
        )
    )
    instance.delete_dynamic_partition("namespace", "eudr")
    send(eventbridge("regulations", "acts/eudr/a.pdf"))
    assert tick() == []
    assert tick() == []
    assert left() == 0  # the cursor knows
    instance.report_run_failed(run)
    assert tick() == ["csrd"]
    instance.add_dynamic_partitions("namespace", ["eudr"])
    assert tick() == ["eudr"]
    assert tick() == []


def test_a_message_that_is_no_event_holds_up_no_other_and_stays_in_the_queue(
    tick: Ticks, send: Callable[[object], None], left: Callable[[], int], queue: str
) -> None:
    send("poison")
    assert tick() == []
    assert "has no dead-letter queue" in tick.note
    send("more poison")
    send(s3_event("regulations", "acts/a.pdf"))
    assert tick() == ["csrd"]
    tick()
    assert left() == 2
    sqs = aws.client("sqs")
    dead = sqs.create_queue(QueueName=uuid4().hex)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]
    policy = {"deadLetterTargetArn": arn["QueueArn"], "maxReceiveCount": "5"}
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"RedrivePolicy": json.dumps(policy)})
    send("last poison")
    assert tick() == []
    assert "dead-letter queue takes them" in tick.note


def test_a_queue_that_is_not_reached_loses_nothing(
    tick: Ticks, send: Callable[[object], None], refuse: Refuse, queue: str
) -> None:
    send(s3_event("regulations", "acts/a.pdf"))
    assert tick() == ["csrd"]
    kept = tick.cursor
    refuse("/", "AccessDenied", 403)
    assert tick() == []
    assert queue in tick.note
    assert tick.cursor == kept


def test_without_a_queue_nothing_is_asked(tick: Ticks) -> None:
    tick.resources["settings"] = Settings(s3_events_queue_url=None)
    assert tick() == []
    assert "GREENLANG_S3_EVENTS_QUEUE_URL" in tick.note


def test_a_bucket_that_tells_its_changes_is_not_listed_for_them(
    tenants: Database,
    instance: dg.DagsterInstance,
    requests: list[str],
    queue: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def listed() -> int:
        requests.clear()
        with dg.build_sensor_context(instance=instance, resources={"database": tenants}) as context:
            source_changes(context)
        return requests.count("ListObjectsV2")

    monkeypatch.setenv("GREENLANG_S3_EVENTS_QUEUE_URL", queue)
    get_settings.cache_clear()
    try:
        assert listed() == 2  # neither was worked through yet
        with tenants.connect() as connection:
            namespaces.remember_listing(connection, "csrd", "listing")
        assert listed() == 1
        monkeypatch.delenv("GREENLANG_S3_EVENTS_QUEUE_URL")
        get_settings.cache_clear()
        assert listed() == 2
    finally:
        get_settings.cache_clear()
