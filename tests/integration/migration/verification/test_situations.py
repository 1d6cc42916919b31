"""Verifications of tenants and named vectors, and while applications write."""

from __future__ import annotations

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.migration import second_look
from greenlang_vectors.migration.peer import Peer
from greenlang_vectors.migration.phases import start
from greenlang_vectors.migration.plan import Plan, VectorMapping
from greenlang_vectors.migration.relay import relay
from greenlang_vectors.store import weaviate_migrations
from greenlang_vectors.store.database import Database
from tests.integration.migration.applications import Applications
from tests.integration.migration.moving import DIMENSIONS, Side, land

from ..conftest import Fill
from .differences import Check, named

if TYPE_CHECKING:
    from local.weaviate_server.server import WeaviateServer
    from local.weaviate_server.store import Sent


pytestmark = pytest.mark.integration


@pytest.fixture
def tenanted(
    weaviate: WeaviateServer, database: Database, peer: Peer, namespace: str, plan: Plan
) -> Plan:
    """Two tenants with the same sources, on both sides; their ids are the same, too."""
    from local.weaviate_server.samples import PASSAGES, sample_objects

    definition = {**PASSAGES, "class": plan.collection, "multiTenancyConfig": {"enabled": True}}
    weaviate.control.create(definition, ["acme", "bolt"])
    for seed, tenant in enumerate(("acme", "bolt")):
        objects = list(sample_objects(40, DIMENSIONS, 0))
        weaviate.control.put(plan.collection, objects[: 40 - 5 * seed], tenant)
    with database.connect() as connection:
        weaviate_migrations.save_plan(connection, namespace, plan.model_dump(mode="json"))
    land(database, peer, namespace, plan)
    return plan


def test_each_tenant_is_compared_with_its_own(
    check: Check, tenanted: Plan, database: Database, weaviate: WeaviateServer, namespace: str
) -> None:
    from local.weaviate_server.samples import sample_objects

    found = check()
    assert found.clean
    assert (found.tenants, found.weaviate, found.pgvector) == (2, 75, 75)
    victim = next(sample_objects(1, DIMENSIONS, 0))
    Side(database, weaviate, namespace, tenanted, "bolt").flip_bit_there(victim)

    [difference] = check().differences

    assert (difference.tenant, str(difference.object_id)) == ("bolt", victim.id)
    assert difference.kind == "vector"


def test_a_tenant_that_is_gone_is_named_object_by_object(
    check: Check,
    tenanted: Plan,
    database: Database,
    namespace: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Peer, "tenants", lambda *_: ["acme"])

    found = check()

    assert {each.tenant for each in found.differences} == {"bolt"}
    assert {each.kind for each in found.differences} == {"missing in Weaviate"}
    assert found.differing == 35
    with database.connect() as connection:
        chosen = tenanted.model_copy(update={"tenants": ("acme", "bolt")})
        weaviate_migrations.save_plan(connection, namespace, chosen.model_dump(mode="json"))
    assert "Weaviate has no tenant bolt." in check().failures


def test_every_named_vector_is_compared(
    check: Check,
    database: Database,
    peer: Peer,
    weaviate: WeaviateServer,
    namespace: str,
    plan: Plan,
) -> None:
    from local.weaviate_server.samples import PASSAGES, sample_objects
    from local.weaviate_server.store import Vector

    two = plan.model_copy(
        update={
            "vectors": (
                VectorMapping(name="body", model="gl-body"),
                VectorMapping(name="title", model="gl-title"),
            )
        }
    )
    named_vectors = {each.name: {"vectorIndexType": "hnsw"} for each in two.vectors}
    definition = {key: value for key, value in PASSAGES.items() if key != "vectorIndexConfig"}
    weaviate.control.create({**definition, "class": plan.collection, "vectorConfig": named_vectors})
    objects = [
        each._replace(vectors={"body": each.vectors[""], "title": Vector(bytes(range(16, 32)))})
        for each in sample_objects(20, DIMENSIONS)
    ]
    weaviate.control.put(plan.collection, objects)
    with database.connect() as connection:
        weaviate_migrations.save_plan(connection, namespace, two.model_dump(mode="json"))
    land(database, peer, namespace, two)
    assert check().clean

    body, without = objects[0], objects[5]
    weaviate.control.put(
        plan.collection, [without._replace(vectors={"body": without.vectors["body"]})]
    )
    with database.connect() as connection:
        connection.execute(
            """
            DELETE FROM vector_embeddings e USING weaviate_objects o
            WHERE e.namespace = %(namespace)s AND o.namespace = e.namespace
              AND e.embedding_model = 'gl-title' AND o.object_id = %(object)s
              AND e.source_id = o.document_id AND e.chunk_index = o.chunk_index
            """,
            {"namespace": namespace, "object": body.id},
        )
        connection.execute("DELETE FROM weaviate_outbox WHERE namespace = %s", [namespace])

    found = {str(each.object_id): (each.kind, each.detail) for each in check().differences}
    assert found == {
        body.id: ("vector", "vector title is missing in pgvector"),
        without.id: ("refused", "The vector 'title' is missing."),
    }


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
    """Applications that write to a namespace whose move is under way, with a backfill behind it."""
    filled(60)
    with database.connect() as connection:
        weaviate_migrations.save_plan(connection, namespace, plan.model_dump(mode="json"))
    start(database, peer, namespace)
    land(database, peer, namespace, plan)
    return Applications(database, peer, weaviate, toys, namespace, plan)


