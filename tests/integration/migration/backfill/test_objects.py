"""Every object that Weaviate holds becomes one passage here; nothing newer is overwritten."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import numpy as np
import psycopg
import pytest

from greenlang_vectors import direct
from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.lifecycle.location import Location
from greenlang_vectors.migration import archive, backfill
from greenlang_vectors.migration.plan import Plan, VectorMapping
from greenlang_vectors.quality import integrity, passages
from greenlang_vectors.quality.outcome import CheckContext
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import (
    collections,
    dead_letters,
    weaviate_migrations,
)
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.leaves import Leaf

pytest.importorskip("weaviate", reason="needs the extra weaviate")

from local.weaviate_server.faults import Change
from local.weaviate_server.samples import PASSAGES, sample_objects
from local.weaviate_server.store import Sent, Vector

from ..conftest import DIMENSIONS, MODEL, Fill
from .passages import CACHE_SECONDS, Run, expected, passage, put, save, stored

if TYPE_CHECKING:
    from local.weaviate_server.server import WeaviateServer


@pytest.mark.usefixtures("planned")
def test_every_object_becomes_a_passage_with_all_it_had(
    connection: psycopg.Connection, namespace: str, filled: Fill, run: Run
) -> None:
    sent = filled(203)
    report = run()
    assert (report.read, report.written, report.failed) == (203, 203, 0)
    assert stored(connection, namespace) == {UUID(each.id): expected(each) for each in sent}
    state = weaviate_migrations.get(connection, namespace)
    assert (state.phase, state.share) == ("backfilled", 0)
    assert weaviate_migrations.steps(connection, namespace)[-1].evidence["objects"] == 203


@pytest.mark.usefixtures("planned")
def test_a_second_run_reads_nothing_and_changes_nothing(
    connection: psycopg.Connection, namespace: str, filled: Fill, run: Run, weaviate: WeaviateServer
) -> None:
    filled(60)
    run()
    before = stored(connection, namespace)
    weaviate.control.forget()
    again = run()
    assert (again.read, again.written, again.objects) == (0, 0, 60)
    assert stored(connection, namespace) == before
    assert not weaviate.control.counted().reads


@pytest.mark.usefixtures("collection")
def test_fifty_chunks_of_one_source_stay_fifty(
    connection: psycopg.Connection,
    namespace: str,
    planned: Plan,
    weaviate: WeaviateServer,
    run: Run,
) -> None:
    weaviate.control.put(planned.collection, [passage("one", i, article="x") for i in range(50)])
    assert run().written == 50
    found = stored(connection, namespace)
    assert sorted(row[2] for row in found.values()) == list(range(50))
    assert connection.execute(
        "SELECT count(*) FROM documents WHERE namespace = %s", [namespace]
    ).fetchone() == (1,)


@pytest.mark.usefixtures("collection")
def test_vectors_arrive_bit_for_bit(
    connection: psycopg.Connection,
    namespace: str,
    planned: Plan,
    weaviate: WeaviateServer,
    run: Run,
) -> None:
    odd = np.array([-0.0, 1e-45, -1e-42, 3.4028235e38, -1.1754944e-38, 0.1, 1, 0], "<f4")
    weaviate.control.put(planned.collection, [passage("one", 0, odd)])
    run()
    [row] = connection.execute(
        "SELECT vector_send(embedding) FROM vector_embeddings WHERE namespace = %s", [namespace]
    ).fetchall()
    assert np.frombuffer(row[0], ">f4", offset=4).astype("<f4").tobytes() == odd.tobytes()


@pytest.mark.usefixtures("collection")
def test_a_bad_object_is_a_dead_letter_and_harms_no_neighbour(
    connection: psycopg.Connection,
    namespace: str,
    planned: Plan,
    weaviate: WeaviateServer,
    run: Run,
    location: Location,
) -> None:
    good = [passage("good", i) for i in range(30)]
    bad = {
        "empty_text": passage("bad", 0, text=" "),
        "nul_character": passage("bad", 1, text="a\x00"),
        "no_chunk_index": passage("bad", 2, chunk_index=None),
        "no_vector": Sent(str(uuid4()), passage("bad", 3).properties),
        "not_finite": passage("bad", 4, [np.nan] * DIMENSIONS),
        "zero_vector": passage("bad", 5, [0.0] * DIMENSIONS),
        "no_source_id": passage("bad", 6, source_id=None),
    }
    weaviate.control.put(planned.collection, [*good, *bad.values()])
    report = run()
    assert (report.written, report.failed) == (30, len(bad))
    assert stored(connection, namespace).keys() == {UUID(each.id) for each in good}
    letters = dead_letters.list_all(connection, namespace, backfill.STAGE)
    assert {each.item: each.reason for each in letters} == {
        sent.id: reason for reason, sent in bad.items()
    }
    for table in ("documents", "document_chunks"):
        assert connection.execute(
            "SELECT count(*) FROM documents WHERE namespace = %s AND source_key = 'bad'",
            [namespace],
        ).fetchone() == (0,), table
    manifest = archive.load(location, namespace)
    assert manifest is not None
    assert manifest.objects == 30 + len(bad)


@pytest.mark.usefixtures("collection")
def test_two_objects_of_one_place_are_told(
    connection: psycopg.Connection,
    namespace: str,
    planned: Plan,
    weaviate: WeaviateServer,
    run: Run,
) -> None:
    both = [passage("one", 0), passage("one", 0, text="another")]
    weaviate.control.put(planned.collection, both)
    assert run().written == 1
    [letter] = dead_letters.list_all(connection, namespace, backfill.STAGE)
    assert letter.reason == "duplicate_passage"
    kept = stored(connection, namespace).keys()
    assert {UUID(letter.item), *kept} == {UUID(each.id) for each in both}


@pytest.mark.usefixtures("collection")
def test_what_an_application_wrote_or_deleted_here_stays_so(
    connection: psycopg.Connection,
    namespace: str,
    planned: Plan,
    weaviate: WeaviateServer,
    run: Run,
    toys: Embedders,
    begin: Callable[[], object],
) -> None:
    """Before they are reached: a document that was put, and one that was deleted."""
    sent = [passage(source, i) for source in ("put", "deleted", "left") for i in range(3)]
    weaviate.control.put(planned.collection, sent)
    begin()
    put(connection, toys, namespace, "put")
    direct.delete(connection, namespace, ["deleted"], cache_seconds=CACHE_SECONDS)
    report = run()
    assert (report.written, report.left_alone) == (3, 6)
    assert {row[1] for row in stored(connection, namespace).values()} == {"left"}
    [document] = direct.get(connection, namespace, ["put"])
    assert document.texts == ["Written here."]


def test_writers_here_and_there_meanwhile_lose_nothing(
    connection: psycopg.Connection,
    database: Database,
    namespace: str,
    planned: Plan,
    filled: Fill,
    weaviate: WeaviateServer,
    run: Run,
    toys: Embedders,
) -> None:
    """Behind and ahead of the cursor, on both sides, while pages are read."""
    sent = sorted(filled(200), key=lambda each: each.id)
    sources = [each.properties["source_id"] for each in sent]
    weaviate.control.at_page(
        9,
        Change(
            planned.collection,
            put=[
                passage("new", 0)._replace(id="00000000-0000-4000-8000-000000000001"),
                passage("new", 1)._replace(id="ffffffff-ffff-4fff-bfff-fffffffffffe"),
                Sent(sent[-1].id, {**sent[-1].properties, "text": "changed"}, sent[-1].vectors),
            ],
            delete=[sent[-2].id],
        ),
    )
    told = threading.Event()
    touched = list(dict.fromkeys(sources))[:8]

    def write() -> None:
        told.wait(20)
        with database.connect() as other:
            for place, key in enumerate(touched):
                if place % 2:
                    put(other, toys, namespace, key)
                else:
                    direct.delete(other, namespace, [key], cache_seconds=CACHE_SECONDS)

    writer = threading.Thread(target=write)
    writer.start()

    def progress(done: int, *_: object) -> None:
        if done > 50:
            told.set()

    run(progress=progress)
    writer.join()
    found = stored(connection, namespace)
    here = {row[1]: row[3] for row in found.values() if row[1] in touched}
    assert set(here) <= set(touched[1::2])
    assert set(here.values()) <= {"Written here."}
    put_here = direct.get(connection, namespace, touched)
    assert [each.key for each in put_here] == touched[1::2]
    assert all(each.texts == ["Written here."] for each in put_here)
    untouched = {
        UUID(each.id): expected(each)
        for each in sent[:-2]
        if each.properties["source_id"] not in touched
    }
    assert {key: found.get(key) for key in untouched} == untouched


@pytest.mark.usefixtures("collection")
def test_an_application_reads_and_deletes_what_came(
    connection: psycopg.Connection,
    namespace: str,
    planned: Plan,
    weaviate: WeaviateServer,
    run: Run,
    toys: Embedders,
) -> None:
    sent = [
        passage(source, i * 10, article=f"{i}", jurisdiction="EU")
        for source in ("one", "two", "three")
        for i in range(3)
    ]
    weaviate.control.put(planned.collection, sent)
    run()
    [one] = direct.get(connection, namespace, ["one"])
    assert one.texts == ["one 0", "one 10", "one 20"]
    assert one.metadata == {"jurisdiction": "EU"}  # what all its passages share
    put(connection, toys, namespace, "two")
    assert connection.execute(
        "SELECT origin FROM documents WHERE namespace = %s AND source_key = 'two'", [namespace]
    ).fetchone() == ("sdk",)
    assert direct.delete(connection, namespace, ["one", "two"], cache_seconds=CACHE_SECONDS) == 2
    assert direct.delete(connection, namespace, None, cache_seconds=CACHE_SECONDS) == 1
    assert stored(connection, namespace) == {}


@pytest.mark.usefixtures("collection")
def test_the_checks_hold_of_what_came(
    connection: psycopg.Connection,
    namespace: str,
    planned: Plan,
    weaviate: WeaviateServer,
    run: Run,
    settings: Settings,
) -> None:
    """Passages are numbered as they were there, and vectors as long."""
    sent = [passage("one", i, np.full(DIMENSIONS, i + 1.0)) for i in (3, 7, 8)]
    weaviate.control.put(planned.collection, sent)
    run()
    context = CheckContext(Leaf(namespace, MODEL, DIMENSIONS), settings, max_tokens=512)
    for check in (
        integrity.documents_intact,
        integrity.chunks_complete,
        integrity.chunks_numbered,
        integrity.chunk_hashes_match,
        integrity.embeddings_match_chunks,
        integrity.vectors_sound,
        passages.chunks_match_text,
        passages.chunks_cover_text,
    ):
        assert check(connection, context).passed, check.__name__


def test_several_tenants_keep_apart(
    connection: psycopg.Connection,
    namespace: str,
    planned: Plan,
    weaviate: WeaviateServer,
    run: Run,
) -> None:
    definition = {
        **PASSAGES,
        "class": planned.collection,
        "multiTenancyConfig": {"enabled": True},
    }
    weaviate.control.create(definition, tenants=["acme", "empty", "zenith"])
    sent = {
        tenant: [passage("same", i, text=f"{tenant} {i}") for i in range(30)]
        for tenant in ("acme", "zenith")
    }
    for tenant, objects in sent.items():
        weaviate.control.put(planned.collection, objects, tenant)
    assert run().written == 60
    assert stored(connection, namespace) == {
        UUID(each.id): expected(each, tenant)
        for tenant, objects in sent.items()
        for each in objects
    }
    weaviate.control.put(planned.collection, [passage("more", 0)], "empty")
    assert run().written == 0  # its range was read to the end: that is what follows changes for


def test_several_vectors_go_into_several_leaves(
    connection: psycopg.Connection, namespace: str, plan: Plan, weaviate: WeaviateServer, run: Run
) -> None:
    config = {"vectorizer": {"none": {}}, "vectorIndexConfig": {"distance": "cosine"}}
    dot = {"vectorizer": {"none": {}}, "vectorIndexConfig": {"distance": "dot"}}
    weaviate.control.create({"class": plan.collection, "vectorConfig": {"a": config, "b": dot}})
    several = plan.model_copy(
        update={
            "vectors": (VectorMapping(name="b", model="mb"), VectorMapping(name="a", model="ma"))
        }
    )
    save(connection, namespace, several)
    random = np.random.default_rng(0)
    sent = []
    for index in range(30):
        each = passage("one", index)
        vectors = {
            name: Vector(random.standard_normal(size, "<f4").tobytes())
            for name, size in (("a", 4), ("b", 6))
        }
        sent.append(each._replace(vectors=vectors))
    weaviate.control.put(plan.collection, sent)
    assert run().written == 30
    for name, model in (("a", "ma"), ("b", "mb")):
        rows = dict(
            connection.execute(
                """
                SELECT o.object_id, vector_send(e.embedding) FROM vector_embeddings e
                JOIN weaviate_objects o ON o.namespace = e.namespace
                    AND o.document_id = e.source_id AND o.chunk_index = e.chunk_index
                WHERE e.namespace = %s AND e.embedding_model = %s
                """,
                [namespace, model],
            ).fetchall()
        )
        assert {
            key: np.frombuffer(row, ">f4", offset=4).astype("<f4").tobytes()
            for key, row in rows.items()
        } == {UUID(each.id): each.vectors[name].data for each in sent}
    known = collections.get(connection, f"{namespace}/mb")
    assert (known.supplied, known.dimensions, known.index.metric) == (True, 6, "inner_product")


def test_a_model_of_the_librarys_own_may_serve(
    connection: psycopg.Connection, namespace: str, plan: Plan, weaviate: WeaviateServer, run: Run
) -> None:
    weaviate.control.create({**PASSAGES, "class": plan.collection})
    save(connection, namespace, plan.model_copy(update={"vectors": (VectorMapping(),)}))
    weaviate.control.put(plan.collection, list(sample_objects(5, 384)))
    run()
    serving = collections.serving(connection, namespace)
    assert serving is not None
    assert (serving.model, serving.supplied) == ("all-MiniLM-L6-v2", False)
    from greenlang_vectors.embedding.models import resolve_model
    from greenlang_vectors.store import embeddings

    made_with = resolve_model("all-MiniLM-L6-v2").fingerprint(True)
    assert embeddings.plan_work(connection, serving.leaf, made_with) == 0


@pytest.mark.usefixtures("collection")
def test_ids_that_begin_with_a_time_are_split_where_they_lie(
    connection: psycopg.Connection,
    namespace: str,
    planned: Plan,
    weaviate: WeaviateServer,
    run: Run,
) -> None:
    sent = [
        passage("one", i)._replace(id=str(UUID(int=(0x018F0000 + i << 80) + i))) for i in range(400)
    ]
    weaviate.control.put(planned.collection, sent)
    assert run().written == 400
    sizes = connection.execute(
        "SELECT objects FROM weaviate_ranges WHERE namespace = %s", [namespace]
    ).fetchall()
    assert len(sizes) == planned.ranges
    assert min(sizes)[0] > 50
