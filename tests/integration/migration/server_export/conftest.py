"""A stand-in that exports, and backfills that read what it exported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from greenlang_vectors.lifecycle.location import Location, open_location
from greenlang_vectors.migration import archive, phases
from greenlang_vectors.migration.backfill import BackfillReport, backfill
from greenlang_vectors.migration.peer import Peer
from greenlang_vectors.migration.plan import Plan
from greenlang_vectors.migration.server_export import Exports
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import namespaces, weaviate_migrations
from greenlang_vectors.store.database import Database

pytest.importorskip("weaviate", reason="needs the extra weaviate")

from local.weaviate_server.server import WeaviateServer

Run = Callable[..., BackfillReport]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server's backend `filesystem` writes."""
    return tmp_path_factory.mktemp("exports")


@pytest.fixture(scope="module")
def running_weaviate(folder: Path) -> Iterator[WeaviateServer]:
    """A stand-in that exports, in this process."""
    with WeaviateServer(exports=folder) as server:
        yield server


@pytest.fixture
def exports(folder: Path) -> Exports:
    return Exports("filesystem", open_location(str(folder)))


@pytest.fixture
def location(settings: Settings) -> Location:
    return open_location(settings.backup_location)


@pytest.fixture
def run(database: Database, namespace: str, peer: Peer, plan: Plan, location: Location) -> Run:
    """Carries the plan over, which it begins."""

    def carry(exports: Exports | None, name: str = namespace, **options: Any) -> BackfillReport:  # noqa: ANN401
        with database.connect() as connection:
            state = weaviate_migrations.find(connection, name)
            if state is None:
                planned = options.pop("plan", plan).model_dump(mode="json")
                weaviate_migrations.save_plan(connection, name, planned)
                phases.start(database, peer, name)
        return backfill(database, name, peer=peer, location=location, exports=exports, **options)

    return carry


@pytest.fixture
def another(database: Database, namespace: str) -> str:
    """A namespace that moves from the same collection."""
    with database.connect() as connection:
        return namespaces.register(connection, f"{namespace}x").name


def kept(location: Location, namespace: str) -> Counter[UUID]:
    """The ids in the archive, which is whole."""
    manifest = archive.load(location, namespace)
    assert manifest is not None
    archive.verify(location, manifest)
    return Counter(
        each.id
        for part in manifest.parts
        for page in archive.objects_of(location, manifest, part)
        for each in page
    )


def made(folder: Path, namespace: str) -> list[Path]:
    """The exports that were made for a namespace."""
    return sorted(folder.glob(f"greenlang-{namespace}-*"))
