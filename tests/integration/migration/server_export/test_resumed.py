"""A backfill that reads the server's export goes on where it was, and says what keeps it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from greenlang_vectors.errors import UsageError
from greenlang_vectors.lifecycle.location import Location, LocationUnavailable, open_location
from greenlang_vectors.migration import phases, server_export
from greenlang_vectors.migration.dry_run import dry_run
from greenlang_vectors.migration.exported import ExportUnreadable
from greenlang_vectors.migration.peer import Peer, open_peer
from greenlang_vectors.migration.plan import Plan
from greenlang_vectors.migration.server_export import ExportFailed, Exports, exports_of
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import weaviate_ranges
from greenlang_vectors.store.database import Database

from .conftest import Run, kept, made

pytest.importorskip("weaviate", reason="needs the extra weaviate")

from local.weaviate_server import exports as standing_in
from local.weaviate_server.server import WeaviateServer

if TYPE_CHECKING:
    from ..conftest import Fill

pytestmark = pytest.mark.integration


def test_one_that_was_killed_goes_on_at_the_row_where_it_stopped(
    database: Database,
    namespace: str,
    plan: Plan,
    filled: Fill,
    run: Run,
    exports: Exports,
    location: Location,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(standing_in, "OBJECTS_A_FILE", 50)
    monkeypatch.setattr(standing_in, "OBJECTS_A_GROUP", 20)
    sent = filled(120)
    small = plan.model_copy(update={"batch": 15})

    def killed(done: int, _total: int, unit: str) -> None:
        if unit == "objects" and done >= 45:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(exports, plan=small, progress=killed)
    with database.connect() as connection:
        before = weaviate_ranges.list_all(connection, namespace)
    landed = sum(each.objects for each in before)
    assert 45 <= landed < 120
    report = run(exports)
    assert (report.read, report.objects) == (120 - landed, 120)
    assert len(made(folder, namespace)) == 1, "the export is not made twice"
    assert kept(location, namespace) == Counter(UUID(each.id) for each in sent)
    assert run(exports).read == 0


def test_one_that_was_killed_while_the_server_exports_goes_on_waiting(
    namespace: str,
    filled: Fill,
    run: Run,
    exports: Exports,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    filled(20)
    for at in ("start_export", "export_status"):
        with monkeypatch.context() as patched:
            patched.setattr(Peer, at, _killed_at(at, getattr(Peer, at)))
            with pytest.raises(KeyboardInterrupt):
                run(exports)
    assert run(exports).written == 20
    assert len(made(folder, namespace)) == 1


def _killed_at(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """A kill before the export is asked for, or when it was."""

    def killed(peer: Peer, backend: str, *arguments: str) -> Any:  # noqa: ANN401
        if name == "start_export" or call(peer, backend, *arguments) is not None:
            raise KeyboardInterrupt
        return None

    return killed


def test_the_server_is_waited_for(
    filled: Fill, run: Run, exports: Exports, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(20)
    monkeypatch.setattr(server_export, "POLL_SECONDS", 0.01)
    asked = Peer.export_status
    states = iter([None, "STARTED", "TRANSFERRING", "TRANSFERRING"])

    def slowly(peer: Peer, backend: str, export: str) -> dict[str, Any] | None:
        found = asked(peer, backend, export)
        state = next(states, None)
        if found is None or state is None:
            return found
        shards = {name: {"shard": {"objectsExported": 7}} for name in found["classes"]}
        return {**found, "status": state, "shardStatus": shards}

    monkeypatch.setattr(Peer, "export_status", slowly)
    told: list[tuple[int, int, str]] = []
    assert run(exports, progress=lambda *news: told.append(news)).written == 20
    assert (7, 20, "objects exported") in told
    assert next(states, "none are left") == "none are left"


def test_an_export_that_failed_is_told_and_made_anew(
    namespace: str,
    filled: Fill,
    run: Run,
    exports: Exports,
    weaviate: WeaviateServer,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    filled(20)
    known = weaviate.control._exports._done

    def fail(*arguments: Any) -> Any:  # noqa: ANN401
        start(*arguments)
        known[arguments[2]] |= {"status": "FAILED", "error": "the disk is full"}

    start = Peer.start_export
    with monkeypatch.context() as patched:
        patched.setattr(Peer, "start_export", fail)
        with pytest.raises(ExportFailed, match=r"FAILED \(the disk is full\)"):
            run(exports)
    assert run(exports).written == 20
    assert len(made(folder, namespace)) == 2


@pytest.mark.usefixtures("filled")
def test_a_server_that_cannot_export_is_one_error_that_says_what_helps(
    database: Database,
    namespace: str,
    filled: Fill,
    run: Run,
    exports: Exports,
    peer: Peer,
    settings: Settings,
) -> None:
    filled(20)
    with pytest.raises(UsageError, match=r"backend s3 not available.*Unset GREENLANG_WEAVIATE"):
        run(Exports("s3", exports.location))
    assert dry_run(database, peer, namespace, exports=exports).export == "filesystem"
    [found] = dry_run(database, peer, namespace, exports=Exports("s3", exports.location)).problems
    assert (found.reason, found.fatal) == ("no_export", True)
    with (
        WeaviateServer(version="1.36.9") as old,
        open_peer(
            settings.model_copy(
                update={"weaviate_url": old.url, "weaviate_grpc_port": old.grpc_port}
            )
        ) as its,
    ):
        unable = server_export.problem(its, exports)
    assert unable is not None
    assert "from 1.37 on" in unable.message
    with pytest.raises(UsageError, match="WEAVIATE_EXPORT_LOCATION"):
        exports_of(settings.model_copy(update={"weaviate_export_backend": "s3"}))
    assert exports_of(settings) is None
    assert run(None).written == 20


def test_a_location_that_is_another_is_noticed(
    filled: Fill, run: Run, tmp_path: Path, exports: Exports
) -> None:
    filled(20)
    elsewhere = Exports("filesystem", open_location(str(tmp_path / "elsewhere")))
    with pytest.raises(ExportFailed, match="holds 20 objects, and 0 are in its files"):
        run(elsewhere)
    assert run(exports).written == 20, "the same export is there where it is looked for"


@pytest.mark.parametrize("damage", ["cut short", "gone"])
def test_a_file_that_cannot_be_read_is_told_and_pages_are_read_in_its_place(
    namespace: str,
    plan: Plan,
    filled: Fill,
    run: Run,
    exports: Exports,
    location: Location,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    damage: str,
) -> None:
    monkeypatch.setattr(standing_in, "OBJECTS_A_FILE", 30)
    sent = filled(90)
    small = plan.model_copy(update={"batch": 30})

    def spoil(done: int, _total: int, unit: str) -> None:
        if unit == "objects" and done >= 30:
            for each in made(folder, namespace)[0].glob("*.parquet"):
                if damage == "gone":
                    each.unlink()
                else:
                    each.write_bytes(each.read_bytes()[:-5])

    with pytest.raises((ExportUnreadable, LocationUnavailable), match=r"\.parquet"):
        run(exports, plan=small, progress=spoil)
    report = run(None)
    assert (report.read, report.objects) == (90, 90)
    assert 0 < report.written < 90
    assert kept(location, namespace) == Counter(UUID(each.id) for each in sent)


def test_a_move_that_was_rolled_back_has_an_export_of_its_own(
    database: Database,
    namespace: str,
    filled: Fill,
    run: Run,
    exports: Exports,
    peer: Peer,
    folder: Path,
) -> None:
    """What was exported before dual writing began would not know what was deleted meanwhile."""
    filled(20)
    run(exports)
    phases.rollback(database, namespace)
    phases.start(database, peer, namespace)
    assert run(exports).left_alone == 20
    assert len(made(folder, namespace)) == 2
