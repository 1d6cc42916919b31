"""Collections with tenants, several named vectors and other distances are searched alike, too."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.migration import weaviate_search
from greenlang_vectors.migration.mapping import Mapper
from greenlang_vectors.migration.peer import open_peer
from greenlang_vectors.migration.plan import Plan, VectorMapping
from greenlang_vectors.search.filters import parse
from greenlang_vectors.search.questions import Questions
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import namespaces
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.index_settings import IndexSettings
from greenlang_vectors.store.weaviate_rows import Rows, Target

from .both_sides import Both, keys, shown, text
from .both_sides import ask as ask_both
from .shifting import moving

if TYPE_CHECKING:
    from local.weaviate_server.server import WeaviateServer

pytestmark = pytest.mark.integration

NAMESPACE = "tenants"
MODELS = {"toy-16": ("near", "l2-squared", "l2"), "toy-8": ("far", "dot", "inner_product")}
TENANTS = ("one", "two", "left-out")


def ask(question: str = "cement price", **more: Any) -> Any:  # noqa: ANN401
    return ask_both(question, namespace=NAMESPACE, **more)


@pytest.fixture(scope="module")
def tenants(
    database: Database,
    running_weaviate: WeaviateServer,
    toys: Embedders,
    data_dir: Any,  # noqa: ANN401
) -> Both:
    """Objects of three tenants, of which two move; each is a document of its own."""
    from local.weaviate_server.store import Sent, Vector

    settings = Settings(
        data_dir=data_dir,
        weaviate_url=running_weaviate.url,
        weaviate_grpc_port=running_weaviate.grpc_port,
    )
    plan = Plan(
        collection=f"Tenants{uuid4().hex}",
        tenants=TENANTS[:2],
        vectors=tuple(VectorMapping(name=name, model=each) for each, (name, *_) in MODELS.items()),
        content="text",
        metadata={"year": "since"},
        title="name",
        language="english",
    )
    running_weaviate.control.create(
        {
            "class": plan.collection,
            "multiTenancyConfig": {"enabled": True},
            "vectorConfig": {
                name: {"vectorIndexConfig": {"distance": distance}}
                for name, distance, _ in MODELS.values()
            },
            "properties": [
                {"name": "text", "dataType": ["text"]},
                {"name": "name", "dataType": ["text"]},
                {"name": "year", "dataType": ["int"]},
            ],
        },
        TENANTS,
    )
    for place, tenant in enumerate(TENANTS):
        sent = []
        for number in range(20):
            words = text(number, place)
            vectors = {
                name: Vector((3 * toys.open(model).embed([words]).vectors[0]).tobytes())
                for model, (name, *_) in MODELS.items()
            }
            properties = {"text": words, "name": f"About {number}", "year": 2000 + number}
            sent.append(Sent(str(uuid4()), properties, vectors))
        running_weaviate.control.put(plan.collection, sent, tenant)
    with database.connect() as connection, open_peer(settings) as peer:
        namespaces.register(connection, NAMESPACE)
        made = [
            toys.create(connection, NAMESPACE, model, IndexSettings(metric=metric))
            for model, (_, _, metric) in MODELS.items()
        ]
        rows = Rows(NAMESPACE, [Target(each.leaf, "toy") for each in made], "english")
        mapper = Mapper(plan, NAMESPACE, peer.describe(plan.collection))
        for tenant in TENANTS[:2]:
            for page in peer.pages(
                plan.collection,
                tenant,
                after=None,
                last=UUID(int=2**128 - 1),
                size=100,
                properties=mapper.properties,
                vectors=mapper.vectors,
            ):
                rows.land(connection, [mapper.passage(each) for each in page])
        moving(connection, "shifting", name=NAMESPACE, plan=plan)
    return Both(database, running_weaviate, toys, settings, plan)


@pytest.mark.parametrize("model", [None, *MODELS])
def test_every_tenant_that_moves_is_searched_by_the_vector_that_is_asked(
    tenants: Both, model: str | None
) -> None:
    request = ask(collection=model and f"{NAMESPACE}/{model}", top_k=15)
    with tenants.router() as router:
        here, there = tenants.engine.search(request), router.search(request)
        assert there.plan == "Weaviate, near_vector; 2 tenants, one after the other"
        assert shown(there) == shown(here)
        assert [each.score for each in there.results] == pytest.approx(
            [each.score for each in here.results], abs=1e-4
        )
        assert {each.document.partition("/")[0] for each in there.results} == {"one", "two"}
        assert all(set(each.metadata) == {"since"} for each in there.results)


@pytest.mark.parametrize("mode", ["text", "hybrid"])
def test_words_are_looked_for_in_every_tenant(tenants: Both, mode: str) -> None:
    request = ask("number7 place1", mode=mode, top_k=100)
    with tenants.router() as router:
        here, there = tenants.engine.search(request), router.search(request)
    assert there.plan.startswith("Weaviate")
    assert sorted(keys(there)) == sorted(keys(here))


def test_documents_of_a_tenant_are_filtered_by_its_keys(tenants: Both) -> None:
    found = tenants.engine.search(ask(top_k=100)).results
    wanted = [next(each.document for each in found if each.document.startswith("two/"))]
    filter_ = parse({"field": "document", "op": "in", "value": [*wanted, "left-out/x"]})
    request = ask(filter=filter_)
    with tenants.router() as router:
        answer = router.search(request)
        assert answer.plan == "Weaviate, near_vector"
        assert [name for name, _ in keys(answer)] == wanted
        assert not router.search(
            replace(request, filter=parse({"field": "document", "op": "eq", "value": "x"}))
        ).results


def test_a_collection_that_does_not_move_is_asked_of_pgvector(tenants: Both) -> None:
    with tenants.database.connect() as connection:
        tenants.embedders.create(connection, NAMESPACE, "toy-4", IndexSettings())
    request = ask(collection=f"{NAMESPACE}/toy-4")
    with tenants.router() as router:
        assert "pgvector instead: Weaviate has no vectors of" in router.search(request).plan


def test_passages_are_named_by_the_plan_where_postgresql_does_not_answer(tenants: Both) -> None:
    with open_peer(tenants.settings) as peer:
        questions = Questions(tenants.embedders)
        opened = weaviate_search.open_search(
            peer, tenants.plan, NAMESPACE, questions, tenants.database
        )
        lost = replace(opened, database=Database("postgresql://127.0.0.1:9/none"))
        whole, alone = (weaviate_search.search(each, ask()).answer for each in (opened, lost))
    assert "PostgreSQL does not answer" in alone.plan
    assert shown(alone) == shown(whole)


@pytest.mark.parametrize("more", [{"parents": True}, {"max_tokens": 1000}])
def test_what_passages_stand_in_is_asked_of_pgvector(tenants: Both, more: dict[str, Any]) -> None:
    with tenants.router() as router:
        assert "pgvector instead: Weaviate " in router.search(ask(**more)).plan
