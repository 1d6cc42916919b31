"""A verification names exactly what is not the same on both sides, and passes where all is."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
import pytest
from psycopg.types.json import Jsonb

from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.errors import ItemError
from greenlang_vectors.migration import second_look, verification
from greenlang_vectors.migration.peer import Peer
from greenlang_vectors.migration.phases import start
from greenlang_vectors.migration.plan import Plan, VectorMapping
from greenlang_vectors.migration.relay import relay
from greenlang_vectors.migration.verification import Verification, verify
from greenlang_vectors.store import (
    dead_letters,
    weaviate_migrations,
    weaviate_verifications,
)
from greenlang_vectors.store.database import Database
from tests.integration.migration.applications import Applications
from tests.integration.migration.moving import DIMENSIONS, Side, land, put

if TYPE_CHECKING:
    from local.weaviate_server.server import WeaviateServer
    from local.weaviate_server.store import Sent

pytestmark = pytest.mark.integration

Check = Callable[..., Verification]
Fill = Callable[[int], "list[Sent]"]


@pytest.fixture
def check(database: Database, peer: Peer, namespace: str) -> Check:
    """Verifies the namespace; what is on its way is not waited for."""

    def run(**options: Any) -> Verification:  # noqa: ANN401 - of `verify`
        return verify(database, peer, namespace, **{"patience": 0.0, "queries": 5, **options})

    return run


def named(found: Verification) -> dict[str, str]:
    return {str(each.object_id): each.kind for each in found.differences}


def test_what_is_the_same_is_clean(
    check: Check, database: Database, namespace: str, moved: list[Sent]
) -> None:
    told: list[tuple[int, int, str]] = []
    count = len(moved)

    found = check(progress=lambda *news: told.append(news))

    assert found.clean
    assert (found.weaviate, found.counted, found.pgvector) == (count, count, count)
    assert not found.failures
    assert not found.differences
    assert found.overlap is not None
    assert (found.overlap.queries, found.overlap.k, found.overlap.mean) == (5, 10, 1.0)
    assert max(told) == (count, count, "objects")
    with database.connect() as connection:
        kept = weaviate_verifications.newest(connection, namespace)
    assert kept is not None
    assert kept.clean
    assert kept.figures == found.as_json()


DAMAGES: tuple[tuple[str, Callable[[Side, Sent], object], str], ...] = (
    ("the last bit of a vector here", Side.flip_bit_here, "vector"),
    ("the last bit of a vector there", Side.flip_bit_there, "vector"),
    (
        "a text here, its hash as before",
        lambda side, each: side.here(each, "document_chunks", "content = content || '.'"),
        "content",
    ),
    ("a text here, with its hashes", Side.rewrite_here, "content"),
    (
        "the hash of a text here",
        lambda side, each: side.here(
            each, "document_chunks", "content_hash = encode(sha256(''), 'hex')"
        ),
        "content",
    ),
    (
        "the beginning of a text here",
        lambda side, each: side.here(each, "vector_embeddings", "content_preview = ''"),
        "content",
    ),
    ("a text there", lambda side, each: side.there(each, text="Another text."), "content"),
    (
        "a metadata value here",
        lambda side, each: side.here(
            each,
            "vector_embeddings",
            "metadata = metadata || jsonb_build_object('jurisdiction', 'CH')",
        ),
        "metadata",
    ),
    (
        "the type of a metadata value here",
        lambda side, each: side.here(
            each,
            "vector_embeddings",
            "metadata = metadata || jsonb_build_object("
            "'in_force', (metadata ->> 'in_force')::boolean::integer)",
        ),
        "metadata",
    ),
    ("a metadata value there", lambda side, each: side.there(each, keywords=[]), "metadata"),
    ("a metadata value lost there", lambda side, each: side.there(each, origin=None), "metadata"),
    ("a chunk index there", lambda side, each: side.there(each, chunk_index=99), "document"),
    ("a chunk index here", Side.renumber_here, "document"),
    ("a source there", lambda side, each: side.there(each, source_id="another"), "document"),
    ("an object deleted there", Side.delete_there, "missing in Weaviate"),
    ("a passage deleted here", Side.delete_here, "missing in pgvector"),
    ("an embedding deleted here", Side.delete_embedding_here, "metadata, vector"),
    ("a text deleted here", Side.delete_text_here, "content"),
    (
        "all of an object",
        lambda side, each: side.there(
            each, text=".", chunk_index=99, keywords=[], vector=np.ones(DIMENSIONS, "<f4")
        ),
        "document, content, metadata, vector",
    ),
    ("a text that is none any more", lambda side, each: side.there(each, text=""), "refused"),
)


def test_each_damage_is_named_by_id_and_kind_and_nothing_else_is(
    check: Check, side: Side, moved: list[Sent], database: Database, namespace: str
) -> None:
    expected: dict[str, str] = {}
    for (name, damage, kind), victim in zip(DAMAGES, moved[::5], strict=False):
        damage(side, victim)
        expected[victim.id] = kind

        found = check(queries=1)

        assert named(found) == expected, name
        assert not found.clean
        assert found.differing == len(expected)
    with database.connect() as connection:
        kept = weaviate_verifications.differences(connection, namespace)
    assert {str(each.object_id): each.kind for each in kept} == expected


def test_the_sign_of_zero_and_denormal_numbers_count(
    check: Check, side: Side, moved: list[Sent], planned: Plan
) -> None:
    assert check().clean

    side.lose_signs_here(moved[-1])

    [found] = check().differences
    assert (str(found.object_id), found.kind) == (moved[-1].id, "vector")
    assert found.detail == f"vector {planned.vectors[0].model} differs in 1 of {DIMENSIONS} numbers"


def test_a_title_concerns_every_passage_of_its_document(
    check: Check, side: Side, moved: list[Sent]
) -> None:
    side.here(moved[0], "documents", "title = 'Another'")

    assert named(check()) == {each.id: "document" for each in moved[:5]}


def test_an_added_object_and_an_added_passage_are_named(
    check: Check,
    side: Side,
    moved: list[Sent],
    database: Database,
    namespace: str,
    toys: Embedders,
) -> None:
    added = moved[0]._replace(id=str(uuid4()))
    side.there(added, source_id="added there")
    [passage] = put(database, toys, namespace, "added here", ["A passage."])

    assert named(check()) == {
        added.id: "missing in pgvector",
        str(passage): "missing in Weaviate",
    }


def test_metadata_that_the_plan_does_not_carry_is_not_compared(
    check: Check, side: Side, moved: list[Sent], database: Database, namespace: str, plan: Plan
) -> None:
    own = {plan.content, plan.source_id, plan.chunk_index}
    carried = {name: name for name in moved[0].properties if name not in own}
    naming = plan.model_copy(update={"metadata": carried})
    with database.connect() as connection:
        connection.execute(
            "UPDATE weaviate_migrations SET plan = %s WHERE namespace = %s",
            [Jsonb(naming.model_dump(mode="json")), namespace],
        )

    def add(each: Sent, **metadata: str) -> None:
        side.here(each, "vector_embeddings", "metadata = metadata || %s", Jsonb(metadata))

    add(moved[0], reviewed_by="an application")
    assert check().clean
    add(moved[1], jurisdiction="CH")
    assert named(check()) == {moved[1].id: "metadata"}


def test_an_emptied_target_is_a_failure(check: Check, side: Side, moved: list[Sent]) -> None:
    side.empty_here()

    found = check()

    assert set(named(found).values()) == {"missing in pgvector"}
    assert found.differing == len(moved)
    assert "Nothing is stored in pgvector." in found.failures


def test_an_emptied_source_is_a_failure(check: Check, side: Side, moved: list[Sent]) -> None:
    for each in moved:
        side.delete_there(each)

    found = check()

    assert set(named(found).values()) == {"missing in Weaviate"}
    assert any("is empty" in each for each in found.failures)


def test_two_empty_sides_are_no_success(check: Check, side: Side, moved: list[Sent]) -> None:
    side.empty_here()
    for each in moved:
        side.delete_there(each)

    found = check()

    assert found.differing == 0
    assert not found.clean
    assert len(found.failures) == 2


def test_a_title_that_another_passage_gives_is_no_difference(
    database: Database, peer: Peer, namespace: str, plan: Plan, filled: Fill, check: Check
) -> None:
    titled = plan.model_copy(update={"title": "article"})
    objects = filled(20)
    with database.connect() as connection:
        weaviate_migrations.save_plan(connection, namespace, titled.model_dump(mode="json"))
    land(database, peer, namespace, titled)
    titles = {each.properties["article"] for each in objects if each.properties["article"]}
    assert len(titles) > 4, "each passage of a source says another one"

    assert check().clean

    with database.connect() as connection:
        connection.execute(
            "UPDATE documents SET title = 'Article 0' WHERE namespace = %s AND source_key = %s",
            [namespace, objects[0].properties["source_id"]],
        )
    assert named(check()) == {each.id: "document" for each in objects[:5]}


def test_what_a_backfill_gave_up_on_is_named_with_its_reason(
    check: Check, side: Side, moved: list[Sent], database: Database, namespace: str
) -> None:
    side.delete_here(moved[0])
    error = ItemError("zero_vector", "The vector is zero.")
    with database.connect() as connection:
        dead_letters.record(connection, namespace, "backfill", moved[0].id, error)

    [found] = check().differences

    assert (str(found.object_id), found.kind) == (moved[0].id, "missing in pgvector")
    assert found.detail == "The vector is zero."


def test_more_differences_than_are_named_are_counted(
    check: Check, side: Side, moved: list[Sent], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "MOST_NAMED", 10)
    side.empty_here()

    found = check()

    assert (len(found.differences), found.differing) == (10, len(moved))


def test_pages_that_end_early_are_seen_by_the_count(
    check: Check, moved: list[Sent], peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = peer.count
    monkeypatch.setattr(Peer, "count", lambda _, *place: count(*place) + 1)

    found = check()

    assert found.counted == len(moved) + 1
    assert not found.clean
    assert [each for each in found.failures if "counts another number" in each]


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
