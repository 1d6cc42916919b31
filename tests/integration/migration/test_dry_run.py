"""A dry run says what a move would bring and what would not fit, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from uuid import uuid4

import numpy as np
import pytest

from greenlang_vectors.embedding.embedder import Embedder
from greenlang_vectors.errors import UsageError
from greenlang_vectors.migration.dry_run import DryRun, dry_run
from greenlang_vectors.migration.peer import Peer
from greenlang_vectors.migration.plan import Plan, VectorMapping
from greenlang_vectors.store import collections, weaviate_migrations
from greenlang_vectors.store.database import Database

pytest.importorskip("weaviate", reason="needs the extra weaviate")

from local.weaviate_server.samples import PASSAGES
from local.weaviate_server.store import Sent, Vector

from .conftest import DIMENSIONS, MODEL, Fill

if TYPE_CHECKING:
    from local.weaviate_server.server import WeaviateServer

Look = Callable[[Plan], DryRun]


@pytest.fixture
def look(database: Database, peer: Peer, namespace: str) -> Look:
    def looked(plan: Plan) -> DryRun:
        with database.connect() as connection:
            weaviate_migrations.save_plan(connection, namespace, plan.model_dump(mode="json"))
        return dry_run(database, peer, namespace)

    return looked


def reasons(found: DryRun, *, fatal: bool = True) -> set[str]:
    return {each.reason for each in found.problems if each.fatal == fatal}


def test_it_shows_counts_vectors_and_ten_rows(
    plan: Plan, filled: Fill, look: Look, database: Database, namespace: str
) -> None:
    filled(150)
    found = look(plan)
    assert (found.objects, found.tenants, found.sampled) == (150, {"": 150}, 20)
    [vector] = found.vectors
    assert (vector.metric, vector.dimensions, vector.supplied) == ("cosine", DIMENSIONS, True)
    assert (vector.model, vector.likeness) == (MODEL, None)
    assert len(found.rows) == 10
    assert found.rows[0].document.startswith("32023R")
    assert found.rows[0].metadata["keywords"]
    assert not found.problems
    said = found.as_json()
    assert said["rows"][0]["object_id"] == str(found.rows[0].object_id)
    with database.connect() as connection:
        assert collections.list_all(connection, namespace) == []


@pytest.mark.usefixtures("collection")
def test_what_would_not_fit_is_named_with_how_many(
    plan: Plan, weaviate: WeaviateServer, look: Look
) -> None:
    vector = {"": Vector(np.ones(DIMENSIONS, "<f4").tobytes())}
    good = {"text": "x", "source_id": "a", "chunk_index": 0}
    sent = [Sent(str(uuid4()), {**good, "chunk_index": i}, vector) for i in range(5)]
    sent += [Sent(str(uuid4()), {**good, "text": ""}, vector) for _ in range(2)]
    sent.append(Sent(str(uuid4()), good))
    weaviate.control.put(plan.collection, sent)
    found = look(plan)
    assert (found.sampled, found.refused, len(found.rows)) == (8, 3, 5)
    assert reasons(found, fatal=False) == {"empty_text", "no_vector"}
    [empty] = [each for each in found.problems if each.reason == "empty_text"]
    assert empty.message.startswith("2 of 8 objects")
    assert empty.concerns in {each.id for each in sent}


def test_a_schema_that_does_not_fit_is_said_without_reading_objects(
    plan: Plan, weaviate: WeaviateServer, look: Look
) -> None:
    properties = [*PASSAGES["properties"], {"name": "scan", "dataType": ["blob"]}]
    weaviate.control.create({**PASSAGES, "class": plan.collection, "properties": properties})
    found = look(plan.model_copy(update={"title": "headline"}))
    assert reasons(found) == {"unknown_property", "not_carried", "empty"}
    assert found.rows == []
    assert reasons(look(plan.model_copy(update={"left_out": ("scan",)}))) == {"empty"}


@pytest.mark.usefixtures("collection")
def test_the_model_that_made_the_vectors_is_told_from_another(
    plan: Plan,
    weaviate: WeaviateServer,
    look: Look,
    embedder: Embedder,
) -> None:
    texts = [f"Importers report the emissions of good number {i}." for i in range(3)]
    made = embedder.embed(texts).vectors
    random = np.random.default_rng(0).standard_normal(made.shape).astype("<f4")
    mapped = plan.model_copy(update={"vectors": (VectorMapping(),)})
    ids = [str(uuid4()) for _ in texts]
    for vectors, other in ((made * 3, False), (random, True)):
        weaviate.control.put(
            plan.collection,
            [
                Sent(
                    id_,
                    {"text": text, "source_id": "a", "chunk_index": index},
                    {"": Vector(vectors[index].astype("<f4").tobytes())},
                )
                for index, (id_, text) in enumerate(zip(ids, texts, strict=True))
            ],
        )
        found = look(mapped)
        assert not found.vectors[0].supplied
        assert ("other_model" in reasons(found, fatal=False)) == other


def test_each_tenant_is_counted(plan: Plan, weaviate: WeaviateServer, look: Look) -> None:
    definition = {**PASSAGES, "class": plan.collection, "multiTenancyConfig": {"enabled": True}}
    weaviate.control.create(definition, tenants=["acme", "zenith"])
    vector = {"": Vector(np.ones(DIMENSIONS, "<f4").tobytes())}
    sent = Sent(str(uuid4()), {"text": "x", "source_id": "a", "chunk_index": 0}, vector)
    weaviate.control.put(plan.collection, [sent], "zenith")
    assert look(plan).tenants == {"acme": 0, "zenith": 1}
    assert look(plan.model_copy(update={"tenants": ("acme",)})).tenants == {"acme": 0}
    with pytest.raises(UsageError, match="no tenant 'nobody'"):
        look(plan.model_copy(update={"tenants": ("nobody",)}))


@pytest.mark.usefixtures("weaviate")
def test_a_collection_that_is_not_there_is_said(plan: Plan, look: Look) -> None:
    with pytest.raises(UsageError, match="has no collection"):
        look(plan)
