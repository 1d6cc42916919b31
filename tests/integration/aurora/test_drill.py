"""A drill restores a snapshot, asks a real database in its place, tags it and clears up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from greenlang_vectors.backup.aurora import drill, making, snapshots
from greenlang_vectors.backup.aurora.deployment import Deployment
from greenlang_vectors.backup.aurora.drill import SCRATCH
from greenlang_vectors.backup.aurora.errors import NameTaken, RestoreFailed
from greenlang_vectors.backup.aurora.proof import prove
from greenlang_vectors.backup.aurora.restoring import Placement, restore_snapshot
from greenlang_vectors.backup.aurora.snapshots import Snapshot
from greenlang_vectors.errors import UsageError
from greenlang_vectors.settings import Settings, get_settings
from greenlang_vectors.store import collections, namespaces
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.leaves import Leaf

from ..conftest import AddDocument, Cli
from .conftest import CLUSTER, HOME, Aws

pytestmark = pytest.mark.integration

ROWS = 12
SCRATCH_CLUSTER = f"{SCRATCH}daily-2026-02-03"


@pytest.fixture
def restored(new_database: Callable[[], str]) -> Iterator[Database]:
    """What the restored cluster holds."""
    database = Database(new_database())
    yield database
    database.close()


@pytest.fixture
def filled(
    restored: Database,
    add_document: AddDocument,
    embed_all: Callable[[psycopg.Connection, Leaf], int],
) -> Database:
    with restored.connect() as connection:
        namespaces.register(connection, "csrd")
        add_document(connection, "csrd", "a.txt", [f"Passage {n} of it." for n in range(ROWS)])
        assert embed_all(connection, Leaf("csrd", "test-model", 8)) == ROWS
    return restored


@pytest.fixture
def snapshot(aws: Aws, aurora: Deployment) -> Snapshot:
    made = making.create(aurora.rds, CLUSTER, "daily", date(2026, 2, 3), quota=100)
    aws.changes.clear()
    return made


@pytest.fixture
def run(
    restored: Database,
    aurora: Deployment,
    aurora_settings: Settings,
    snapshot: Snapshot,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[], drill.Drill]:
    """Drills the snapshot; its cluster's endpoint leads to the real database."""
    from moto.rds.models import DBCluster

    reached = conninfo_to_dict(restored.url)
    monkeypatch.setattr(DBCluster, "endpoint", property(lambda _: reached["host"]))
    settings = aurora_settings.model_copy(
        update={"database_url": Settings(database_url=restored.url).database_url}
    )
    return lambda: drill.drill(aurora.rds, snapshot, settings, Placement())


def tagged(aurora: Deployment, snapshot: Snapshot) -> str | None:
    return snapshots.get(aurora.rds, CLUSTER, snapshot.id).verified_at


def test_a_snapshot_that_holds_is_tagged_and_its_cluster_removed(
    aws: Aws,
    aurora: Deployment,
    snapshot: Snapshot,
    filled: Database,  # noqa: ARG001
    run: Callable[[], drill.Drill],
) -> None:
    done = run()
    assert (done.snapshot, done.within_rto) == (snapshot.id, True)
    [collection] = done.collections
    assert (collection.collection, collection.rows) == ("csrd/test-model", ROWS)
    assert collection.recall_at_10 == 1.0
    assert tagged(aurora, snapshot)
    assert [name for name, _ in aws.changes] == [
        *("restore_db_cluster_from_snapshot", "create_db_instance"),
        *("delete_db_instance", "delete_db_cluster"),
    ]
    assert set(aws.backend().clusters) == {CLUSTER}


