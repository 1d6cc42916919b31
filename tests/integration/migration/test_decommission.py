"""A move ends only when everything is proven, and what it leaves can be read back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from obstore.store import LocalStore
from psycopg import sql

from greenlang_vectors.commands.migrate_tables import show_decommissioned
from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.errors import UsageError
from greenlang_vectors.lifecycle.location import Location, open_location
from greenlang_vectors.lifecycle.manifest import ArchiveDamaged
from greenlang_vectors.migration import archive
from greenlang_vectors.migration import decommission as ending
from greenlang_vectors.migration.backfill import backfill
from greenlang_vectors.migration.decommission import (
    Decommissioned,
    NotDecommissioned,
    decommission,
)
from greenlang_vectors.migration.peer import Peer
from greenlang_vectors.migration.phases import start
from greenlang_vectors.migration.plan import Gates, Plan
from greenlang_vectors.migration.relay import relay
from greenlang_vectors.migration.verification import verify
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import namespaces, weaviate_migrations, weaviate_parts
from greenlang_vectors.store.database import Database
from tests.integration.migration.moving import Side, put
from tests.integration.migration.shifting import read, verified

if TYPE_CHECKING:
    from local.weaviate_server.server import WeaviateServer
    from local.weaviate_server.store import Sent

pytestmark = pytest.mark.integration

COUNT = 60
End = Callable[[], Decommissioned]


@pytest.fixture
def plan(plan: Plan, request: pytest.FixtureRequest) -> Plan:
    """With the primary that the test asks for."""
    primary = getattr(request, "param", "pgvector")
    gates = Gates(hold_seconds=0, reads=5, p99_ms=1000)
    return plan.model_copy(update={"gates": gates, "primary": primary})


@pytest.fixture
def location(settings: Settings) -> Location:
    return open_location(settings.backup_location)


@pytest.fixture
def moved(
    database: Database,
    peer: Peer,
    namespace: str,
    plan: Plan,
    location: Location,
    filled: Callable[[int], list[Sent]],
) -> list[Sent]:
    """Objects that were carried over, and callers whom pgvector answers."""
    objects = filled(COUNT)
    with database.connect() as connection:
        weaviate_migrations.save_plan(connection, namespace, plan.model_dump(mode="json"))
    start(database, peer, namespace)
    backfill(database, namespace, peer=peer, location=location)
    with database.connect() as connection:
        with weaviate_migrations.changing(connection, namespace):
            weaviate_migrations.move(
                connection, namespace, "traffic", phase="shifting", share=100, evidence={}
            )
        read(connection, namespace, 10)
    verify(database, peer, namespace, patience=0, queries=3)
    return objects


@pytest.fixture
def end(database: Database, peer: Peer, location: Location, namespace: str) -> End:
    return lambda: decommission(database, peer, location, namespace, by="A. Person")


def test_a_move_ends_with_an_archive_and_a_signed_report(
    end: End,
    moved: list[Sent],
    database: Database,
    location: Location,
    namespace: str,
    plan: Plan,
    weaviate: WeaviateServer,
) -> None:
    done = end()

    assert weaviate.control.ids(plan.collection) == sorted(each.id for each in moved)
    content = location.get(done.json_key)
    assert content is not None
    assert hashlib.sha256(content).hexdigest() == done.json_sha256
    said = json.loads(content)
    assert said["signed_off"]["by"] == "A. Person"
    compared = said["last_comparison"]
    assert compared["clean"]
    assert (compared["weaviate"], compared["counted"], compared["pgvector"]) == (COUNT,) * 3
    assert [step["step"] for step in said["steps"]] == ["plan", "start", "backfill", "traffic"]
    assert said["gates"]["overlap"]["holds"]
    [command] = said["delete_in_weaviate"]
    assert command.startswith("curl -X DELETE")
    assert f"/v1/schema/{plan.collection}" in command
    manifest = archive.load(location, namespace)
    assert manifest is not None
    assert said["archive"]["manifest"] == archive.key_of(manifest)
    archive.verify(location, manifest)
    kept = {
        str(each.id): each.vectors[None].tobytes()
        for part in manifest.parts
        for page in archive.objects_of(location, manifest, part)
        for each in page
    }
    assert kept == {each.id: each.vectors[""].data for each in moved}
    text = location.get(done.markdown_key)
    assert text is not None
    for word in (done.json_sha256, "A. Person", command, *(part.sha256 for part in manifest.parts)):
        assert word in text.decode()
    with database.connect() as connection:
        state = weaviate_migrations.get(connection, namespace)
        last = weaviate_migrations.steps(connection, namespace)[-1]
    assert (state.phase, state.share) == ("decommissioned", 100)
    assert last.evidence["report_sha256"] == done.json_sha256
    assert last.evidence["by"] == "A. Person"


def test_nothing_is_written_to_weaviate_after_the_end(
    end: End, moved: list[Sent], database: Database, peer: Peer, namespace: str, toys: Embedders
) -> None:
    assert moved
    end()

    put(database, toys, namespace, "written later", ["A passage."])

    with pytest.raises(UsageError, match="phase decommissioned"):
        relay(database, peer, namespace)
    with database.connect() as connection:
        row = connection.execute(
            "SELECT count(*) FROM weaviate_outbox WHERE namespace = %s", [namespace]
        ).fetchone()
    assert row == (0,)
    with pytest.raises(UsageError, match=r"ended already.*report-"):
        end()


@pytest.mark.parametrize(
    ("plan", "writers"), [("pgvector", False), ("weaviate", True)], indirect=["plan"]
)
def test_that_applications_may_still_write_to_weaviate_is_said(
    end: End, moved: list[Sent], location: Location, writers: bool
) -> None:
    assert moved
    done = end()
    text = (location.get(done.markdown_key) or b"").decode()
    for said in (" ".join(done.report.warnings), text):
        assert ("Applications wrote to Weaviate until now" in said) is writers
    assert ("Nothing was written to Weaviate any more" in text) is not writers


def test_what_another_namespace_has_still_to_move_is_not_offered_to_be_deleted(
    end: End,
    moved: list[Sent],
    database: Database,
    location: Location,
    namespace: str,
    plan: Plan,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert moved
    other = f"{namespace}-b"
    with database.connect() as connection:
        namespaces.register(connection, other)
        weaviate_migrations.save_plan(connection, other, plan.model_dump(mode="json"))

    done = end()

    assert done.report.commands == []
    show_decommissioned(done)
    for said in (
        capsys.readouterr().out,
        (location.get(done.markdown_key) or b"").decode(),
        (location.get(done.json_key) or b"").decode(),
    ):
        assert f"it is needed by {other}" in " ".join(said.split())
        assert "curl" not in said
        assert "This deletes it" not in said
    with database.connect() as connection:
        assert ending.needed_by(connection, other, plan) == [], "what has ended needs nothing"


WRONG = {
    "UPDATE weaviate_migrations SET phase = 'backfilled', share = 0 WHERE namespace = %s": (
        "Its phase is backfilled, not shifting. pgvector answers 0% of its callers"
    ),
    "UPDATE weaviate_migrations SET share = 50 WHERE namespace = %s": (
        "pgvector answers 50% of its callers, not 100%"
    ),
    "DELETE FROM weaviate_shadow_reads WHERE namespace = %s": "Gates do not hold: ",
    "DELETE FROM weaviate_verifications WHERE namespace = %s": "It was never verified",
    "UPDATE weaviate_verifications SET clean = false WHERE namespace = %s": (
        "The newest verification is not clean"
    ),
    "UPDATE weaviate_verifications SET finished_at = now() - interval '2 days'"
    " WHERE namespace = %s": "The newest verification is of ",
    "INSERT INTO weaviate_outbox (namespace, document_id) VALUES (%s, gen_random_uuid())": (
        "1 documents wait for the relay"
    ),
}
"""What makes a state wrong, and what is said of it."""


def test_it_is_refused_in_each_wrong_state_with_its_reason(
    end: End, moved: list[Sent], database: Database, location: Location, namespace: str
) -> None:
    assert moved
    before = location.keys(archive.ROOT)
    with database.connect() as connection:
        for statement, reason in WRONG.items():
            connection.execute(statement, [namespace])

            with pytest.raises(UsageError, match="cannot end yet") as refused:
                end()

            assert reason in str(refused.value)
            ready(connection, namespace)
    assert location.keys(archive.ROOT) == before
    assert end().report.compared.clean


def ready(connection: psycopg.Connection, namespace: str) -> None:
    """Let nothing keep the move from ending."""
    connection.execute(
        "UPDATE weaviate_migrations SET phase = 'shifting', share = 100 WHERE namespace = %s",
        [namespace],
    )
    for table in ("weaviate_outbox", "weaviate_shadow_reads", "weaviate_verifications"):
        connection.execute(
            sql.SQL("DELETE FROM {} WHERE namespace = %s").format(sql.Identifier(table)),
            [namespace],
        )
    read(connection, namespace, 10)
    verified(connection, namespace)


def phase(database: Database, namespace: str) -> str:
    with database.connect() as connection:
        return weaviate_migrations.get(connection, namespace).phase


def test_it_is_refused_where_the_last_comparison_finds_a_difference(
    end: End, moved: list[Sent], side: Side, database: Database, namespace: str
) -> None:
    side.flip_bit_here(moved[3])

    with pytest.raises(NotDecommissioned, match="1 objects differ"):
        end()

    assert phase(database, namespace) == "shifting"


class Damaging(Location):
    """A location that stores other bytes than it was given."""

    def put(self, key: str, data: bytes) -> None:
        super().put(key, data[:-1] + b"?" if key.endswith(".parquet") else data)


def test_it_is_refused_where_the_archive_is_not_read_back_as_written(
    moved: list[Sent],
    database: Database,
    peer: Peer,
    namespace: str,
    settings: Settings,
) -> None:
    assert moved
    folder = Path(settings.backup_location)
    damaging = Damaging(LocalStore(folder), folder)

    with pytest.raises(ArchiveDamaged, match="does not match its SHA-256"):
        decommission(database, peer, damaging, namespace, by="A. Person")

    assert phase(database, namespace) == "shifting"


@pytest.mark.parametrize("at", ["_signed", "_end"])
def test_one_that_was_killed_is_repeated(
    end: End,
    moved: list[Sent],
    database: Database,
    peer: Peer,
    location: Location,
    namespace: str,
    toys: Embedders,
    monkeypatch: pytest.MonkeyPatch,
    at: str,
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(ending, at, _killed)
        with pytest.raises(KeyboardInterrupt):
            end()
    assert phase(database, namespace) == "shifting"
    put(database, toys, namespace, "written meanwhile", ["A passage."])
    assert relay(database, peer, namespace).written == 1, "both sides are written to as before"

    done = end()

    assert done.report.manifest.objects == len(moved) + 1
    archive.verify(location, done.report.manifest)
    with database.connect() as connection:
        noted = {each.name for each in weaviate_parts.list_all(connection, namespace)}
    parts = {
        key.rpartition("/")[2] for key in location.keys(archive.ROOT) if key.endswith(".parquet")
    }
    assert parts == noted | {each.name for each in done.report.manifest.parts}


def _killed(*_arguments: object) -> None:
    raise KeyboardInterrupt


def test_what_is_written_while_it_ends_is_no_difference(
    moved: list[Sent],
    database: Database,
    peer: Peer,
    location: Location,
    namespace: str,
    toys: Embedders,
) -> None:
    keys = iter(["written meanwhile"])

    def write(*_news: object) -> None:
        for key in keys:
            put(database, toys, namespace, key, ["A passage.", "Another."])

    done = decommission(database, peer, location, namespace, by="A. Person", progress=write)

    assert done.report.compared.differing == 0
    assert done.report.not_relayed == 1
    assert done.report.manifest.objects == len(moved)
    assert phase(database, namespace) == "decommissioned"
