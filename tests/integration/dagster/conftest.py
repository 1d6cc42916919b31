"""Small namespaces with documents of their own, and the job that fills them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from greenlang_vectors.definitions import build_defs
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import namespaces
from greenlang_vectors.store.database import Database

from .toy import ToyEmbedding

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}

Ingest = Callable[..., dg.ExecuteInProcessResult]


def write_documents(folder: Path) -> Path:
    """Two documents about the folder's name."""
    folder.mkdir(parents=True)
    topic = folder.name
    for number in (1, 2):
        text = f"# The {topic} rules, part {number}\n\n"
        text += "\n\n".join(f"Rule {i} of {topic} part {number} is kept." for i in range(10))
        (folder / f"part{number}.md").write_text(text)
    return folder


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def fresh(new_database: Callable[[], str]) -> Iterator[Database]:
    """A database for one test."""
    made = Database(new_database())
    yield made
    made.close()


@pytest.fixture
def namespace(fresh: Database, tmp_path: Path) -> Callable[[str], Path]:
    """Registers a namespace with two documents; returns their folder."""

    def register(name: str) -> Path:
        folder = write_documents(tmp_path / name)
        with fresh.connect() as connection:
            namespaces.register(connection, name, source_uri=str(folder))
        return folder

    return register


@pytest.fixture
def ingest(fresh: Database, instance: dg.DagsterInstance, data_dir: Path) -> Ingest:
    """Runs the job of one namespace in this process."""
    settings = Settings(data_dir=data_dir, chunk_tokens=64, quality_sample=10)

    def run(name: str, **overrides: object) -> dg.ExecuteInProcessResult:
        resources: dict[str, Any] = {
            "database": fresh,
            "embedding": ToyEmbedding(),
            "settings": settings,
            **overrides,
        }
        instance.add_dynamic_partitions("namespace", [name])
        return (
            build_defs(resource_overrides=resources)
            .resolve_job_def("ingest")
            .execute_in_process(
                instance=instance, partition_key=name, run_config=QUIET, raise_on_error=False
            )
        )

    return run
