"""A backfill that is interrupted goes on, leaves an archive, and begins only where it may."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import psycopg
import pytest
import stamina

from greenlang_vectors.errors import UsageError
from greenlang_vectors.lifecycle.location import Location, LocationUnavailable
from greenlang_vectors.lifecycle.manifest import ArchiveDamaged
from greenlang_vectors.migration import archive, backfill
from greenlang_vectors.migration.mapping import Mapper
from greenlang_vectors.migration.peer import Peer, WeaviateUnavailable
from greenlang_vectors.migration.plan import Plan
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import (
    leaves,
    weaviate_migrations,
    weaviate_parts,
    weaviate_ranges,
)
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.leaves import Leaf

pytest.importorskip("weaviate", reason="needs the extra weaviate")

from ..conftest import DIMENSIONS, MODEL, Fill
from .passages import Run, expected, save, stored

if TYPE_CHECKING:
    from local.weaviate_server.server import WeaviateServer


@pytest.mark.usefixtures("planned")
def test_faults_on_the_way_lose_and_double_nothing(
    connection: psycopg.Connection, namespace: str, filled: Fill, weaviate: WeaviateServer, run: Run
) -> None:
    sent = filled(200)
    weaviate.control.slow(0.01)
    weaviate.control.unavailable(calls=3, methods=["Search"])
    weaviate.control.lose_answers(3, methods=["Search"])
    with stamina.set_testing(True, attempts=8):
        assert run().written == 200
    assert stored(connection, namespace) == {UUID(each.id): expected(each) for each in sent}


@pytest.mark.usefixtures("planned")
def test_weaviate_that_goes_down_is_one_error_and_the_next_run_goes_on(
    connection: psycopg.Connection, namespace: str, filled: Fill, weaviate: WeaviateServer, run: Run
) -> None:
    sent = filled(200)

    def progress(done: int, *_: object) -> None:
        if done > 60:
            weaviate.control.unavailable(seconds=30, methods=["Search"])

    with stamina.set_testing(True, attempts=2), pytest.raises(WeaviateUnavailable):
        run(progress=progress)
    assert 60 < len(stored(connection, namespace)) < 200
    assert weaviate_migrations.get(connection, namespace).phase == "parallel"
    [status] = connection.execute(
        "SELECT status FROM embedding_jobs WHERE namespace = %s", [namespace]
    ).fetchall()
    assert status == ("failed",)
    weaviate.control.heal()
    report = run()
    assert (report.read < 200, report.objects) == (True, 200)
    assert stored(connection, namespace) == {UUID(each.id): expected(each) for each in sent}
    jobs = connection.execute(
        """
        SELECT status, source_count, processed_count, failed_count FROM embedding_jobs
        WHERE namespace = %s ORDER BY started_at DESC LIMIT 1
        """,
        [namespace],
    ).fetchone()
    assert jobs == ("succeeded", report.read, report.written, 0)


@pytest.mark.usefixtures("planned")
def test_a_batch_lands_with_its_position_and_its_part_or_not_at_all(
    connection: psycopg.Connection,
    namespace: str,
    filled: Fill,
    run: Run,
    location: Location,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    filled(100)
    with monkeypatch.context() as patched:

        def fail(*_: object) -> None:
            raise LocationUnavailable("The disk is full.")

        patched.setattr(weaviate_parts, "note", fail)
        with pytest.raises(LocationUnavailable):
            run()
    assert stored(connection, namespace) == {}
    ranges = weaviate_ranges.list_all(connection, namespace)
    assert {(each.position, each.objects) for each in ranges} == {(None, 0)}
    run()
    manifest = archive.load(location, namespace)
    assert manifest is not None
    assert (len(stored(connection, namespace)), manifest.objects) == (100, 100)


@pytest.mark.usefixtures("planned")
def test_two_runs_take_turns(filled: Fill, run: Run, begin: Callable[[], object]) -> None:
    filled(200)
    begin()
    reports: list[backfill.BackfillReport] = []
    runs = [threading.Thread(target=lambda: reports.append(run())) for _ in range(2)]
    for each in runs:
        each.start()
    for each in runs:
        each.join()
    assert sorted(report.read for report in reports) == [0, 200]


def test_each_batch_lies_in_the_archive_as_it_was(
    namespace: str,
    planned: Plan,
    filled: Fill,
    run: Run,
    location: Location,
    peer: Peer,
    settings: Settings,
) -> None:
    filled(120)
    report = run()
    manifest = archive.load(location, namespace)
    assert manifest is not None
    archive.verify(location, manifest)
    assert (manifest.objects, len(manifest.parts)) == (120, report.parts)
    mapper = Mapper(planned, namespace, peer.describe(planned.collection))
    there = {
        each.id: each
        for page in peer.pages(
            planned.collection,
            "",
            after=None,
            last=UUID(int=2**128 - 1),
            size=50,
            properties=mapper.properties,
            vectors=mapper.vectors,
        )
        for each in page
    }
    kept = {
        each.id: each
        for part in manifest.parts
        for page in archive.objects_of(location, manifest, part)
        for each in page
    }
    assert kept.keys() == there.keys()
    for key, each in kept.items():
        assert each.properties == there[key].properties
        assert each.updated_ms == there[key].updated_ms
        assert each.vectors[None].tobytes() == there[key].vectors[None].tobytes()
    part = Path(settings.backup_location) / "weaviate" / namespace / manifest.parts[0].name
    damaged = bytearray(part.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    part.write_bytes(damaged)
    with pytest.raises(ArchiveDamaged, match="does not match its SHA-256"):
        archive.verify(location, manifest)


@pytest.mark.usefixtures("planned")
def test_what_a_killed_run_left_in_the_archive_goes(
    namespace: str, filled: Fill, run: Run, location: Location
) -> None:
    filled(20)
    stray = archive.put(location, namespace, [], [None])
    run()
    manifest = archive.load(location, namespace)
    assert manifest is not None
    assert stray.name not in {part.name for part in manifest.parts}
    assert location.get(f"weaviate/{namespace}/{stray.name}") is None


def test_nothing_begins_before_dual_writing_does(
    database: Database,
    connection: psycopg.Connection,
    namespace: str,
    plan: Plan,
    peer: Peer,
    location: Location,
) -> None:
    for match in ("No migration", "phase planned"):
        with pytest.raises(UsageError, match=match):
            backfill.backfill(database, namespace, peer=peer, location=location)
        save(connection, namespace, plan)


def test_a_plan_that_does_not_fit_is_refused_by_name(
    connection: psycopg.Connection, namespace: str, plan: Plan, filled: Fill, run: Run
) -> None:
    filled(5)
    save(connection, namespace, plan.model_copy(update={"content": "body"}))
    with pytest.raises(UsageError, match="has no property 'body'"):
        run()


def test_a_tenant_that_is_not_there_is_refused(
    connection: psycopg.Connection, namespace: str, plan: Plan, filled: Fill, run: Run
) -> None:
    filled(5)
    save(connection, namespace, plan.model_copy(update={"tenants": ("acme",)}))
    with pytest.raises(UsageError, match=r"no tenant .?acme"):
        run()


def test_the_index_comes_afterwards(
    database: Database,
    connection: psycopg.Connection,
    namespace: str,
    planned: Plan,
    filled: Fill,
    run: Run,
    settings: Settings,
) -> None:
    filled(100)
    run()
    leaf = Leaf(namespace, MODEL, DIMENSIONS)
    kinds = """
        SELECT count(*) FROM pg_index JOIN pg_class c ON c.oid = indexrelid
        JOIN pg_am a ON a.oid = c.relam
        WHERE indrelid = %s::regclass AND amname IN ('hnsw', 'ivfflat')
    """
    table = leaf.table.as_string(connection)
    assert connection.execute(kinds, [table]).fetchone() == (0,)
    backfill.finish(database, namespace, planned, settings)
    assert connection.execute(kinds, [table]).fetchone() == (1,)
    assert leaves.count(connection, leaf) == 100
    found = connection.execute(
        "SELECT count(*) FROM text_statistics WHERE namespace = %s AND chunks = 100", [namespace]
    ).fetchone()
    assert found == (1,)
