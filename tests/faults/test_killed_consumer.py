"""A consumer that is killed between rows and offsets: each document is there once."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("confluent_kafka", reason="needs the extra kafka")

from greenlang_vectors.embedding.embedder import Embedder
from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.ingest import topics
from greenlang_vectors.ingest.messages import Stored
from greenlang_vectors.ingest.topics import consume_batch
from greenlang_vectors.store.database import Database
from tests.integration.conftest import ToyModel
from tests.integration.sources.kafka import Cluster, Topic

pytestmark = pytest.mark.faults

CONSUME = Path(__file__).parent / "consume.py"
DOCUMENTS = 40


SESSION = "session.timeout.ms=4000\nheartbeat.interval.ms=500\n"
"""How soon the group gives up who was killed."""


def test_a_kill_between_rows_and_offsets_stores_nothing_twice(
    new_database: Callable[[], str], repository: Path, tmp_path: Path
) -> None:
    toys = Embedders("toy-16", lambda model: Embedder(ToyModel(model)))
    cluster, database = Cluster(), Database(new_database())
    file = tmp_path / "kafka.properties"
    file.write_text(SESSION)
    with database.connect() as connection, database.connect() as locking:
        topic = Topic(cluster, connection, toys, kafka_config_file=str(file))
        topic.send(*((f"d{n}", {"text": f"Duty {n} binds."}) for n in range(DOCUMENTS)))
        process = subprocess.Popen(
            [sys.executable, CONSUME, database.url, topic.namespace, cluster.brokers, topic.name],
            env={
                **os.environ,
                "PYTHONPATH": str(repository),
                "GREENLANG_KAFKA_CONFIG_FILE": str(file),
            },
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "stored\n"
        finally:
            process.kill()
            process.communicate()
        left = DOCUMENTS - len(topic.rows)
        assert (left < DOCUMENTS, topic.committed) == (True, 0)
        total, until = Stored(), time.monotonic() + 60
        with topics.opened(topic.settings, locking, topic.namespace, topic.name) as consumer:
            while total.messages < DOCUMENTS and time.monotonic() < until:
                total += consume_batch(consumer, topic.sink, wait_seconds=0.3)
        assert total == Stored(DOCUMENTS, DOCUMENTS, written=left)
        assert len(topic.rows) == topic.committed == DOCUMENTS
