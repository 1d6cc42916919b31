"""A bucket and the queue of its events, in a stand-in for AWS that has a process of its own."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from unittest.mock import patch

from benchmarks.sources.followed import followed
from benchmarks.sources.way import Section, Sizes, Way, take
from greenlang_vectors import aws
from greenlang_vectors.documents.source import S3Source
from greenlang_vectors.ingest.event_queue import BATCH, EventQueue

BUCKET = "regulations"
LISTED, READ = "many", "acts"
"""Prefixes of the bucket: what is listed alone, and what is read."""


def bucket(server_url: str, made: Sequence[str], sizes: Sizes) -> list[Section]:
    """Objects listed, read and stored, and the events that tell of them."""
    objects = sizes.listed + len(made)
    found: list[str] = []

    def list_alone() -> None:
        pages = aws.client("s3").get_paginator("list_objects_v2")
        for prefix in (LISTED, READ):
            for page in pages.paginate(Bucket=BUCKET, Prefix=f"{prefix}/"):
                found.extend(each["Key"] for each in page["Contents"])

    def list_sources() -> None:
        for prefix in (LISTED, READ):
            S3Source(BUCKET, prefix).list()

    def get_alone() -> None:
        client = aws.client("s3")
        for key in found[sizes.listed :]:
            client.get_object(Bucket=BUCKET, Key=key)["Body"].read()

    def put(place: int, text: str) -> None:
        key = f"{READ}/{place:05}.md"
        aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body=text.encode())

    listed = [
        take("floor: boto3 lists the bucket", objects, 0, list_alone),
        take("bucket, listed", objects, 0, list_sources),
    ]
    read = [
        take("floor: boto3 gets the objects", len(made), sum(map(len, made)), get_alone),
        *followed(server_url, f"s3://{BUCKET}/{READ}", "bucket", made, put),
    ]
    return [("objects", listed), ("documents", read), ("events", _events(sizes.events))]


def _events(count: int) -> list[Way]:
    client = aws.client("sqs")
    url = client.create_queue(QueueName="changes")["QueueUrl"]
    sources = {"acts": S3Source(BUCKET, READ)}

    def tell() -> None:
        named = {"bucket": {"name": BUCKET}, "object": {"key": f"{READ}/00000.md"}}
        body = json.dumps({"Records": [{"eventName": "ObjectCreated:Put", "s3": named}]})
        for start in range(0, count, BATCH):
            ids = map(str, range(start, min(count, start + BATCH)))
            entries = [{"Id": each, "MessageBody": body} for each in ids]
            client.send_message_batch(QueueUrl=url, Entries=entries)

    def empty_alone() -> None:
        taken: list[str] = []
        while got := client.receive_message(QueueUrl=url, MaxNumberOfMessages=BATCH).get(
            "Messages"
        ):
            taken += [each["ReceiptHandle"] for each in got]
        for start in range(0, len(taken), BATCH):
            batch = enumerate(taken[start : start + BATCH])
            entries = [{"Id": str(at), "ReceiptHandle": receipt} for at, receipt in batch]
            client.delete_message_batch(QueueUrl=url, Entries=entries)

    def take_events() -> None:
        queue = EventQueue(url)
        taken = queue.take(sources, most=count, wait_seconds=0)
        if taken.objects["acts"] != count:
            raise SystemExit(f"{taken.objects['acts']} of {count} events were taken.")
        queue.delete(taken.receipts)

    tell()
    ways = [take("floor: boto3 empties the queue", count, 0, empty_alone)]
    tell()
    return [*ways, take("events of a bucket", count, 0, take_events)]


@contextmanager
def stand_in(made: Sequence[str], listed: int) -> Iterator[None]:
    """AWS over HTTP from a process of its own, the objects in it; clients made within ask it."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_aws, args=(there, list(made), listed), daemon=True
    )
    process.start()
    try:
        environment = {
            "AWS_ENDPOINT_URL": here.recv(),
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",  # pragma: allowlist secret
        }
        with patch.dict(os.environ, environment):
            yield
    finally:
        process.terminate()
        process.join()


def _aws(parent: Connection, made: Sequence[str], listed: int) -> None:
    """The other process; objects go in without HTTP, which would take minutes."""
    from moto.core.models import DEFAULT_ACCOUNT_ID  # noqa: PLC0415 - loads slowly
    from moto.s3.models import s3_backends  # noqa: PLC0415
    from moto.server import ThreadedMotoServer  # noqa: PLC0415

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    store = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
    store.create_bucket(BUCKET, "us-east-1")
    for place in range(listed):
        store.put_object(BUCKET, f"{LISTED}/{place:06}.md", b"-")
    for place, text in enumerate(made):
        store.put_object(BUCKET, f"{READ}/{place:05}.md", text.encode())
    running = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    running.start()
    parent.send("http://{}:{}".format(*running.get_host_and_port()))
    parent.poll(None)
