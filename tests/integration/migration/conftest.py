"""A stand-in for Weaviate, and a namespace that is to move from a collection of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.migration.peer import Peer, open_peer
from greenlang_vectors.migration.plan import Plan, VectorMapping
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import namespaces, weaviate_migrations
from greenlang_vectors.store.database import Database
from tests.integration.migration.moving import DIMENSIONS, UNNAMED, Side, land

if TYPE_CHECKING:
    from local.weaviate_server.server import WeaviateServer
    from local.weaviate_server.store import Sent

    from .both_sides import Both

MODEL = "gl-test"

Fill = Callable[[int], "list[Sent]"]


@pytest.fixture(scope="session")
def running_weaviate() -> Iterator[WeaviateServer]:
    """A stand-in server in a process of its own, for all tests."""
    pytest.importorskip("weaviate", reason="needs the extra weaviate")
    from local.weaviate_server.server import WeaviateServer

    with WeaviateServer(process=True) as server:
        yield server


@pytest.fixture
def weaviate(running_weaviate: WeaviateServer) -> Iterator[WeaviateServer]:
    """The stand-in; what it was asked is counted anew, and faults end with the test."""
    running_weaviate.control.forget()
    yield running_weaviate
    running_weaviate.control.heal()


@pytest.fixture
def settings(settings: Settings, weaviate: WeaviateServer, tmp_path: Path) -> Settings:
    """Those of the tests, with the stand-in as Weaviate and a backup location of the test's own."""
    return settings.model_copy(
        update={
            "weaviate_url": weaviate.url,
            "weaviate_grpc_port": weaviate.grpc_port,
            "backup_location": str(tmp_path / "backups"),
        }
    )


@pytest.fixture
def peer(settings: Settings) -> Iterator[Peer]:
    with open_peer(settings) as opened:
        yield opened


@pytest.fixture
def namespace(database: Database, request: pytest.FixtureRequest) -> str:
    """An empty namespace of the test's own."""
    digest = hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:12]
    with database.connect() as connection:
        return namespaces.register(connection, f"m{digest}").name


@pytest.fixture
def plan(namespace: str) -> Plan:
    """A plan for the objects of `filled`, in a collection of the test's own."""
    return Plan(
        collection=namespace.capitalize(),
        vectors=(VectorMapping(model=MODEL),),
        content="text",
        source_id="source_id",
        chunk_index="chunk_index",
        language="english",
        page=20,
        batch=50,
        ranges=4,
    )


@pytest.fixture
def moved(
    database: Database,
    peer: Peer,
    weaviate: WeaviateServer,
    namespace: str,
    planned: Plan,
    filled: Fill,
) -> list[Sent]:
    """Objects that are the same on both sides; the last one's vector has odd numbers."""
    from local.weaviate_server.store import Vector

    *objects, last = filled(130)
    odd = np.array([0.0, -0.0, 1e-45, -1e-45, 2.0, 1.0, -1.0, 1e-38], "<f4")
    objects.append(last._replace(vectors={UNNAMED: Vector(odd.tobytes())}))
    weaviate.control.put(planned.collection, objects[-1:])
    land(database, peer, namespace, planned)
    return objects


@pytest.fixture
def side(database: Database, weaviate: WeaviateServer, namespace: str, plan: Plan) -> Side:
    """Damages either side behind everybody's back."""
    return Side(database, weaviate, namespace, plan)


@pytest.fixture
def planned(database: Database, namespace: str, plan: Plan) -> Plan:
    """The same plan, saved and under way (phase parallel)."""
    with database.connect() as connection:
        weaviate_migrations.save_plan(connection, namespace, plan.model_dump(mode="json"))
        with weaviate_migrations.changing(connection, namespace):
            weaviate_migrations.move(
                connection, namespace, "start", phase="parallel", share=0, evidence={}
            )
    return plan


@pytest.fixture
def collection(weaviate: WeaviateServer, plan: Plan) -> dict[str, Any]:
    """The plan's collection in Weaviate, empty; its definition."""
    from local.weaviate_server.samples import PASSAGES

    definition = {**PASSAGES, "class": plan.collection}
    weaviate.control.create(definition)
    return definition


@pytest.fixture
def filled(weaviate: WeaviateServer, collection: dict[str, Any]) -> Fill:
    """Puts so many passages, five of a source, into the plan's collection; returns them."""
    from local.weaviate_server.samples import sample_objects

    def fill(count: int, seed: int = 0) -> list[Sent]:
        objects = list(sample_objects(count, DIMENSIONS, seed))
        weaviate.control.put(collection["class"], objects)
        return objects

    return fill


@pytest.fixture(scope="module")
def built(
    database: Database, running_weaviate: WeaviateServer, toys: Embedders, data_dir: Path
) -> Both:
    """A namespace that both sides hold alike."""
    from .both_sides import build

    settings = Settings(
        data_dir=data_dir,
        weaviate_url=running_weaviate.url,
        weaviate_grpc_port=running_weaviate.grpc_port,
    )
    return build(database, running_weaviate, toys, settings)


@pytest.fixture
def both(built: Both) -> Iterator[Both]:
    """The same, its callers being shifted, none of them yet."""
    built.become()
    built.weaviate.control.forget()
    yield built
    built.weaviate.control.heal()
