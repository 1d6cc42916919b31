"""Restoring: beside what serves, refused where something is, exchanged when it was compared."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from greenlang_vectors.backup import restore as restoring
from greenlang_vectors.backup.errors import ExportDamaged, RestoreFailed
from greenlang_vectors.backup.export import create
from greenlang_vectors.backup.manifest import load
from greenlang_vectors.backup.restore import restore
from greenlang_vectors.backup.scratch import neighbour
from greenlang_vectors.backup.staging import Staging
from greenlang_vectors.errors import UnknownCollection, UnknownNamespace, UsageError
from greenlang_vectors.lifecycle.location import Location
from greenlang_vectors.search.nearest import nearest
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import (
    collection_locks,
    collections,
    leaves,
    namespaces,
    schema,
    segments,
)
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.encryption import administration
from greenlang_vectors.store.index_settings import IndexSettings

from ..conftest import AddDocument
from .conftest import DOCUMENTS, MARK, PASSAGES, Filled, everything_of, fill, rows_of

pytestmark = pytest.mark.integration


@pytest.fixture
def mine(database: Database, add_document: AddDocument, request: pytest.FixtureRequest) -> Filled:
    """A namespace of the test's own."""
    return fill(database, f"t{abs(hash(request.node.nodeid)) % 10**9}", add_document)


@pytest.fixture
def export_id(mine: Filled, location: Location, settings: Settings) -> str:
    made = create(mine.database, location, mine.name, settings=settings)
    assert made is not None
    return made.export


def test_what_is_there_is_not_restored_over_unless_asked(
    mine: Filled, export_id: str, location: Location, settings: Settings, add_document: AddDocument
) -> None:
    with mine.database.connect() as connection:
        before = everything_of(connection, mine.name)
        add_document(connection, mine.name, "later.txt", ["later"])
        changed = everything_of(connection, mine.name)
        with pytest.raises(UsageError, match="nothing was restored over it"):
            restore(mine.database, location, export_id, settings=settings)
        assert everything_of(connection, mine.name) == changed
        restore(mine.database, location, export_id, settings=settings, replace=True)
        assert everything_of(connection, mine.name) == before


