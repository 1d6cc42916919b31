"""What is written to pgvector comes to Weaviate, whatever fails on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
import stamina

from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.errors import UsageError
from greenlang_vectors.migration import relay as relaying
from greenlang_vectors.migration.peer import Peer
from greenlang_vectors.migration.phases import Started, start
from greenlang_vectors.migration.plan import Plan
from greenlang_vectors.migration.relay import LOCK, RelayReport, relay
from greenlang_vectors.migration.repair import repair
from greenlang_vectors.migration.verification import verify
from greenlang_vectors.store import dead_letters, weaviate_migrations
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.locks import exclusive
from tests.integration.migration.applications import Applications

if TYPE_CHECKING:
    from local.weaviate_server.server import WeaviateServer

pytestmark = pytest.mark.integration


@pytest.fixture
def plan(plan: Plan) -> Plan:
    return plan.model_copy(update={"title": "article"})


@pytest.fixture
def before(
    database: Database,
    peer: Peer,
    weaviate: WeaviateServer,
    toys: Embedders,
    namespace: str,
    plan: Plan,
) -> Applications:
    """Applications of a namespace whose move is not even planned."""
    return Applications(database, peer, weaviate, toys, namespace, plan)


@pytest.fixture
def apps(before: Applications, filled: Any) -> Applications:  # noqa: ANN401
    """The same when it has begun; Weaviate holds one source already."""
    filled(5)
    begun(before)
    return before


def begun(apps: Applications) -> Started:
    with apps.database.connect() as connection:
        weaviate_migrations.save_plan(connection, apps.namespace, apps.plan.model_dump(mode="json"))
    return start(apps.database, apps.peer, apps.namespace)


TENANTS = {"enabled": True}


def relayed(apps: Applications, **options: bool) -> RelayReport:
    return relay(apps.database, apps.peer, apps.namespace, **options)


def letters(apps: Applications) -> dict[str, str]:
    with apps.database.connect() as connection:
        found = dead_letters.list_all(connection, apps.namespace, relaying.STAGE)
    return {each.item: each.reason for each in found}


def only_document(found: dict[tuple[str, int], Any], key: str) -> dict[tuple[str, int], Any]:
    return {place: each for place, each in found.items() if place[0] == key}


def only(found: dict[tuple[str, int], Any], key: str) -> dict[int, Any]:
    return {index: each for (source, index), each in found.items() if source == key}


def test_inserts_updates_and_deletes_come_across(apps: Applications) -> None:
    apps.put("a", ["one", "two", "three"], {"jurisdiction": "EU"}, "Title")
    apps.put("b", ["four"])
    report = relayed(apps)
    assert (report.documents, report.written, report.deleted, report.lag.documents) == (2, 4, 0, 0)
    assert only(apps.there(), "a") == only(apps.here(), "a")
    before = only(apps.ids(), "a")
    for texts, metadata, title in (
        (["one", "two", "three", "more"], {"jurisdiction": "EU"}, "Title"),
        (["one", "other"], {"jurisdiction": "EU"}, "Title"),
        (["one", "other"], {"jurisdiction": "DE", "pages": [1, 2]}, "Title"),
        (["one", "other"], {"jurisdiction": "DE"}, "Another title"),
    ):
        apps.put("a", texts, metadata, title)
        assert relayed(apps).documents == 1
        assert only(apps.there(), "a") == only(apps.here(), "a")
        assert len(only(apps.there(), "a")) == len(texts)
        assert only(apps.ids(), "a")[0] == before[0]
    apps.delete("a")
    report = relayed(apps)
    assert (report.documents, report.deleted) == (1, 2)
    assert only(apps.there(), "a") == {}
    assert only(apps.there(), "b") == only(apps.here(), "b")
    assert relayed(apps) == RelayReport(apps.namespace)


def test_a_document_of_weaviate_is_replaced_and_deleted_whole(apps: Applications) -> None:
    [source] = {key for key, _ in apps.there()}
    apps.put(source, ["only one"])
    relayed(apps)
    apps.check_alike()
    assert len(apps.there()) == 1


def test_what_only_weaviate_has_is_deleted_there(apps: Applications) -> None:
    [source] = {key for key, _ in apps.there()}
    assert apps.delete(source, "never was") == 0
    assert relayed(apps).deleted == 5
    assert apps.there() == {}


@pytest.mark.usefixtures("collection")
def test_documents_that_were_here_before_come_across(before: Applications) -> None:
    before.put("early", ["one", "two"])
    assert begun(before).noted == 1
    relayed(before)
    before.check_alike()
    assert len(before.there()) == 2


def test_what_the_plan_leaves_in_weaviate_stays_there(
    before: Applications,
    peer: Peer,
    filled: Any,  # noqa: ANN401
) -> None:
    [sent] = filled(1)
    before.plan = before.plan.model_copy(update={"left_out": ("keywords",)})
    begun(before)
    [source] = {key for key, _ in before.there()}
    before.put(source, ["changed"])
    relayed(before)
    [identity] = before.ids().values()
    before.check_alike()
    there = peer.fetch(before.plan.collection, "", [identity], properties=["keywords", "text"])
    assert there[identity].properties == {
        "keywords": sent.properties["keywords"],
        "text": "changed",
    }


def test_what_is_refused_is_a_dead_letter_and_the_rest_goes_on(apps: Applications) -> None:
    apps.put("good", ["one"])
    apps.put("bad", ["two"], {"published": "no date at all"})
    apps.put("taken", ["three"], {"text": "another"})
    apps.put("strange", ["four"], source_type="memo")
    report = relayed(apps)
    assert (report.documents, report.refused) == (1, 3)
    assert letters(apps) == {
        "bad": "refused",
        "taken": "bad_metadata",
        "strange": "other_source_type",
    }
    assert (report.lag.documents, report.lag.refused, report.lag.oldest_seconds) == (3, 3, 0)
    assert only(apps.there(), "good") == only(apps.here(), "good")
    assert relayed(apps).refused == 0
    assert relayed(apps, retry=True).refused == 3
    apps.put("bad", ["two"], {"published": "2024-07-01T00:00:00Z"})
    report = relayed(apps)
    assert (report.documents, report.lag.refused) == (1, 2)
    assert letters(apps).keys() == {"taken", "strange"}
    assert only(apps.there(), "bad") == only(apps.here(), "bad")


def test_weaviate_down_loses_nothing(apps: Applications, weaviate: WeaviateServer) -> None:
    apps.put("a", ["one"])
    weaviate.control.unavailable(seconds=600, methods=("BatchObjects",))
    with stamina.set_testing(True, attempts=1):
        report = relayed(apps)
    assert report.unavailable is not None
    assert (report.documents, report.lag.documents, report.lag.refused) == (0, 1, 0)
    apps.put("a", ["two"])
    apps.put("b", ["three"])
    weaviate.control.heal()
    assert relayed(apps).documents == 2
    assert only(apps.there(), "a") == only(apps.here(), "a")
    assert relayed(apps, retry=True) == RelayReport(apps.namespace)
    assert letters(apps) == {}


def test_a_repair_settles_what_was_refused(
    apps: Applications, monkeypatch: pytest.MonkeyPatch
) -> None:
    apps.put("a", ["one", "two"])
    with monkeypatch.context() as patched:
        patched.setattr(Peer, "upsert", lambda *given: {each.id: "No." for each in given[-1]})
        assert relayed(apps).refused == 1
    assert letters(apps) == {"a": "refused"}
    place = apps.database, apps.peer, apps.namespace
    assert verify(*place, patience=0, queries=0).kinds["missing in Weaviate"] == 2
    assert repair(*place).left == []
    assert letters(apps) == {}
    assert verify(*place, patience=0, queries=0).clean


def test_an_answer_that_is_lost_is_no_harm(apps: Applications, weaviate: WeaviateServer) -> None:
    apps.put("a", ["one", "two"])
    relayed(apps)
    apps.put("a", ["three"])
    weaviate.control.lose_answers(1, methods=("BatchObjects",))
    weaviate.control.lose_answers(1, methods=("BatchDelete",))
    assert relayed(apps).documents == 1
    assert only(apps.there(), "a") == only(apps.here(), "a")


def test_only_one_relay_works_on_a_namespace(apps: Applications) -> None:
    apps.put("a", ["one"])
    with apps.database.connect() as connection, exclusive(connection, LOCK, apps.namespace):
        report = relayed(apps)
    assert (report.alone, report.documents, report.lag.documents) == (False, 0, 1)
    assert relayed(apps).documents == 1


def test_what_is_written_while_the_relay_reads_follows(
    apps: Applications, monkeypatch: pytest.MonkeyPatch
) -> None:
    apps.put("a", ["one"])
    load, puts = relaying.weaviate_documents.load, iter([["two"], []])

    def load_late(*arguments: Any) -> Any:  # noqa: ANN401
        found = load(*arguments)
        for texts in puts:
            if texts:
                apps.put("a", texts)
            break
        return found

    monkeypatch.setattr(relaying.weaviate_documents, "load", load_late)
    assert relayed(apps).lag.documents == 1
    assert relayed(apps).lag.documents == 0
    assert only(apps.there(), "a") == only(apps.here(), "a")
    assert only(apps.there(), "a")[0][1] == "two"


def test_a_passage_without_vectors_keeps_its_object(apps: Applications) -> None:
    apps.put("a", ["one", "two"])
    relayed(apps)
    before = apps.there()
    with apps.database.connect() as connection:
        connection.execute(
            "DELETE FROM vector_embeddings WHERE namespace = %s AND chunk_index = 1",
            [apps.namespace],
        )
    report = relayed(apps)
    assert (report.documents, report.deleted) == (1, 0)
    assert apps.there() == before


def test_a_document_goes_to_the_tenant_that_its_key_begins_with(
    before: Applications, weaviate: WeaviateServer
) -> None:
    from local.weaviate_server.samples import PASSAGES

    definition = PASSAGES | {"class": before.plan.collection, "multiTenancyConfig": TENANTS}
    weaviate.control.create(definition, ["acme", "acme/eu"])
    before.put("acme/one", ["a"])
    begun(before)
    before.put("acme/eu/one", ["b", "c"])
    before.put("nobody/one", ["d"])
    assert relayed(before).refused == 1
    assert letters(before) == {"nobody/one": "no_tenant"}
    for tenant, count in (("acme", 1), ("acme/eu", 2)):
        assert len(weaviate.control.ids(before.plan.collection, tenant)) == count
    assert only(before.there(), "acme/eu/one") == only(before.here(), "acme/eu/one")
    before.delete("acme/eu/one", "nobody/one")
    assert relayed(before).lag.documents == 0
    assert letters(before) == {}
    before.check_alike()


@pytest.mark.usefixtures("collection")
def test_an_object_that_is_a_document_of_its_own_has_its_key(before: Applications) -> None:
    left_out = ("source_id", "chunk_index")
    before.plan = before.plan.model_copy(
        update={"source_id": None, "chunk_index": None, "left_out": left_out}
    )
    key = str(uuid4())
    before.put(key, ["one"])
    begun(before)
    before.put("no uuid", ["two"])
    before.put(str(uuid4()), ["three", "four"])
    relayed(before)
    assert sorted(letters(before).values()) == ["bad_key", "several_passages"]
    assert before.ids() == {(key, 0): UUID(key)}
    before.put(key, ["changed"])
    relayed(before)
    assert before.there() == only_document(before.here(), key)
    before.delete(key)
    relayed(before)
    assert before.there() == {}


def test_it_is_refused_where_nothing_is_written_to_both(
    database: Database, peer: Peer, namespace: str, plan: Plan
) -> None:
    with pytest.raises(UsageError, match="No migration"):
        relay(database, peer, namespace)
    with database.connect() as connection:
        weaviate_migrations.save_plan(connection, namespace, plan.model_dump(mode="json"))
    with pytest.raises(UsageError, match="phase planned"):
        relay(database, peer, namespace)
