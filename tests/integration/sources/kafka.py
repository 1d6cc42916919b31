"""librdkafka's own cluster, in this process, which other processes reach too; and its topics."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import psycopg
from confluent_kafka import Consumer, Producer, TopicPartition

from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.ingest.messages import Sink, Stored
from greenlang_vectors.ingest.topics import consume_batch
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import dead_letters, jobs, namespaces

SECONDS = 20


class Cluster:
    """One broker; topics have four partitions, and a key is always in the same."""

    def __init__(self) -> None:
        self._holder = Producer({"bootstrap.servers": "none:1", "test.mock.num.brokers": 1})
        [broker] = self._holder.list_topics(timeout=SECONDS).brokers.values()
        self.brokers = f"{broker.host}:{broker.port}"
        self._producer = Producer({"bootstrap.servers": self.brokers})

    def topic(self) -> str:
        """A new one."""
        return f"acts-{uuid4().hex[:8]}"

    def send(self, topic: str, *messages: tuple[str | bytes | None, object]) -> None:
        """Produce these keys and values; bytes and None as they are, the rest as JSON."""
        for key, value in messages:
            raw = value if value is None or isinstance(value, bytes) else json.dumps(value).encode()
            self._producer.produce(topic, key=key, value=raw)
        assert self._producer.flush(SECONDS) == 0

    def committed(self, group: str, topic: str) -> int:
        """How many messages of the topic the group has done with."""
        consumer = Consumer({"bootstrap.servers": self.brokers, "group.id": group})
        places = [TopicPartition(topic, number) for number in range(4)]
        try:
            found = consumer.committed(places, timeout=SECONDS)
            return sum(max(0, place.offset) for place in found)
        finally:
            consumer.close()


class Topic:
    """A namespace and its topic; batches are asked for without joining a group, which is slow."""

    def __init__(
        self, cluster: Cluster, connection: psycopg.Connection, toys: Embedders, **options: str
    ) -> None:
        self.cluster, self.connection, self.toys = cluster, connection, toys
        self.namespace = namespaces.register(connection, f"k-{uuid4().hex[:10]}").name
        self.name = cluster.topic()
        self.settings = Settings(kafka_bootstrap_servers=cluster.brokers, **options)
        self.group = f"greenlang-vectors-{self.namespace}"

    def send(self, *messages: tuple[str | bytes | None, object]) -> None:
        self.cluster.send(self.name, *messages)

    @property
    def sink(self) -> Sink:
        return Sink(self.connection, self.namespace, self.toys, self.settings, topic=self.name)

    def consume(self, expected: int) -> Stored:
        """What a new consumer does with the messages that are not committed."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.cluster.brokers,
                "group.id": self.group,
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
            }
        )
        consumer.assign([TopicPartition(self.name, number) for number in range(4)])
        try:
            return consume_batch(consumer, self.sink, most=expected, wait_seconds=20)
        finally:
            consumer.close()

    @property
    def committed(self) -> int:
        return self.cluster.committed(self.group, self.name)

    @property
    def rows(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """Content and metadata of the first passage of each document."""
        found = self.connection.execute(
            """
            SELECT d.source_key, c.content, e.metadata, d.origin, d.title
            FROM vector_embeddings e
            JOIN document_chunks c ON c.namespace = e.namespace
                AND c.document_id = e.source_id AND c.chunk_index = e.chunk_index
                AND c.content_hash = e.content_hash
            JOIN documents d ON d.namespace = c.namespace AND d.id = c.document_id
            WHERE e.namespace = %s ORDER BY d.source_key, e.chunk_index
            """,
            [self.namespace],
        ).fetchall()
        assert len({key for key, *_ in found}) == len(found)
        assert {origin for *_, origin, _ in found} <= {"kafka"}
        return {key: (content, metadata) for key, content, metadata, *_ in found}

    @property
    def jobs(self) -> list[tuple[str, str | None, int, int, int]]:
        """Of each job: how it ended, its topic, and what was to be stored, was, and was not."""
        return [
            (job.status, job.source, job.source_count, job.processed_count, job.failed_count)
            for job in jobs.newest(self.connection, [self.namespace], most=100)
        ]

    @property
    def letters(self) -> dict[str, str]:
        found = dead_letters.list_all(self.connection, self.namespace, "kafka")
        return {letter.item: letter.reason for letter in found}
