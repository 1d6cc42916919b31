"""Pruning: what is old goes once something newer is proven; nothing young goes, whatever the clock.

The exports are made up: their manifests and drills are real, their dumps a few bytes.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from greenlang_vectors.backup import export, exports
from greenlang_vectors.backup.exports import pin
from greenlang_vectors.backup.manifest import (
    DUMP,
    Drill,
    ExportedObject,
    ExportedTable,
    Manifest,
    drill_key,
    key,
)
from greenlang_vectors.backup.pruning import Pruned, prune
from greenlang_vectors.lifecycle.location import Location
from greenlang_vectors.lifecycle.manifest import new_id
from greenlang_vectors.lifecycle.sealing import sealed, sha256_of
from greenlang_vectors.settings import Settings
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.locks import exclusive

pytestmark = pytest.mark.integration

NOW = datetime(2026, 6, 18, 9, tzinfo=UTC)
DAY = timedelta(days=1)

Prune = Callable[..., Pruned]


def made(location: Location, moment: datetime, *, good: bool = True, name: str = "csrd") -> str:
    """An export made at this moment, and its drill."""
    export_id = new_id(name, moment)
    data = location.put_stream(key(export_id, DUMP), iter([b"dump"]))
    manifest = Manifest(
        export=export_id,
        namespace=name,
        made_at=moment,
        schema_version="0017",
        server_version="18.4",
        pgvector_version="0.8.5",
        pg_dump_version="18.4",
        source_revision="0",
        compression="none",
        collections=(),
        master_keys=(),
        partitions={},
        tables=(
            ExportedTable(
                name=f"documents_{name}",
                root="documents",
                shared=False,
                rows=1,
                checksum="1",
                indexes={},
            ),
        ),
        objects=(ExportedObject(name=DUMP, size_bytes=data.size_bytes, sha256=data.sha256),),
    )
    location.put(key(export_id), sealed(manifest))
    held = Drill(
        export=export_id,
        namespace=name,
        manifest_sha256=sha256_of(manifest),
        drilled_at=moment,
        passed=good,
        problem=None if good else "one row is missing",
        restore_seconds=1.0,
        server_version="18.4",
        pgvector_version="0.8.5",
        tables=1,
        rows=1,
        recalls=(),
    )
    location.put(drill_key(export_id, moment), sealed(held))
    return export_id


@pytest.fixture
def pruned(database: Database, location: Location, settings: Settings) -> Prune:
    def run(*, now: datetime = NOW, delete: bool = False) -> Pruned:
        with database.connect() as connection:
            return prune(connection, location, settings=settings, now=now, delete=delete)

    return run


def left(location: Location) -> list[str]:
    return [each.id for each in exports.list_exports(location)]


def test_each_tier_is_kept_as_long_as_the_settings_say(location: Location, pruned: Prune) -> None:
    daily = [made(location, NOW - age * DAY) for age in range(400, -1, -1)]
    dry = pruned()
    assert not dry.deleted
    assert left(location) == daily
    gone = pruned(delete=True)
    assert [each.id for each in gone.expired] == [each.id for each in dry.expired]
    days = {"daily": 35, "weekly": 90, "monthly": 365}
    for each in exports.list_exports(location):
        assert NOW - each.made_at <= days[each.tier] * DAY
    for each in gone.expired:
        assert NOW - each.made_at > days[each.tier] * DAY
    tiers = [each.tier for each in exports.list_exports(location)]
    assert (tiers.count("weekly"), tiers.count("monthly")) == (13, 12)
    assert pruned(delete=True).expired == ()


def test_the_last_good_export_stays_however_old(location: Location, pruned: Prune) -> None:
    good = made(location, NOW - 100 * DAY)
    for age in range(99, -1, -1):
        made(location, NOW - age * DAY, good=False)
    assert pruned(delete=True).expired == ()
    other = [made(location, NOW - age * DAY, name="eudr") for age in (100, 50, 0)]
    assert set(other) <= set(left(location))
    assert good in left(location)


def test_pinned_and_damaged_exports_stay(location: Location, folder: Path, pruned: Prune) -> None:
    daily = [made(location, NOW - age * DAY) for age in range(60, -1, -1)]
    would_go = [each.id for each in pruned().expired]
    kept, damaged, *_ = would_go
    pin(location, kept, keep=True)
    pin(location, kept, keep=True)
    manifest = folder / key(damaged)
    manifest.write_bytes(manifest.read_bytes().replace(b"18.4", b"18.5"))
    gone = {each.id for each in pruned(delete=True).expired}
    assert gone == set(would_go) - {kept, damaged}
    assert set(left(location)) == set(daily) - gone
    pin(location, kept, keep=False)
    assert kept in {each.id for each in pruned().expired}


@pytest.mark.parametrize("leap", [400 * DAY, -400 * DAY], ids=["ahead", "back"])
@pytest.mark.parametrize("exported", [False, True], ids=["between exports", "with an export"])
def test_a_clock_that_jumps_deletes_nothing_young(
    location: Location, pruned: Prune, leap: timedelta, exported: bool
) -> None:
    daily = [made(location, NOW - age * DAY) for age in range(40, -1, -1)]
    expired = [each.id for each in pruned().expired]
    assert expired
    if exported:
        made(location, NOW + leap)
    gone = {each.id for each in pruned(now=NOW + leap, delete=True).expired}
    young = set(daily[-35:])
    assert not gone & young
    assert young <= set(left(location))


def test_what_a_killed_export_left_goes_a_day_after_something_newer_came(
    location: Location, folder: Path, pruned: Prune, database: Database
) -> None:
    unfinished = new_id("csrd", NOW - 3 * DAY)
    location.put_stream(key(unfinished, DUMP), iter([b"half"]))
    assert pruned(now=NOW + 400 * DAY, delete=True).unfinished == ()
    newer = made(location, NOW)
    assert pruned(now=NOW + 400 * DAY, delete=True).unfinished == ()
    old = folder / key(unfinished, DUMP)
    written = old.stat().st_mtime - 2 * 86400
    os.utime(old, (written, written))
    with database.connect() as other, exclusive(other, export.LOCK, "csrd"):
        assert pruned(delete=True).unfinished == ()
    assert [each.id for each in pruned().unfinished] == [unfinished]
    assert [each.id for each in pruned(delete=True).unfinished] == [unfinished]
    assert left(location) == [newer]


def test_a_prune_that_is_killed_leaves_nothing_that_looks_damaged(
    location: Location, pruned: Prune, monkeypatch: pytest.MonkeyPatch
) -> None:
    for age in range(40, -1, -1):
        made(location, NOW - age * DAY)
    real, calls = Location.delete, []

    def killed(self: Location, keys: list[str]) -> None:
        if len(calls) == 1:
            raise KeyboardInterrupt
        calls.append(keys)
        real(self, keys)

    with monkeypatch.context() as patch:
        patch.setattr(Location, "delete", killed)
        with pytest.raises(KeyboardInterrupt):
            pruned(delete=True)
    states = {each.state for each in exports.list_exports(location)}
    assert states == {"good", "unfinished"}