def test_what_serves_goes_on_serving_until_all_is_compared(
    mine: Filled,
    export_id: str,
    location: Location,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = []
    real = Staging.differences

    def meanwhile(staging: Staging, *arguments: object) -> list[str]:
        with mine.database.connect() as connection:
            [query] = connection.execute(
                "SELECT embedding FROM vector_embeddings WHERE namespace = %s"
                " AND embedding_model = %s LIMIT 1",
                [mine.name, mine.leaf.model],
            ).fetchone() or [None]
            answer = nearest(
                connection, mine.leaf, query.to_numpy(), 3, index=IndexSettings(), plan="index"
            )
            found.append((len(answer.candidates), answer.plan))
        return real(staging, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Staging, "differences", meanwhile)
    restore(mine.database, location, export_id, settings=settings, replace=True)
    [(answers, plan)] = found
    assert answers == 3
    assert "hnsw" in plan


def test_a_restore_that_is_ready_waits_for_whoever_reads(
    mine: Filled,
    export_id: str,
    location: Location,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(collection_locks, "LOCK_SECONDS", 1)
    reading, ready = threading.Event(), threading.Event()

    def read() -> None:
        with mine.database.connect() as connection, connection.transaction():
            connection.execute("SELECT FROM documents WHERE namespace = %s", [mine.name])
            reading.set()
            ready.wait(30)
            time.sleep(1.5)

    real = Staging.bound

    def bound(staging: Staging, *arguments: object) -> None:
        real(staging, *arguments)  # type: ignore[arg-type]
        ready.set()

    monkeypatch.setattr(Staging, "bound", bound)
    reader = threading.Thread(target=read)
    reader.start()
    reading.wait(10)
    restore(mine.database, location, export_id, settings=settings, replace=True)
    assert ready.is_set()
    reader.join()


def test_a_database_beside_the_one_in_use_is_made_for_a_restore(
    mine: Filled, export_id: str, location: Location, settings: Settings, server: str
) -> None:
    name = f"beside_{mine.name}"
    for replace in (False, True):
        beside = neighbour(mine.database, settings, name)
        report = restore(beside, location, export_id, settings=settings, replace=replace)
        assert report.database.endswith(f"/{name}")
        with beside.connect() as there, mine.database.connect() as here:
            assert everything_of(there, mine.name) == everything_of(here, mine.name)
        beside.close()
    with psycopg.connect(server, autocommit=True) as superuser:
        superuser.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.mark.parametrize("failure", ["differs", "refused", "killed"])
def test_a_restore_that_fails_leaves_what_was_there(
    mine: Filled,
    export_id: str,
    location: Location,
    settings: Settings,
    failure: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*_: object) -> list[str]:
        if failure == "refused":
            raise psycopg.errors.DiskFull("could not extend file: No space left on device")
        if failure == "killed":
            raise KeyboardInterrupt
        return ["documents has 41 rows, not 42"]

    expected = {"differs": ExportDamaged, "refused": RestoreFailed, "killed": KeyboardInterrupt}
    with mine.database.connect() as connection:
        before = everything_of(connection, mine.name)
        with monkeypatch.context() as patch:
            patch.setattr(Staging, "differences", fails)
            with pytest.raises(expected[failure], match=r"41 rows|No space|"):
                restore(mine.database, location, export_id, settings=settings, replace=True)
        assert everything_of(connection, mine.name) == before
        restore(mine.database, location, export_id, settings=settings, replace=True)
        assert everything_of(connection, mine.name) == before


def test_what_a_killed_restore_left_is_in_nobodys_way(
    mine: Filled, export_id: str, location: Location, settings: Settings
) -> None:
    with mine.database.connect() as connection:
        connection.execute("SET ROLE vector_admin")
        connection.execute(f"CREATE TABLE restoring.documents_{mine.name} (left_over integer)")  # type: ignore[call-overload]
        restore(mine.database, location, export_id, settings=settings, replace=True)
        left = connection.execute(
            "SELECT count(*) FROM pg_class WHERE relnamespace = 'restoring'::regnamespace"
        )
        assert left.fetchone() == (0,)


def test_a_row_that_differs_is_found_in_its_table(
    mine: Filled,
    export_id: str,
    location: Location,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = Staging.index

    def tampered(staging: Staging, *arguments: object) -> None:
        real(staging, *arguments)  # type: ignore[arg-type]
        with mine.database.connect() as connection:
            connection.execute("SET ROLE vector_admin")
            connection.execute(
                f"UPDATE restoring.documents_{mine.name} SET size_bytes = size_bytes + 1"  # type: ignore[call-overload]
                " WHERE source_key = '3.txt'"
            )
            connection.execute(f"DELETE FROM restoring.dead_letters_{mine.name}")  # type: ignore[call-overload]

    monkeypatch.setattr(Staging, "index", tampered)
    with pytest.raises(ExportDamaged) as caught:
        restore(mine.database, location, export_id, settings=settings, replace=True)
    assert f"rows of documents_{mine.name} are not those" in str(caught.value)
    assert f"dead_letters_{mine.name} has 0 rows, not 1" in str(caught.value)


def test_one_collection_comes_back_to_the_passages_it_has(
    mine: Filled, export_id: str, location: Location, settings: Settings, add_document: AddDocument
) -> None:
    with mine.database.connect() as connection:
        before = everything_of(connection, mine.name)
        collections.drop(connection, f"{mine.name}/{mine.other.model}")
        report = restore(
            mine.database, location, export_id, settings=settings, model=mine.other.model
        )
        assert (report.rows, report.left_out) == (DOCUMENTS * PASSAGES, 0)
        after = everything_of(connection, mine.name)
        gone = f"index_builds_{mine.name}"  # with the collection
        assert after.pop(gone) != before.pop(gone)
        assert after == before
        texts = [f"changed {place}" for place in range(PASSAGES)]
        add_document(connection, mine.name, "0.txt", texts)
        with pytest.raises(UsageError, match="nothing was restored over it"):
            restore(mine.database, location, export_id, settings=settings, model=mine.other.model)
        report = restore(
            mine.database,
            location,
            export_id,
            settings=settings,
            model=mine.other.model,
            replace=True,
        )
        assert report.left_out == PASSAGES
        assert leaves.count(connection, mine.other) == (DOCUMENTS - 1) * PASSAGES
        serving = collections.serving(connection, mine.name)
        assert serving is not None
        assert serving.model == mine.leaf.model
        with pytest.raises(UnknownCollection, match=mine.other.model):
            restore(mine.database, location, export_id, settings=settings, model="nobody")


def test_a_collection_needs_its_namespace_and_a_namespace_none(
    mine: Filled, export_id: str, location: Location, settings: Settings, elsewhere: Database
) -> None:
    with pytest.raises(UnknownNamespace, match="has no passages"):
        restore(elsewhere, location, export_id, settings=settings, model=mine.leaf.model)
    with elsewhere.connect() as there:
        namespaces.register(there, mine.name)  # and holds nothing
    restore(elsewhere, location, export_id, settings=settings)
    with elsewhere.connect() as there, mine.database.connect() as here:
        restored, original = everything_of(there, mine.name), everything_of(here, mine.name)
        assert restored == original
        assert segments.on_leaf(there, mine.leaf)


def test_the_audit_log_tells_of_the_restore_and_goes_on(
    mine: Filled, export_id: str, location: Location, settings: Settings, elsewhere: Database
) -> None:
    def records(connection: psycopg.Connection) -> list[tuple[str, int]]:
        return connection.execute(
            "SELECT operation, sum(cardinality(record_ids))::integer FROM vector_audit_log"
            " WHERE namespace = %s GROUP BY operation ORDER BY 1",
            [mine.name],
        ).fetchall()

    rows = 2 * DOCUMENTS * PASSAGES
    with mine.database.connect() as connection:
        assert records(connection) == [("INSERT", rows), ("UPDATE", rows)]
        restore(mine.database, location, export_id, settings=settings, replace=True)
        assert records(connection) == [("DROP", rows), ("INSERT", 2 * rows), ("UPDATE", rows)]
    restore(elsewhere, location, export_id, settings=settings)
    with elsewhere.connect() as connection:
        assert records(connection) == [("INSERT", 2 * rows), ("UPDATE", rows)]
        connection.execute("DELETE FROM vector_embeddings WHERE namespace = %s", [mine.name])
        assert records(connection)[0] == ("DELETE", rows)


def test_a_sealed_namespace_stays_sealed(
    mine: Filled,
    location: Location,
    folder: Path,
    settings: Settings,
    elsewhere: Database,
    tmp_path: Path,
) -> None:
    sealing = settings.model_copy(update={"encryption_key_file": tmp_path / "master.key"})
    with mine.database.connect() as connection:
        administration.enable(connection, mine.name, sealing)
    plain = sealing.model_copy(update={"backup_compression": "none"})
    made = create(mine.database, location, mine.name, settings=plain)
    assert made is not None
    dump = (folder / "pgvector" / made.export / "dump").read_bytes()
    assert f"“3.{PASSAGES - 1}”".encode() not in dump
    master = (tmp_path / "master.key").read_bytes()
    written = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert master.strip() not in written
    report = restore(elsewhere, location, made.export, settings=settings)
    assert len(report.master_keys) == 1
    with elsewhere.connect() as connection:
        [status] = administration.status(connection)
        assert (status.encrypted, status.complete) == (True, True)
        with pytest.raises(psycopg.errors.CheckViolation, match="clear text"):
            connection.execute(
                "INSERT INTO vector_search_logs (namespace, id, mode, query_text, top_k,"
                " result_count, plan, latency_ms)"
                " VALUES (%s, gen_random_uuid(), 'text', 'clear', 1, 1, '', 1)",
                [mine.name],
            )
        assert MARK.format(mine.name) not in "".join(
            rows_of(connection, f"document_chunks_{mine.name}")
        )


def test_an_export_of_another_schema_or_a_newer_server_is_refused(
    mine: Filled,
    export_id: str,
    location: Location,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(schema, "current", lambda _: "9999")
        with pytest.raises(UsageError, match=r"is of schema 00\d\d, the database of 9999"):
            restore(mine.database, location, export_id, settings=settings, replace=True)
    newer = load(location, export_id).model_copy(update={"pgvector_version": "99.0"})
    monkeypatch.setattr(restoring.exports, "opened", lambda *_: newer)
    with pytest.raises(UsageError, match="newer than the database's"):
        restore(mine.database, location, export_id, settings=settings, replace=True)


def test_numbers_go_on_after_those_that_were_restored(
    mine: Filled, location: Location, settings: Settings, elsewhere: Database
) -> None:
    with mine.database.connect() as connection:
        for number in range(3):
            connection.execute(
                "INSERT INTO weaviate_steps (namespace, step, phase, share)"
                " VALUES (%s, 'plan', 'planned', %s)",
                [mine.name, number],
            )
            connection.execute(
                "INSERT INTO weaviate_outbox (namespace, document_id)"
                " VALUES (%s, gen_random_uuid())",
                [mine.name],
            )
    made = create(mine.database, location, mine.name, settings=settings)
    assert made is not None
    restore(elsewhere, location, made.export, settings=settings)
    with elsewhere.connect() as connection:
        connection.execute(
            "INSERT INTO weaviate_steps (namespace, step, phase, share)"
            " VALUES (%s, 'plan', 'planned', 9)",
            [mine.name],
        )
        connection.execute(
            "INSERT INTO weaviate_outbox (namespace, document_id) VALUES (%s, gen_random_uuid())",
            [mine.name],
        )
        for table in ("weaviate_steps", "weaviate_outbox"):
            ids = [i for (i,) in connection.execute(f"SELECT id FROM {table} ORDER BY id")]  # type: ignore[call-overload]
            assert len(ids) == len(set(ids)) == 4
