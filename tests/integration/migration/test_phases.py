"""A move begins where everything fits, and goes back with what it has brought, or without it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.errors import GreenLangError, UsageError
from greenlang_vectors.lifecycle.location import open_location
from greenlang_vectors.migration.backfill import backfill
from greenlang_vectors.migration.peer import Peer
from greenlang_vectors.migration.phases import rollback, start
from greenlang_vectors.migration.plan import Plan, VectorMapping
from greenlang_vectors.migration.relay import relay
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import collections, namespaces, weaviate_migrations
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.encryption import administration
from greenlang_vectors.store.weaviate_migrations import State, Step
from tests.integration.migration.applications import Applications

if TYPE_CHECKING:
    from local.weaviate_server.server import WeaviateServer

    from .conftest import Fill

pytestmark = pytest.mark.integration


@pytest.fixture
def plan(plan: Plan) -> Plan:
    return plan.model_copy(update={"title": "article"})


@pytest.fixture
def apps(
    database: Database,
    peer: Peer,
    weaviate: WeaviateServer,
    toys: Embedders,
    namespace: str,
    plan: Plan,
    filled: Fill,
) -> Applications:
    """A namespace whose move is planned; Weaviate holds four sources."""
    filled(20)
    planned(database, namespace, plan)
    return Applications(database, peer, weaviate, toys, namespace, plan)


def planned(database: Database, namespace: str, plan: Plan) -> None:
    with database.connect() as connection:
        weaviate_migrations.save_plan(connection, namespace, plan.model_dump(mode="json"))


def state(apps: Applications) -> State:
    with apps.database.connect() as connection:
        return weaviate_migrations.get(connection, apps.namespace)


def newest_step(apps: Applications) -> Step:
    with apps.database.connect() as connection:
        return weaviate_migrations.steps(connection, apps.namespace)[-1]


def fill(apps: Applications, settings: Settings) -> None:
    backfill(
        apps.database,
        apps.namespace,
        peer=apps.peer,
        location=open_location(settings.backup_location),
    )


def test_a_move_begins_with_its_collection_and_a_recorded_step(apps: Applications) -> None:
    started = start(apps.database, apps.peer, apps.namespace)
    assert (started.state.phase, started.noted) == ("parallel", 0)
    step = newest_step(apps)
    assert (step.step, step.phase) == ("start", "parallel")
    assert step.evidence["primary"] == "pgvector"
    with apps.database.connect() as connection:
        found = collections.get(connection, f"{apps.namespace}/{apps.plan.vectors[0].model}")
    assert (found.supplied, found.dimensions) == (True, 8)
    with pytest.raises(UsageError, match="has begun"):
        start(apps.database, apps.peer, apps.namespace)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"collection": "Nowhere"}, "no collection 'Nowhere'"),
        ({"content": "words"}, "no property 'words'"),
        ({"content": "pages"}, "pages is int"),
        ({"tenants": ("acme",)}, "no tenant"),
        ({"vectors": (VectorMapping(name="title", model="gl-test"),)}, "no such vector"),
    ],
    ids=["collection", "property", "type", "tenant", "vector"],
)
def test_what_does_not_fit_begins_nothing(
    apps: Applications, changes: dict[str, Any], said: str
) -> None:
    planned(apps.database, apps.namespace, apps.plan.model_copy(update=changes))
    with pytest.raises(UsageError, match=said):
        start(apps.database, apps.peer, apps.namespace)
    assert state(apps).phase == "planned"
    with apps.database.connect() as connection:
        assert collections.list_all(connection, apps.namespace) == []
    apps.put("a", ["one"])
    assert apps.lag().documents == 0


def test_an_encrypted_namespace_is_not_moved(apps: Applications, settings: Settings) -> None:
    with apps.database.connect() as connection:
        administration.enable(connection, apps.namespace, settings)
    with pytest.raises(UsageError, match="encrypted"):
        start(apps.database, apps.peer, apps.namespace)


def test_a_long_transaction_is_told_not_waited_for(
    apps: Applications, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("greenlang_vectors.store.collection_locks.LOCK_SECONDS", 0.2)
    apps.put("a", ["one"])
    with apps.database.connect() as writer, writer.transaction():
        writer.execute("UPDATE documents SET title = 'x' WHERE namespace = %s", [apps.namespace])
        with pytest.raises(GreenLangError, match="holds the tables"):
            start(apps.database, apps.peer, apps.namespace)
    assert state(apps).phase == "planned"
    assert start(apps.database, apps.peer, apps.namespace).noted == 1


def test_the_way_back_keeps_what_came_and_notes_nothing_more(
    apps: Applications, settings: Settings
) -> None:
    start(apps.database, apps.peer, apps.namespace)
    fill(apps, settings)
    assert state(apps).phase == "backfilled"
    [source, *_] = sorted({key for key, _ in apps.here()})
    apps.put(source, ["mine"])
    with pytest.raises(UsageError, match="1 documents of"):
        rollback(apps.database, apps.namespace)
    relay(apps.database, apps.peer, apps.namespace)
    before = apps.here()
    undone = rollback(apps.database, apps.namespace)
    assert (undone.state.phase, undone.discarded, undone.removed) == ("planned", 0, 0)
    assert newest_step(apps).evidence["from"] == "backfilled"
    assert apps.here() == before
    apps.put("later", ["two"])
    apps.delete(source)
    assert apps.lag().documents == 0
    assert apps.there() == before
    with pytest.raises(UsageError, match="has not begun"):
        rollback(apps.database, apps.namespace)


def test_the_way_back_removes_what_came_and_leaves_what_applications_wrote(
    apps: Applications, settings: Settings
) -> None:
    start(apps.database, apps.peer, apps.namespace)
    fill(apps, settings)
    sources = sorted({key for key, _ in apps.here()})
    apps.put(sources[0], ["mine"])
    apps.put("new", ["two"])
    there = apps.there()
    undone = rollback(apps.database, apps.namespace, remove=True, discard=True)
    assert (undone.discarded, undone.removed) == (2, len(sources) - 1)
    assert {key for key, _ in apps.here()} == {sources[0], "new"}
    assert apps.there() == there
    again = rollback(apps.database, apps.namespace, remove=True)
    assert (again.discarded, again.removed) == (0, 0)


def test_a_move_that_went_back_begins_anew(apps: Applications, settings: Settings) -> None:
    start(apps.database, apps.peer, apps.namespace)
    fill(apps, settings)
    [source, *_] = sorted({key for key, _ in apps.here()})
    apps.delete(source)
    rollback(apps.database, apps.namespace, remove=True, discard=True)
    assert start(apps.database, apps.peer, apps.namespace).noted == 0
    fill(apps, settings)
    apps.check_alike()
    assert len(apps.here()) == 20, "what was deleted before is Weaviate's again"
    apps.put(source, ["mine"])
    relay(apps.database, apps.peer, apps.namespace)
    apps.check_alike()


def test_callers_on_pgvector_keep_a_move_from_going_back(apps: Applications) -> None:
    start(apps.database, apps.peer, apps.namespace)
    with (
        apps.database.connect() as connection,
        weaviate_migrations.changing(connection, apps.namespace),
    ):
        weaviate_migrations.move(
            connection, apps.namespace, "traffic", phase="shifting", share=10, evidence={}
        )
    with pytest.raises(UsageError, match="10% of the callers"):
        rollback(apps.database, apps.namespace)


def test_a_namespace_that_is_dropped_takes_its_move_along(apps: Applications) -> None:
    start(apps.database, apps.peer, apps.namespace)
    apps.put("a", ["one"])
    there = apps.there()
    with apps.database.connect() as connection:
        namespaces.drop(connection, apps.namespace)
        other = namespaces.register(connection, f"n-{uuid4().hex[:8]}").name
        assert weaviate_migrations.find(connection, apps.namespace) is None
        assert weaviate_migrations.find(connection, other) is None
    assert apps.there() == there
