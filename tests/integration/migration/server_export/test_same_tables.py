"""Read from the server's export, objects become the same rows, bit for bit, as read from pages."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import numpy as np
import pytest

from greenlang_vectors.lifecycle.location import Location, open_location
from greenlang_vectors.migration import archive
from greenlang_vectors.migration.peer import Peer
from greenlang_vectors.migration.plan import Plan, VectorMapping
from greenlang_vectors.migration.server_export import ExportFailed, Exports
from greenlang_vectors.migration.verification import verify
from greenlang_vectors.store import weaviate_migrations, weaviate_ranges
from greenlang_vectors.store.database import Database
from tests.integration.migration.moving import DIMENSIONS, tables

from .conftest import Run, kept, made

pytest.importorskip("weaviate", reason="needs the extra weaviate")

from local.weaviate_server import exports as standing_in
from local.weaviate_server.samples import PASSAGES, sample_objects
from local.weaviate_server.server import WeaviateServer
from local.weaviate_server.store import Sent, Vector

if TYPE_CHECKING:
    from ..conftest import Fill

pytestmark = pytest.mark.integration

COUNT = 60
ODD = np.array([-0.0, 1e-45, -1e-42, 3.4028235e38, -1.1754944e-38, 0.1, 1, 0], "<f4")
BEACON = "weaviate://localhost/"


def contents(database: Database, namespace: str) -> dict[str, Counter[Any]]:
    """Every table but how the objects were read."""
    with database.connect() as connection:
        return {k: v for k, v in tables(connection, namespace).items() if k != "ranges"}


def of_all_types(collection: str) -> tuple[dict[str, Any], list[Sent]]:
    """A collection with properties of every type, and objects whose values are hard to carry."""
    own = {"text", "source_id", "chunk_index"}
    more = [
        {"name": "place", "dataType": ["geoCoordinates"]},
        {"name": "phone", "dataType": ["phoneNumber"]},
        {"name": "weights", "dataType": ["number[]"]},
        {"name": "flags", "dataType": ["boolean[]"]},
        {"name": "scan", "dataType": ["blob"]},
        {"name": "related", "dataType": [collection]},
        {
            "name": "parts",
            "dataType": ["object[]"],
            "nestedProperties": [
                {"name": "number", "dataType": ["int"]},
                {"name": "share", "dataType": ["number"]},
            ],
        },
    ]
    definition = {**PASSAGES, "class": collection, "properties": [*PASSAGES["properties"], *more]}
    first, *rest = sample_objects(COUNT, DIMENSIONS)
    whole = {
        "confidence": -0.0,
        "weights": [5.0, -0.0, 1e-7, 1e22, 0.1],
        "pages": [],
        "flags": [True, False],
        "place": {"latitude": 52.0, "longitude": 13.4},
        "phone": {"input": "+49 171 1234567"},
        "scan": "AAEC",
        "parts": [{"number": 2, "share": 3.0}, {"share": -0.0}],
        "article": 'Straße "1" \U0001f33f',
    }
    hard = first._replace(
        properties={**first.properties, **whole},
        vectors={"": Vector(ODD.tobytes())},
        references={"related": [f"{BEACON}{collection}/{rest[0].id}"]},
    )
    bad = [
        Sent(str(uuid4()), {"text": "", "source_id": "bad", "chunk_index": 0}),
        Sent(str(uuid4()), {"text": "no vector", "source_id": "bad", "chunk_index": 1}),
    ]
    assert own < {each["name"] for each in definition["properties"]}
    return definition, [hard, *rest, *bad]


@pytest.mark.parametrize(
    ("objects_a_file", "objects_a_group", "batch"), [(1000, 1000, 25), (17, 5, 7), (1, 1, 1000)]
)
def test_both_ways_fill_the_same_tables(
    database: Database,
    namespace: str,
    another: str,
    plan: Plan,
    weaviate: WeaviateServer,
    run: Run,
    exports: Exports,
    location: Location,
    monkeypatch: pytest.MonkeyPatch,
    objects_a_file: int,
    objects_a_group: int,
    batch: int,
) -> None:
    monkeypatch.setattr(standing_in, "OBJECTS_A_FILE", objects_a_file)
    monkeypatch.setattr(standing_in, "OBJECTS_A_GROUP", objects_a_group)
    definition, objects = of_all_types(plan.collection)
    weaviate.control.create(definition)
    weaviate.control.put(plan.collection, objects)
    own = {plan.content, plan.source_id, plan.chunk_index}
    names = [each["name"] for each in definition["properties"] if each["name"] not in own]
    carried = {"metadata": {name: name for name in names}, "batch": batch}
    naming = plan.model_copy(update=carried)
    by_pages = run(None, another, plan=naming)
    weaviate.control.forget()
    by_export = run(exports, plan=naming)
    assert (by_export.read, by_export.written, by_export.failed) == (COUNT + 2, COUNT, 2)
    assert (by_pages.read, by_pages.written) == (by_export.read, by_export.written)
    assert sum(len(page.ids) for page in weaviate.control.counted().pages) <= plan.page
    assert contents(database, namespace) == contents(database, another)
    assert kept(location, namespace) == kept(location, another)
    assert _archived(location, namespace) == _archived(location, another)
    with database.connect() as connection:
        sizes = [each.objects for each in weaviate_ranges.list_all(connection, namespace)]
        last = weaviate_migrations.steps(connection, namespace)[-2]
    assert sum(sizes) == COUNT + 2
    assert len(sizes) == -(-(COUNT + 2) // objects_a_file)
    assert (last.step, last.evidence["objects"]) == ("export", COUNT + 2)


def _archived(location: Location, namespace: str) -> dict[UUID, tuple[Any, ...]]:
    manifest = archive.load(location, namespace)
    assert manifest is not None
    return {
        each.id: (
            each.updated_ms,
            # As text: to Python -0.0 is 0.0, and 5 is 5.0. Maps of gRPC come in any order.
            json.dumps({k: v for k, v in each.properties.items() if v is not None}, sort_keys=True),
            {name: vector.tobytes() for name, vector in each.vectors.items()},
        )
        for part in manifest.parts
        for page in archive.objects_of(location, manifest, part)
        for each in page
    }


@pytest.mark.usefixtures("aws_server")
def test_files_are_read_from_a_bucket(namespace: str, filled: Fill, run: Run, folder: Path) -> None:
    import boto3

    filled(COUNT)
    bucket = boto3.client("s3")
    bucket.create_bucket(Bucket="weaviate-exports")
    exports = Exports("filesystem", open_location("s3://weaviate-exports/prefix"))
    with pytest.raises(ExportFailed, match="and 0 are in its files"):
        run(exports)
    for file in made(folder, namespace)[0].iterdir():
        key = f"prefix/{file.relative_to(folder)}"
        bucket.upload_file(str(file), "weaviate-exports", key)
    assert run(exports).written == COUNT


def test_named_vectors_and_tenants_come_over_bit_for_bit(
    database: Database,
    peer: Peer,
    namespace: str,
    plan: Plan,
    weaviate: WeaviateServer,
    run: Run,
    exports: Exports,
) -> None:
    config = {"vectorizer": {"none": {}}, "vectorIndexConfig": {"distance": "cosine"}}
    weaviate.control.create(
        {
            **PASSAGES,
            "class": plan.collection,
            "multiTenancyConfig": {"enabled": True},
            "vectorConfig": {"a": config, "b": config},
        },
        tenants=["acme", "empty", "left_out", "zenith"],
    )
    whose = {}
    for tenant in ("acme", "left_out", "zenith"):
        sent = [
            each._replace(vectors={"a": each.vectors[""], "b": Vector(ODD[:4].tobytes())})
            for each in sample_objects(10, DIMENSIONS, seed=len(tenant))
        ]
        weaviate.control.put(plan.collection, sent, tenant)
        whose |= {UUID(each.id): tenant for each in sent}
    several = plan.model_copy(
        update={
            "tenants": ("acme", "empty", "zenith"),
            "vectors": (VectorMapping(name="b", model="mb"), VectorMapping(name="a", model="ma")),
        }
    )
    assert run(exports, plan=several).written == 20
    with database.connect() as connection:
        found = dict(
            connection.execute(
                "SELECT object_id, tenant FROM weaviate_objects WHERE namespace = %s", [namespace]
            ).fetchall()
        )
    assert found == {key: tenant for key, tenant in whose.items() if tenant != "left_out"}
    assert verify(database, peer, namespace, patience=0, queries=0).clean