def test_the_command_proves_the_newest_one(
    aws: Aws,
    snapshot: Snapshot,
    filled: Database,
    run: object,  # noqa: ARG001 - the endpoint leads to the real database
    cli: Cli,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {
        "GREENLANG_AURORA_CLUSTER": CLUSTER,
        "GREENLANG_AURORA_REGION": HOME,
        "GREENLANG_DATABASE_URL": filled.url,
    }.items():
        monkeypatch.setenv(name, value)
    get_settings.cache_clear()
    done = cli("snapshots", "drill", "--json")
    assert (done.code, done.json["snapshot"], done.json["within_rto"]) == (0, snapshot.id, True)
    [collection] = done.json["collections"]
    assert (collection["collection"], collection["rows"]) == ("csrd/test-model", ROWS)
    kept = aws.backend().cluster_snapshots  # the stand-in keeps what AWS deletes with a cluster
    for automated in [each for each in kept if each.startswith("rds:greenlang-drill")]:
        del kept[automated]
    said = cli("snapshots", "drill", snapshot.id).out
    assert f"csrd/test-model: {ROWS} rows, recall@10 1.000" in said
    assert f"{snapshot.id} is proven; it was back after 0 s, within the 2:00:00" in said


def test_one_that_holds_nothing_is_not_tagged(
    aws: Aws, aurora: Deployment, snapshot: Snapshot, run: Callable[[], drill.Drill]
) -> None:
    with pytest.raises(RestoreFailed, match="holds no embeddings"):
        run()
    assert tagged(aurora, snapshot) is None
    assert set(aws.backend().clusters) == {CLUSTER}


def test_one_that_cannot_be_read_is_not_tagged(
    aws: Aws,
    aurora: Deployment,
    snapshot: Snapshot,
    filled: Database,
    run: Callable[[], drill.Drill],
) -> None:
    leaf = Leaf("csrd", "test-model", 8)
    with filled.connect() as connection:
        connection.execute(f'ALTER TABLE "{leaf.name}" RENAME TO broken'.encode())
    with pytest.raises(RestoreFailed, match="cannot be read"):
        run()
    assert tagged(aurora, snapshot) is None
    assert set(aws.backend().clusters) == {CLUSTER}


def test_one_in_which_searches_miss_what_is_there_does_not_hold(
    filled: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    from greenlang_vectors.quality import recall

    real = recall.nearest

    def misses(*given: object, plan: str = "auto", **named: object) -> object:
        found = real(*given, plan=plan, **named)  # type: ignore[arg-type]
        if plan != "exact":
            del found.candidates[2:]
        return found

    monkeypatch.setattr(recall, "nearest", misses)
    with filled.connect() as connection, pytest.raises(RestoreFailed, match="is promised"):
        prove(connection, Settings())


def test_one_of_another_schema_is_for_the_version_that_wrote_it(filled: Database) -> None:
    with filled.connect() as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
        with pytest.raises(RestoreFailed, match="schema 0001"):
            prove(connection, Settings())


def test_proving_writes_nothing(filled: Database) -> None:
    with filled.connect() as connection:
        connection.execute("SET default_transaction_read_only = on")
        assert [each.rows for each in prove(connection, Settings())] == [ROWS]
        assert len(collections.list_all(connection)) == 1


def test_a_drill_that_was_killed_is_taken_up(
    aws: Aws,
    aurora: Deployment,
    snapshot: Snapshot,
    filled: Database,  # noqa: ARG001
    run: Callable[[], drill.Drill],
) -> None:
    restore_snapshot(aurora.rds, snapshot, SCRATCH_CLUSTER, Placement())
    run()
    assert len(aws.asked("restore_db_cluster_from_snapshot")) == 1
    assert set(aws.backend().clusters) == {CLUSTER}


def test_only_a_cluster_that_a_drill_restored_is_removed(
    aws: Aws, aurora: Deployment, snapshot: Snapshot
) -> None:
    restore_snapshot(aurora.rds, snapshot, "greenlang-mine", Placement())
    for name in (CLUSTER, "greenlang-mine"):
        with pytest.raises(NameTaken, match="stays"):
            drill.remove(aurora.rds, name, snapshot)
    assert aws.asked("delete_db_cluster") == []


def test_without_credentials_no_cluster_is_begun(
    aws: Aws, aurora: Deployment, aurora_settings: Settings, snapshot: Snapshot
) -> None:
    with pytest.raises(UsageError, match="GREENLANG_DATABASE_URL"):
        drill.drill(aurora.rds, snapshot, aurora_settings, Placement())
    assert aws.changes == []
    assert HOME in snapshot.arn
