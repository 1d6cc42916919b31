"""Whatever is written to either side in whatever order, both hold the same in the end."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.lifecycle.location import open_location
from greenlang_vectors.migration.backfill import backfill
from greenlang_vectors.migration.follow import follow
from greenlang_vectors.migration.peer import Peer, open_peer
from greenlang_vectors.migration.phases import start
from greenlang_vectors.migration.plan import Plan, Primary
from greenlang_vectors.migration.relay import relay
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import weaviate_migrations
from greenlang_vectors.store.database import Database
from tests.integration.migration.applications import Applications

if TYPE_CHECKING:
    from local.weaviate_server.server import WeaviateServer

    from .conftest import Fill

pytestmark = pytest.mark.integration

KEYS = ["a", "b", "c"]

write = st.tuples(
    st.sampled_from(KEYS),
    st.lists(st.sampled_from(["one", "two", "three", "four"]), max_size=4, unique=True),
    st.sampled_from([{}, {"jurisdiction": "EU"}, {"jurisdiction": "DE", "pages": [1, 2]}]),
    st.sampled_from([None, "Title", "Other"]),
)
"""Key, texts (none of them deletes), metadata, title."""

steps = st.lists(st.lists(write, min_size=1, max_size=4), min_size=1, max_size=4)
"""What is written between one carrying and the next."""

several = settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture
def plan(plan: Plan) -> Plan:
    return plan.model_copy(update={"title": "article", "page": 3})


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
    filled(15)
    return Applications(database, peer, weaviate, toys, namespace, plan)


def begin(apps: Applications, primary: Primary = "pgvector") -> None:
    apps.plan = apps.plan.model_copy(update={"primary": primary})
    with apps.database.connect() as connection:
        weaviate_migrations.save_plan(connection, apps.namespace, apps.plan.model_dump(mode="json"))
    start(apps.database, apps.peer, apps.namespace)


def put(
    apps: Applications, key: str, texts: Sequence[str], metadata: object, title: object
) -> None:
    if texts:
        apps.put(key, texts, metadata, title)  # type: ignore[arg-type]
    else:
        apps.delete(key)


def test_writes_to_pgvector(apps: Applications, settings: Settings) -> None:
    begin(apps)
    backfill(
        apps.database,
        apps.namespace,
        peer=apps.peer,
        location=open_location(settings.backup_location),
    )

    @several
    @given(steps)
    def check(written: list[list[tuple[str, list[str], object, object]]]) -> None:
        for each in written:
            for key, texts, metadata, title in each:
                put(apps, key, texts, metadata, title)
            relay(apps.database, apps.peer, apps.namespace)
        apps.check_alike()

    check()
    assert len(apps.here()) >= 15


def test_writes_to_weaviate(apps: Applications) -> None:
    begin(apps, "weaviate")
    ids = {(key, index): str(uuid4()) for key in KEYS for index in range(4)}
    chance = random.Random(1)

    @several
    @given(steps)
    def check(written: list[list[tuple[str, list[str], dict[str, object], str | None]]]) -> None:
        for each in written:
            for key, texts, metadata, title in each:
                apps.weaviate.control.delete(
                    apps.plan.collection, [ids[key, index] for index in range(4)]
                )
                properties = metadata | ({} if title is None else {"article": title})
                objects = [
                    apps.sent(ids[key, index], key, index, text, chance.randrange(99), **properties)
                    for index, text in enumerate(texts)
                ]
                apps.weaviate.control.put(apps.plan.collection, objects)
            follow(apps.database, apps.peer, apps.namespace)
        apps.check_alike()

    check()
    assert len(apps.here()) >= 15


def test_what_is_written_before_its_objects_are_carried_over_stays(
    apps: Applications, settings: Settings
) -> None:
    """One source is replaced and one deleted before the backfill reads them."""
    begin(apps)
    replaced, deleted, _ = sorted({key for key, _ in apps.there()})
    apps.put(replaced, ["newer"], {}, "Title")
    apps.delete(deleted)
    location = open_location(settings.backup_location)
    backfill(apps.database, apps.namespace, peer=apps.peer, location=location)
    assert {key for key, _ in apps.here()} == {key for key, _ in apps.there()} - {deleted}
    relay(apps.database, apps.peer, apps.namespace)
    apps.check_alike()
    assert [text for (key, _), (_, text, *_) in apps.here().items() if key == replaced] == ["newer"]


def test_writers_a_relay_and_a_backfill_at_once(apps: Applications, settings: Settings) -> None:
    """Two applications write the same documents while the backfill and the relay run."""
    begin(apps)
    sources = [*sorted({key for key, _ in apps.there()}), *KEYS]
    ended = threading.Event()
    failures: list[BaseException] = []

    def guarded(work: object, *arguments: object) -> None:
        try:
            work(*arguments)  # type: ignore[operator]
        except BaseException as error:  # noqa: BLE001 - raised in the test itself
            failures.append(error)

    def writer(seed: int) -> None:
        chance = random.Random(seed)
        own = Applications(
            apps.database, apps.peer, apps.weaviate, apps.embedders, apps.namespace, apps.plan
        )
        for _ in range(25):
            texts = [f"{seed} {chance.random()}" for _ in range(chance.randint(0, 4))]
            put(own, chance.choice(sources), texts, {}, "Title")

    def relays() -> None:
        with open_peer(settings) as peer:
            while not ended.is_set():
                relay(apps.database, peer, apps.namespace)

    def fills() -> None:
        location = open_location(settings.backup_location)
        with open_peer(settings) as peer:
            backfill(apps.database, apps.namespace, peer=peer, location=location)

    writers = [threading.Thread(target=guarded, args=(writer, seed)) for seed in (1, 2)]
    others = [threading.Thread(target=guarded, args=(work,)) for work in (relays, fills)]
    for thread in (*writers, *others):
        thread.start()
    for thread in writers:
        thread.join()
    ended.set()
    for thread in others:
        thread.join()
    assert failures == []
    relay(apps.database, apps.peer, apps.namespace)
    apps.check_alike()