def test_what_waits_for_the_relay_is_no_difference_and_keeps_it_from_being_clean(
    check: Check, apps: Applications
) -> None:
    apps.put("added", ["One.", "Two."])
    apps.put("32023R00000", ["Put in the place of five passages."])
    apps.delete("32023R00001")

    found = check()

    assert (found.differing, found.waiting) == (0, 3)
    assert found.under_way > 0
    assert not found.failures
    assert not found.clean

    relay(apps.database, apps.peer, apps.namespace)
    found = check()
    assert (found.clean, found.weaviate, found.pgvector) == (True, 53, 53)


def test_the_relay_has_its_chance_even_if_it_brings_a_property_that_was_not_there(
    check: Check, apps: Applications, monkeypatch: pytest.MonkeyPatch
) -> None:
    apps.put("added", ["One."], {"never seen": 1})

    def pause(_seconds: float) -> None:
        relay(apps.database, apps.peer, apps.namespace)

    monkeypatch.setattr(second_look, "time", SimpleNamespace(monotonic=time.monotonic, sleep=pause))

    found = check(patience=20.0)

    assert found.clean
    assert (found.weaviate, found.pgvector) == (60, 61), "it was read before the relay had a chance"


def test_writers_at_work_give_no_false_difference(check: Check, apps: Applications) -> None:
    done = threading.Event()

    def write() -> None:
        for turn in itertools.count():
            if done.is_set():
                return
            source = f"32023R{turn % 12:05d}"
            apps.put(source, [f"Turn {turn}, passage {each}." for each in range(1 + turn % 4)])
            apps.put(f"new {turn}", [f"Turn {turn}."], {f"key_{turn}": turn})
            if turn % 3 == 2:
                apps.delete(f"new {turn - 1}")

    def carry() -> None:
        while not done.is_set():
            relay(apps.database, apps.peer, apps.namespace)

    with ThreadPoolExecutor(2) as threads:
        work = [threads.submit(write), threads.submit(carry)]
        try:
            found = [check(queries=1, patience=5.0) for _ in range(6)]
        finally:
            done.set()
        for each in work:
            each.result()
    assert [each.differing for each in found] == [0] * 6
    assert all(each.weaviate > 0 for each in found)
    relay(apps.database, apps.peer, apps.namespace)
    assert check().clean


def test_where_weaviate_is_written_to_its_newest_changes_are_no_differences(
    check: Check, moved: list[Sent], side: Side, database: Database, namespace: str
) -> None:
    with database.connect() as connection:
        connection.execute(
            """
            UPDATE weaviate_migrations SET plan = plan || '{"primary": "weaviate"}'
            WHERE namespace = %s
            """,
            [namespace],
        )
    told: list[int] = []

    def write(*_news: object) -> None:
        if not told:
            side.there(moved[0], text="Changed while it was verified.")
            side.there(moved[1]._replace(id=str(uuid4())), source_id="new", chunk_index=0)
        told.append(1)

    side.flip_bit_here(moved[5])

    found = check(progress=write)
    assert named(found) == {moved[5].id: "vector"}
    again = check()
    assert set(named(again)) >= {moved[0].id, moved[5].id}, "by now it should have come"
    assert again.differing == 3
