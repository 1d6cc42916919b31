"""Restore drills: only what was restored, compared and searched in counts as good."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import psycopg
import pytest

from greenlang_vectors.backup import drill as drills
from greenlang_vectors.backup import exports, verification
from greenlang_vectors.backup.drill import drill
from greenlang_vectors.backup.errors import ExportDamaged, RestoreFailed, UnknownExport
from greenlang_vectors.backup.export import create
from greenlang_vectors.backup.manifest import Manifest, Recall, key, load
from greenlang_vectors.backup.scratch import scratch_database
from greenlang_vectors.lifecycle.location import Location
from greenlang_vectors.lifecycle.sealing import sealed
from greenlang_vectors.settings import Settings
from greenlang_vectors.store.database import Database

from .conftest import DOCUMENTS, PASSAGES, Filled

pytestmark = pytest.mark.integration


@pytest.fixture
def export_id(filled: Filled, location: Location, settings: Settings) -> str:
    plain = settings.model_copy(update={"backup_compression": "none"})
    made = create(filled.database, location, filled.name, settings=plain)
    assert made is not None
    return made.export


def scratch_databases(server: str) -> list[str]:
    with psycopg.connect(server) as connection:
        found = connection.execute(
            "SELECT datname FROM pg_database WHERE starts_with(datname, 'greenlang_drill_')"
        )
        return [name for (name,) in found]


def exchange(folder: Path, location: Location, export_id: str, old: bytes, new: bytes) -> None:
    """Change the dump and give the manifest the hash of what it is now."""
    dump = folder / "pgvector" / export_id / "dump"
    written = dump.read_bytes()
    assert old in written
    changed = written.replace(old, new, 1)
    dump.write_bytes(changed)
    manifest = load(location, export_id)
    objects = tuple(
        each.model_copy(update={"sha256": hashlib.sha256(changed).hexdigest()})
        if each.name == "dump"
        else each
        for each in manifest.objects
    )
    rewrite(location, manifest.model_copy(update={"objects": objects}))


def rewrite(location: Location, manifest: Manifest) -> None:
    location.delete([key(manifest.export)])
    location.put(key(manifest.export), sealed(manifest))


def forget(database: Database) -> None:
    """The database knows no manifest any more, as after its loss."""
    with database.connect() as connection:
        connection.execute("DELETE FROM backup_exports")


def test_an_export_is_good_once_its_drill_has_passed(
    filled: Filled, location: Location, settings: Settings, server: str, export_id: str
) -> None:
    with pytest.raises(UnknownExport, match="no proven export"):
        exports.newest(location, filled.name, good=True)
    held = drill(filled.database, location, export_id, settings=settings)
    assert (held.passed, held.problem) == (True, None)
    assert held.restore_seconds is not None
    assert held.restore_seconds > 0
    assert held.tables == len(load(location, export_id).tables)
    assert {each.collection for each in held.recalls} == {
        f"{filled.name}/{leaf.model}" for leaf in (filled.leaf, filled.other)
    }
    for each in held.recalls:
        assert (each.indexed, each.rows, each.queries) == (True, DOCUMENTS * PASSAGES, 10)
        assert each.recall_at_10 > 0.9
    assert exports.newest(location, filled.name, good=True).id == export_id
    assert scratch_databases(server) == []
    with filled.database.connect() as connection:
        row = connection.execute(
            "SELECT passed, restore_seconds, figures ->> 'tables' FROM backup_drills"
            " WHERE export_id = %s",
            [export_id],
        ).fetchone()
    assert row == (True, held.restore_seconds, str(held.tables))


@pytest.mark.parametrize("damaged", [True, False], ids=["a digit of a text", "nothing"])
def test_what_was_damaged_before_it_was_hashed_is_found_by_its_rows(
    filled: Filled,
    location: Location,
    folder: Path,
    settings: Settings,
    server: str,
    export_id: str,
    damaged: bool,
) -> None:
    old = "“3.2”".encode()
    exchange(folder, location, export_id, old, "“3.7”".encode() if damaged else old)
    forget(filled.database)
    verification.verify(location, load(location, export_id))
    held = drill(filled.database, location, export_id, settings=settings)
    assert held.passed != damaged
    assert ("are not those that were exported" in (held.problem or "")) == damaged
    [listed] = exports.list_exports(location)
    assert listed.state == ("failed" if damaged else "good")
    assert scratch_databases(server) == []


def test_a_digit_of_a_vector_is_found_and_named(
    filled: Filled, location: Location, folder: Path, settings: Settings, export_id: str
) -> None:
    dump = (folder / "pgvector" / export_id / "dump").read_bytes()
    match = re.search(rb"\t\[-?0\.\d{4}", dump)
    assert match is not None
    digits = match[0]
    exchange(folder, location, export_id, digits, digits[:-1] + bytes([digits[-1] ^ 1]))
    forget(filled.database)
    held = drill(filled.database, location, export_id, settings=settings)
    assert not held.passed
    assert "vector_embeddings_csrd" in (held.problem or "")


def test_a_manifest_of_other_rows_does_not_pass(
    filled: Filled, location: Location, settings: Settings, export_id: str
) -> None:
    manifest = load(location, export_id)
    first, *others = manifest.tables
    more = manifest.model_copy(
        update={"tables": (first.model_copy(update={"rows": first.rows + 1}), *others)}
    )
    rewrite(location, more)
    with pytest.raises(ExportDamaged, match="not the one that was written"):
        drill(filled.database, location, export_id, settings=settings)
    forget(filled.database)
    held = drill(filled.database, location, export_id, settings=settings)
    assert not held.passed
    assert f"{first.name} has {first.rows} rows, not {first.rows + 1}" in (held.problem or "")


def test_an_export_is_good_no_more_when_a_later_drill_fails_or_its_manifest_changes(
    filled: Filled, location: Location, folder: Path, settings: Settings, export_id: str
) -> None:
    assert drill(filled.database, location, export_id, settings=settings).passed
    manifest = load(location, export_id)
    rewrite(location, manifest.model_copy(update={"source_revision": "another"}))
    assert exports.list_exports(location)[0].state == "failed"
    rewrite(location, manifest)
    assert exports.list_exports(location)[0].state == "good"
    dump = folder / "pgvector" / export_id / "dump"
    dump.write_bytes(dump.read_bytes()[:-1])
    assert not drill(filled.database, location, export_id, settings=settings).passed
    assert exports.list_exports(location)[0].state == "failed"


def test_searches_that_find_too_little_do_not_pass(
    filled: Filled,
    location: Location,
    settings: Settings,
    export_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = drills._recall
    monkeypatch.setattr(
        drills,
        "_recall",
        lambda *arguments: real(*arguments).model_copy(
            update={"recall_at_10": 0.5, "margin": 0.01}
        ),
    )
    held = drill(filled.database, location, export_id, settings=settings)
    assert not held.passed
    assert "0.500 of the exact answers, 0.95 is promised" in (held.problem or "")


def test_chance_is_allowed_for() -> None:
    recall = Recall(
        collection="a/b",
        rows=1,
        indexed=True,
        queries=10,
        recall_at_10=0.94,
        target=0.95,
        margin=0.02,
    )
    assert recall.kept
    assert not recall.model_copy(update={"margin": 0.005}).kept


def test_a_drill_that_cannot_be_held_says_nothing_of_the_export(
    filled: Filled,
    location: Location,
    settings: Settings,
    server: str,
    export_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert drill(filled.database, location, export_id, settings=settings).passed

    def full(*_: object, **__: object) -> None:
        raise RestoreFailed("No space left on device.")

    monkeypatch.setattr(drills, "restore", full)
    with pytest.raises(RestoreFailed):
        drill(filled.database, location, export_id, settings=settings)
    assert exports.list_exports(location)[0].state == "good"
    assert scratch_databases(server) == []


def test_what_a_killed_drill_left_goes_with_the_next(
    filled: Filled, location: Location, settings: Settings, server: str, export_id: str
) -> None:
    kept = scratch_database(filled.database, settings)
    kept.__enter__()
    [left] = scratch_databases(server)
    drill(filled.database, location, export_id, settings=settings)
    assert left not in scratch_databases(server)
    assert scratch_databases(server) == []
