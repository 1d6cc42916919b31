"""`greenlang-vectors consume`: messages of a Kafka topic become documents of a namespace."""

from __future__ import annotations

import signal
import sys
import time
from dataclasses import asdict

import click

from greenlang_vectors.commands.common import (
    as_json_option,
    embedders_of,
    errors,
    opened,
    print_json,
)
from greenlang_vectors.settings import get_settings


@click.command()
@click.argument("namespace")
@click.option("--topic", metavar="NAME", help="By default that of GREENLANG_KAFKA_TOPICS.")
@click.option(
    "--until-idle",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="End once so long nothing has come, instead of at SIGTERM or Ctrl-C.",
)
@as_json_option
def consume(namespace: str, topic: str | None, until_idle: float | None, as_json: bool) -> None:
    """Store the messages of NAMESPACE's topic as they come, and commit what is stored.

    Several processes share the partitions. One that ends in the middle loses nothing.
    """
    from greenlang_vectors.ingest import topics  # noqa: PLC0415 - loads slowly
    from greenlang_vectors.ingest.messages import Sink, Stored  # noqa: PLC0415

    settings = get_settings()
    topic = topic or topics.topic_of(settings, namespace)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    total = Stored()
    with (
        opened(settings) as database,
        database.connect() as locking,
        database.connect() as connection,
        Sink(
            connection, namespace, embedders_of(database, settings), settings, topic=topic
        ) as sink,
        topics.opened(settings, locking, namespace, topic) as consumer,
    ):
        last = time.monotonic()
        while until_idle is None or time.monotonic() - last < until_idle:
            stored = topics.consume_batch(consumer, sink)
            if stored.messages:
                total += stored
                last = time.monotonic()
                errors.print(f"{topic}: {stored.said}", soft_wrap=True, highlight=False)
    if as_json:
        print_json({"namespace": namespace, "topic": topic, **asdict(total)})
