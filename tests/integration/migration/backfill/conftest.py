"""A planned move, and its backfill."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import psycopg
import pytest

from greenlang_vectors.lifecycle.location import Location, open_location
from greenlang_vectors.migration import backfill, phases
from greenlang_vectors.migration.peer import Peer
from greenlang_vectors.migration.plan import Plan
from greenlang_vectors.progress import Progress
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import weaviate_migrations
from greenlang_vectors.store.database import Database

if TYPE_CHECKING:
    from .passages import Run


@pytest.fixture
def location(settings: Settings) -> Location:
    return open_location(settings.backup_location)


@pytest.fixture
def planned(database: Database, namespace: str, plan: Plan) -> Plan:
    """The plan, saved; `run` begins dual writing."""
    with database.connect() as connection:
        weaviate_migrations.save_plan(connection, namespace, plan.model_dump(mode="json"))
    return plan


@pytest.fixture
def begin(database: Database, namespace: str, peer: Peer) -> Callable[[], object]:
    return lambda: phases.start(database, peer, namespace)


@pytest.fixture
def run(
    database: Database,
    namespace: str,
    peer: Peer,
    location: Location,
    begin: Callable[[], object],
) -> Run:
    def carry(**options: Progress) -> backfill.BackfillReport:
        with database.connect() as connection:
            state = weaviate_migrations.find(connection, namespace)
        if state is not None and state.phase == "planned":
            begin()
        return backfill.backfill(database, namespace, peer=peer, location=location, **options)

    return carry


@pytest.fixture
def connection(database: Database) -> Iterator[psycopg.Connection]:
    with database.connect() as connected:
        yield connected
