"""A namespace that a pipeline has filled, with something in every table that metrics read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.errors import ExtractionError
from greenlang_vectors.monitoring.exporter import Exporter
from greenlang_vectors.progress import silent
from greenlang_vectors.settings import Settings
from greenlang_vectors.stages.pipeline import fill
from greenlang_vectors.store import dead_letters, namespaces, records, weaviate_migrations
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.leaves import Leaf

NOW = datetime.now(UTC).replace(microsecond=0)


@dataclass(frozen=True)
class Samples:
    """What a scrape told: values by name and labels."""

    values: dict[tuple[str, frozenset[tuple[str, str]]], float]

    def __getitem__(self, name: str) -> dict[tuple[str, ...], float]:
        """The values of one name, by those of its labels in the order of the labels' names."""
        return {
            tuple(value for _, value in sorted(labels)): number
            for (found, labels), number in self.values.items()
            if found == name
        }

    @property
    def names(self) -> set[str]:
        return {name for name, _ in self.values}


def scraped(exporter: Exporter) -> Samples:
    registry = CollectorRegistry()
    registry.register(exporter)
    return Samples(
        {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(generate_latest(registry).decode())
            for sample in family.samples
        }
    )


def note_backups(connection: psycopg.Connection, name: str) -> None:
    """Two exports and two drills, the older of which failed."""
    for age in (30, 2):
        connection.execute(
            "INSERT INTO backup_exports VALUES (%s, %s, %s, %s, 7, 4096, 1.5)",
            [name, f"{name}-{age}", NOW - timedelta(hours=age), "0" * 64],
        )
        connection.execute(
            "INSERT INTO backup_drills VALUES (%s, %s, %s, %s, NULL, 2.5, '{}')",
            [name, f"{name}-{age}", NOW - timedelta(hours=age - 1), age == 2],
        )


def note_move(connection: psycopg.Connection, name: str) -> None:
    """A move that has ended, two writes that wait nevertheless and an open difference."""
    weaviate_migrations.save_plan(connection, name, {})
    connection.execute(
        "UPDATE weaviate_migrations SET phase = 'decommissioned', share = 25 WHERE namespace = %s",
        [name],
    )
    for _ in range(2):
        connection.execute(
            "INSERT INTO weaviate_outbox (namespace, document_id) VALUES (%s, %s)", [name, uuid4()]
        )
    connection.execute(
        "INSERT INTO weaviate_differences (namespace, object_id, kind, detail)"
        " VALUES (%s, %s, 'missing', '')",
        [name, uuid4()],
    )


@pytest.fixture(scope="module")
def filled(
    database: Database, toys: Embedders, data_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Leaf:
    """A leaf of three documents, and all that is known of its namespace."""
    name = f"watched{uuid4().hex[:6]}"
    folder = tmp_path_factory.mktemp(name)
    for number in range(3):
        (folder / f"{number}.txt").write_text(f"Plant {number} reports the carbon of its kilns.")
    with database.connect() as connection:
        namespaces.register(connection, name, source_uri=str(folder), recall_target=0.9)
    fill(
        database,
        name,
        embedders=toys,
        settings=Settings(data_dir=data_dir),
        progress=lambda _: silent,
    )
    leaf = Leaf(name, "toy-16", 16)
    with database.connect() as connection:
        for item in ("a.pdf", "b.pdf"):
            dead_letters.record(
                connection, name, "documents", item, ExtractionError("empty", "It is empty.")
            )
        for recall in (0.5, 0.875):
            records.save_search_quality(
                connection, name, records.SearchQuality(leaf.model, 40, 9, recall, 1.0, 2.0)
            )
        for check, passed in (("integrity", True), ("recall", False)):
            records.save_check(
                connection, name, check, passed=passed, blocking=True, message="so it was"
            )
        note_backups(connection, name)
        note_move(connection, name)
    return leaf


@pytest.fixture(scope="module")
def exporter(database: Database) -> Exporter:
    return Exporter(lambda: database)


Scrape = Callable[[], Samples]


@pytest.fixture
def scrape(exporter: Exporter) -> Scrape:
    """What the database is like now, as Prometheus is told."""
    return lambda: scraped(exporter)
