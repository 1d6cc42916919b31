"""What applications change in Weaviate comes to pgvector, and nothing goes that only failed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

import pytest
import stamina

from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.errors import UsageError
from greenlang_vectors.migration.errors import WeaviateUnavailable
from greenlang_vectors.migration.follow import STAGE, FollowReport, follow
from greenlang_vectors.migration.peer import Peer
from greenlang_vectors.migration.phases import start
from greenlang_vectors.migration.plan import Plan
from greenlang_vectors.migration.relay import LOCK, relay
from greenlang_vectors.store import dead_letters, jobs, weaviate_migrations
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.locks import exclusive
from tests.integration.migration.applications import Applications

if TYPE_CHECKING:
    from local.weaviate_server.server import WeaviateServer
    from local.weaviate_server.store import Sent

pytestmark = pytest.mark.integration


class Following(Applications):
    """A namespace whose applications write to Weaviate."""

    tenant = ""

    def send(self, key: str, index: int, text: str, seed: int = 0, **properties: Any) -> Sent:  # noqa: ANN401
        """Write an object to Weaviate; the same key and index are the same object."""
        each = self.sent(str(object_of(key, index)), key, index, text, seed, **properties)
        self.weaviate.control.put(self.plan.collection, [each], self.tenant)
        return each

    def take(self, key: str, index: int) -> None:
        """Delete an object in Weaviate."""
        identity = str(object_of(key, index))
        self.weaviate.control.delete(self.plan.collection, [identity], self.tenant)

    def follow(self, **options: bool) -> FollowReport:
        return follow(self.database, self.peer, self.namespace, **options)

    def letters(self) -> dict[str, str]:
        with self.database.connect() as connection:
            found = dead_letters.list_all(connection, self.namespace, STAGE)
        return {each.item: each.reason for each in found}


def object_of(key: str, index: int) -> UUID:
    return uuid5(NAMESPACE_URL, f"{key}/{index}")


@pytest.fixture
def plan(plan: Plan) -> Plan:
    return plan.model_copy(update={"title": "article", "primary": "weaviate", "page": 3})


@pytest.fixture
def apps(
    database: Database,
    peer: Peer,
    weaviate: WeaviateServer,
    toys: Embedders,
    namespace: str,
    plan: Plan,
    collection: dict[str, Any],
) -> Following:
    """Weaviate holds ten passages of two sources, and one sweep was made."""
    del collection
    apps = Following(database, peer, weaviate, toys, namespace, plan)
    for index in range(5):
        for key in ("a", "b"):
            apps.send(key, index, f"{key} {index}", index, jurisdiction="EU", article=f"On {key}")
    with database.connect() as connection:
        weaviate_migrations.save_plan(connection, namespace, plan.model_dump(mode="json"))
    start(database, peer, namespace)
    report = apps.follow()
    assert (report.seen, report.written, report.deleted, report.refused) == (10, 10, 0, 0)
    return apps


def test_inserts_updates_and_deletes_come_across(apps: Following) -> None:
    apps.check_alike()
    assert apps.follow() == FollowReport(apps.namespace, seen=10)
    apps.send("a", 0, "changed", 7, jurisdiction="DE", article="On a")
    apps.send("c", 0, "new", 8)
    apps.take("b", 4)
    report = apps.follow()
    assert (report.written, report.deleted) == (2, 1)
    assert 0 <= report.lag_seconds < 60
    apps.check_alike()
    with apps.database.connect() as connection:
        found = jobs.newest(connection, [apps.namespace], most=9)
    assert [(job.source_type, job.status, job.processed_count) for job in found] == [
        ("follow", "succeeded", written) for written in (2, 10)
    ]
    for index in range(4):
        apps.take("b", index)
    assert apps.follow().deleted == 4
    apps.check_alike()
    with apps.database.connect() as connection:
        rows = connection.execute(
            "SELECT source_key FROM documents WHERE namespace = %s ORDER BY 1", [apps.namespace]
        )
        assert [key for (key,) in rows] == ["a", "c"]


def test_an_object_that_becomes_another_passage_leaves_its_old_place(apps: Following) -> None:
    moved = apps.send("a", 0, "a 0")
    apps.weaviate.control.put(
        apps.plan.collection,
        [type(moved)(moved.id, {**moved.properties, "source_id": "z"}, moved.vectors)],
    )
    apps.follow()
    assert apps.here().keys() == apps.there().keys()
    assert apps.here() == apps.there()


def test_a_changed_title_comes_across(apps: Following) -> None:
    for title in ("Zeal", "Aim"):
        for index in range(5):
            apps.send("a", index, f"a {index}", index, article=title)
        apps.follow()
        apps.check_alike()


def test_a_document_is_called_as_the_first_of_its_passages_says(apps: Following) -> None:
    def title() -> str:
        apps.follow()
        apps.check_alike()
        return apps.here()["a", 4][0]

    apps.send("a", 0, "a 0", article="Another")
    assert title() == "Another"
    apps.send("a", 1, "a 1", article="Zeal")
    assert title() == "Another"
    apps.take("a", 0)
    assert title() == "On a"
    for index in (2, 3, 4):
        apps.send("a", index, f"a {index}")
    assert title() == "Zeal"
    apps.take("a", 1)
    assert title() == "a"


def test_nothing_is_carried_back(apps: Following) -> None:
    apps.send("c", 0, "new")
    apps.follow()
    assert apps.lag().documents == 0
    with pytest.raises(UsageError, match="nothing is relayed there"):
        relay(apps.database, apps.peer, apps.namespace)


def test_an_emptied_collection_deletes_nothing_unless_told(apps: Following) -> None:
    apps.weaviate.control.delete(apps.plan.collection, [str(each) for each in apps.ids().values()])
    before = apps.here()
    report = apps.follow()
    assert (report.deleted, report.emptied) == (0, [""])
    assert apps.here() == before
    report = apps.follow(allow_empty=True)
    assert (report.deleted, report.emptied) == (10, [])
    apps.check_alike()


def test_a_tenant_that_is_gone_deletes_nothing_unless_told(
    database: Database,
    peer: Peer,
    weaviate: WeaviateServer,
    toys: Embedders,
    namespace: str,
    plan: Plan,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from local.weaviate_server.samples import PASSAGES

    tenants = ["acme", "zeta"]
    definition = PASSAGES | {"class": plan.collection, "multiTenancyConfig": {"enabled": True}}
    weaviate.control.create(definition, tenants)
    apps = Following(database, peer, weaviate, toys, namespace, plan)
    for apps.tenant in tenants:
        apps.send("a", 0, "the same object of either tenant")
    with database.connect() as connection:
        weaviate_migrations.save_plan(connection, namespace, plan.model_dump(mode="json"))
    start(database, peer, namespace)
    assert apps.follow().written == 2
    apps.check_alike()
    assert apps.here().keys() == {("acme/a", 0), ("zeta/a", 0)}
    monkeypatch.setattr(peer, "tenants", lambda _: ["acme"])
    report = apps.follow()
    assert (report.deleted, report.emptied) == (0, ["zeta"])
    assert apps.follow(allow_empty=True).deleted == 1
    apps.check_alike()


def test_a_read_that_fails_or_ends_early_deletes_nothing(
    apps: Following, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = apps.here()
    apps.weaviate.control.unavailable(seconds=600, methods=("Search",))
    with stamina.set_testing(True, attempts=1):
        assert apps.follow().unavailable
    apps.weaviate.control.heal()
    assert apps.here() == before
    pages = peer.pages

    def one_page(*arguments: Any, **options: Any) -> Iterator[Any]:  # noqa: ANN401
        yield next(pages(*arguments, **options))

    monkeypatch.setattr(peer, "pages", one_page)
    assert apps.follow().deleted == 0
    assert apps.here() == before


def test_what_cannot_be_carried_is_a_dead_letter_until_it_is_mended(apps: Following) -> None:
    apps.send("c", 0, " ")
    apps.send("d", 0, "good")
    bad = str(object_of("c", 0))
    for _ in range(2):
        report = apps.follow()
        assert (report.refused, apps.letters()) == (1, {bad: "empty_text"})
    assert ("d", 0) in apps.here()
    apps.send("c", 0, "mended")
    assert apps.follow().refused == 0
    assert apps.letters() == {}
    apps.check_alike()


def test_two_objects_that_are_the_same_passage_do_not_take_turns(apps: Following) -> None:
    before = apps.here()
    twin = apps.sent(str(uuid4()), "a", 0, "twin", article="On a")
    apps.weaviate.control.put(apps.plan.collection, [twin])
    for _ in range(2):
        report = apps.follow()
        assert (report.written, report.refused) == (0, 1)
        assert apps.letters() == {twin.id: "duplicate_passage"}
    assert apps.here() == before
    apps.take("a", 0)
    apps.follow()
    assert apps.follow() == FollowReport(apps.namespace, seen=10)
    apps.check_alike()


def test_objects_that_change_places_come_across(apps: Following) -> None:
    for index in range(5):
        moved = apps.sent(str(object_of("a", index)), "a", 4 - index, f"a {index}", index)
        apps.weaviate.control.put(apps.plan.collection, [moved])
    for _ in range(3):
        apps.follow()
    apps.check_alike()


def test_a_sweep_that_broke_off_goes_on(apps: Following, monkeypatch: pytest.MonkeyPatch) -> None:
    for index in range(5):
        apps.send("a", index, f"changed {index}", index)
        apps.take("b", index)
    calls = iter(range(2))
    fetch = apps.peer.fetch

    def broken(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        if next(calls, None) is None:
            raise WeaviateUnavailable("It went away.")
        return fetch(*arguments, **options)

    monkeypatch.setattr(apps.peer, "fetch", broken)
    report = apps.follow()
    assert report.unavailable == "It went away."
    assert 0 < report.written < 5
    monkeypatch.undo()
    report = apps.follow()
    assert (report.unavailable, report.seen) == (None, 5)
    apps.check_alike()


def test_what_was_carried_is_not_read_again(apps: Following, weaviate: WeaviateServer) -> None:
    weaviate.control.forget()
    apps.follow()
    searches = weaviate.control.forget().calls["Search"]
    apps.send("a", 3, "changed", article="On a")
    apps.follow()
    assert weaviate.control.forget().calls["Search"] == searches + 1


def test_only_one_follower_works_on_a_namespace(apps: Following) -> None:
    apps.send("c", 0, "new")
    with apps.database.connect() as connection, exclusive(connection, LOCK, apps.namespace):
        assert apps.follow() == FollowReport(apps.namespace, alone=False)
    assert apps.follow().written == 1
