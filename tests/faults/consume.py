"""A process to be killed: stores what a topic holds, and is stopped before it commits.

Usage: consume.py DATABASE_URL NAMESPACE BROKERS TOPIC
Prints "stored" once the rows are committed and the offsets are not.
"""

from __future__ import annotations

import sys
import time

from greenlang_vectors.embedding.embedder import Embedder
from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.ingest import topics
from greenlang_vectors.ingest.messages import Sink
from greenlang_vectors.settings import Settings
from greenlang_vectors.store.database import Database
from tests.integration.conftest import ToyModel


class Hanging(Sink):
    """Stores, and gives nothing back."""

    def store(self, messages: object) -> object:  # type: ignore[override]
        super().store(messages)  # type: ignore[arg-type]
        print("stored", flush=True)
        time.sleep(600)


def main(url: str, namespace: str, brokers: str, topic: str) -> None:
    settings = Settings(kafka_bootstrap_servers=brokers)
    embedders = Embedders("toy-16", lambda model: Embedder(ToyModel(model)))
    database = Database(url)
    with database.connect() as locking, database.connect() as connection:
        sink = Hanging(connection, namespace, embedders, settings)
        with topics.opened(settings, locking, namespace, topic) as consumer:
            while True:
                topics.consume_batch(consumer, sink)


if __name__ == "__main__":
    main(*sys.argv[1:])
