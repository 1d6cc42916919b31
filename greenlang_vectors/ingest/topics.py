"""Kafka: messages of a namespace's topic in small batches, each stored before it is committed.

A process that is killed in between leaves its batch to the next one, which finds it stored. A
partition is locked in the database by whoever it is assigned to: a process that lost it while it
was slow has stored what it held before another begins there, so that no older message is ever
stored over a newer one.

confluent-kafka comes with the extra `kafka`. Source: its documentation, and CONFIGURATION.md of
librdkafka.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg

from greenlang_vectors.errors import GreenLangError, UsageError, said
from greenlang_vectors.ingest.messages import Message, Sink, Stored
from greenlang_vectors.settings import Settings
from greenlang_vectors.store.locks import exclusive

logger = logging.getLogger(__name__)

BATCH_MESSAGES = 50
"""The most that are stored and committed together."""

ASK_SECONDS = 10
"""How long a question to the brokers may take."""

LONGEST_BATCH_SECONDS = 1800
"""How long one may take before the group gives its partitions to others."""


class TopicUnavailable(GreenLangError):
    """Kafka cannot be reached, or refused what was asked."""


def topics(settings: Settings) -> dict[str, str]:
    """The topic of each namespace that has one.

    Raises:
        UsageError: the setting cannot be read.
    """
    pairs = [
        pair.strip().partition("=") for pair in settings.kafka_topics.split(",") if pair.strip()
    ]
    if not all(name and topic for name, _, topic in pairs):
        raise UsageError(
            "GREENLANG_KAFKA_TOPICS cannot be read.", "Write NAMESPACE=TOPIC, with commas between."
        )
    return {name: topic for name, _, topic in pairs}


def topic_of(settings: Settings, namespace: str) -> str:
    """The namespace's topic.

    Raises:
        UsageError: it has none.
    """
    topic = topics(settings).get(namespace)
    if topic is None:
        raise UsageError(f"{namespace} has no topic.", "Name it in GREENLANG_KAFKA_TOPICS.")
    return topic


@contextmanager
def opened(
    settings: Settings, connection: psycopg.Connection, namespace: str, topic: str
) -> Iterator[Any]:
    """A consumer of the topic in the namespace's group; it leaves the group at the end.

    Args:
        connection: a session of its own, which holds the locks of the partitions.

    Raises:
        UsageError: confluent-kafka is not installed, or the settings are none it takes.
    """
    consumer = _client(settings, namespace)
    held: dict[tuple[str, int], ExitStack] = {}

    def assigned(_: object, partitions: Sequence[Any]) -> None:
        for each in partitions:
            stack = held.setdefault((each.topic, each.partition), ExitStack())
            stack.enter_context(exclusive(connection, "kafka", each.topic, str(each.partition)))

    def revoked(_: object, partitions: Sequence[Any]) -> None:
        for each in partitions:
            held.pop((each.topic, each.partition), ExitStack()).close()

    consumer.subscribe([topic], on_assign=assigned, on_revoke=revoked, on_lost=revoked)
    try:
        yield consumer
    finally:
        consumer.close()


def consume_batch(
    consumer: Any,  # noqa: ANN401 - confluent-kafka carries no types
    sink: Sink,
    *,
    most: int = BATCH_MESSAGES,
    wait_seconds: float = 1.0,
) -> Stored:
    """Store the messages that come within this time, then commit their offsets.

    Those of partitions that have gone to another meanwhile are left to it.

    Raises:
        TopicUnavailable: Kafka says that it cannot go on.
        SourceUnavailable, ModelUnavailable, EmbeddingFailed: nothing is committed; the messages
            come again to whoever consumes next.
    """
    from confluent_kafka import KafkaError, KafkaException, TopicPartition  # noqa: PLC0415

    try:
        found = consumer.consume(most, wait_seconds)
        own = {(each.topic, each.partition) for each in consumer.assignment()}
    except KafkaException as error:
        raise _unavailable(error.args[0].str()) from error
    for failure in filter(None, (each.error() for each in found)):
        if failure.code() != KafkaError._MAX_POLL_EXCEEDED:
            raise _unavailable(failure.str())
        logger.warning("The last batch took too long: the group is joined again.")
    found = [each for each in found if (each.topic(), each.partition()) in own and not each.error()]
    if not found:
        sink.rest()
        return Stored()
    stored = sink.store(
        [
            Message(f"{each.topic()}/{each.partition()}@{each.offset()}", each.key(), each.value())
            for each in found
        ]
    )
    after = {(each.topic(), each.partition()): each.offset() + 1 for each in found}
    try:
        consumer.commit(
            offsets=[TopicPartition(*place, offset) for place, offset in after.items()],
            asynchronous=False,
        )
    except KafkaException as error:  # the partition has gone to another, which finds them stored
        logger.warning("Offsets were not committed: %s.", error.args[0].str())
    return stored


def consume_waiting(
    settings: Settings,
    locking: psycopg.Connection,
    sink: Sink,
    namespace: str,
    topic: str,
    *,
    patience_seconds: float = 60.0,
) -> Stored:
    """Batches until no message of the topic waits, or for so long none has come here.

    Args:
        locking: see `opened`.
        patience_seconds: partitions may be others', and the group takes seconds to come together.

    Raises:
        TopicUnavailable, SourceUnavailable, ModelUnavailable, EmbeddingFailed: as `consume_batch`.
    """
    total, last = Stored(), time.monotonic()
    with opened(settings, locking, namespace, topic) as consumer:
        while waiting(settings, namespace, topic):
            stored = consume_batch(consumer, sink)
            if stored.messages:
                total, last = total + stored, time.monotonic()
            elif time.monotonic() - last > patience_seconds:
                break
    return total


def waiting(settings: Settings, namespace: str, topic: str) -> int:
    """How many messages of the topic the namespace's group has not committed.

    Raises:
        TopicUnavailable: Kafka cannot be reached, or has no such topic.
    """
    from confluent_kafka import KafkaException, TopicPartition  # noqa: PLC0415

    consumer = _client(settings, namespace)
    count = 0
    try:
        known = consumer.list_topics(topic, timeout=ASK_SECONDS).topics[topic]
        if known.error is not None:
            raise _unavailable(known.error.str())
        places = [TopicPartition(topic, partition) for partition in known.partitions]
        for place in consumer.committed(places, timeout=ASK_SECONDS):
            low, high = consumer.get_watermark_offsets(place, timeout=ASK_SECONDS)
            count += max(0, high - max(low, place.offset))
    except KafkaException as error:
        raise _unavailable(error.args[0].str()) from error
    finally:
        consumer.close()
    return count


def _client(settings: Settings, namespace: str) -> Any:  # noqa: ANN401
    try:
        from confluent_kafka import Consumer, KafkaException  # noqa: PLC0415
    except ImportError:
        raise UsageError(
            "Kafka is asked for, but confluent-kafka is not installed.",
            "Install greenlang-vectors[kafka].",
        ) from None
    config = {
        "group.id": f"greenlang-vectors-{namespace}",
        "auto.offset.reset": "earliest",
        "max.poll.interval.ms": LONGEST_BATCH_SECONDS * 1000,
        **_properties(settings),
        "enable.auto.commit": False,
    }
    try:
        return Consumer(config, logger=logger)
    except KafkaException as error:
        raise UsageError(
            f"Kafka's client refuses its settings: {error.args[0].str()}.",
            "Mend GREENLANG_KAFKA_CONFIG_FILE.",
        ) from error


def _properties(settings: Settings) -> dict[str, str]:
    """Of librdkafka: the brokers, and what the file says, which holds the secrets."""
    found: dict[str, str] = {}
    if settings.kafka_bootstrap_servers:
        found["bootstrap.servers"] = settings.kafka_bootstrap_servers
    if settings.kafka_config_file is not None:
        try:
            lines = settings.kafka_config_file.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(
                f"GREENLANG_KAFKA_CONFIG_FILE cannot be read: {error}.",
                "Name a file of properties.",
            ) from error
        for line in map(str.strip, lines):
            if line and not line.startswith("#"):
                name, _, value = line.partition("=")
                found[name.strip()] = value.strip()
    if "bootstrap.servers" not in found:
        raise UsageError("Kafka's brokers are not known.", "Set GREENLANG_KAFKA_BOOTSTRAP_SERVERS.")
    return found


def _unavailable(words: str) -> TopicUnavailable:
    return TopicUnavailable(
        f"Kafka refused: {said(words)}.",
        "Check the brokers, the topic and this group's rights to it; what is stored is committed.",
    )
