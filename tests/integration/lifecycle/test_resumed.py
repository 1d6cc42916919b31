"""Archiving that is interrupted at each of its steps, and run again."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from greenlang_vectors.lifecycle import archive, manifest, reading
from greenlang_vectors.lifecycle.location import Location
from greenlang_vectors.lifecycle.manifest import ArchiveDamaged
from greenlang_vectors.lifecycle.restore import restore
from greenlang_vectors.store import archived, archives
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.leaves import Leaf

from .conftest import HALF_A_YEAR, PASSAGES, make_older, remembered_of, rows_of

pytestmark = pytest.mark.integration

STEPS: list[tuple[Any, str]] = [
    (Location, "put"),
    (Location, "get"),
    (archived, "remove_exactly"),
    (archives, "begin"),
    (archives, "seal"),
    (archives, "finish"),
]


class Killed(BaseException):
    """The process is no more."""


def dying_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Let the run die at its `step`th step, before it for even steps and after it for odd ones."""
    count = itertools.count()

    def wrapped(work: Callable[..., object]) -> Callable[..., object]:
        def run(*arguments: object, **options: object) -> object:
            now = next(count) == step // 2
            if now and step % 2 == 0:
                raise Killed
            result = work(*arguments, **options)
            if now:
                raise Killed
            return result

        return run

    for owner, name in STEPS:
        monkeypatch.setattr(owner, name, wrapped(getattr(owner, name)))


def test_killed_at_any_step_and_run_again_no_row_is_lost_or_doubled(
    database: Database, location: Location, old_leaf: Leaf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "PAGE_ROWS", 8)
    namespace = old_leaf.namespace
    with database.connect() as connection:
        before = rows_of(connection, old_leaf)
        for step in itertools.count():
            with pytest.MonkeyPatch.context() as patch:
                dying_at(patch, step)
                try:
                    archive.archive(database, location, namespace, older_than=HALF_A_YEAR)
                except Killed:
                    ended = False
                else:
                    ended = True
            here, left = rows_of(connection, old_leaf), remembered_of(connection, old_leaf)
            assert here.items() <= before.items()
            assert here.keys() | left.keys() == before.keys()
            assert not here.keys() & left.keys()
            archive.archive(database, location, namespace, older_than=HALF_A_YEAR)
            assert rows_of(connection, old_leaf) == {}
            [archive_id] = set(remembered_of(connection, old_leaf).values())
            assert archived_now(location, namespace) == [archive_id]
            assert restore(database, location, archive_id).restored == PASSAGES
            assert rows_of(connection, old_leaf) == before
            if ended:
                break
            location.delete(location.keys("archives"))
            connection.execute("DELETE FROM archives WHERE namespace = %s", [namespace])
            connection.execute(
                "UPDATE vector_embeddings SET updated_at = updated_at - interval '1 year' "
                "WHERE namespace = %s",
                [namespace],
            )
        assert step > 20


def archived_now(location: Location, namespace: str) -> list[str]:
    listed = reading.list_archives(location)
    assert all(entry.manifest is not None for entry in listed)
    return [entry.archive for entry in listed if entry.archive.startswith(namespace)]


def test_rows_restored_in_between_do_not_leave_again(
    database: Database, location: Location, old_leaf: Leaf, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.connect() as connection:
        with monkeypatch.context() as patch:
            dying_at(patch, 2 * 20)
            with pytest.raises(Killed):
                archive.archive(database, location, old_leaf.namespace, older_than=HALF_A_YEAR)
        assert 0 < len(remembered_of(connection, old_leaf)) < PASSAGES
        [archive_id] = archived_now(location, old_leaf.namespace)
        restore(database, location, archive_id)
        make_older(connection, old_leaf)
        assert len(rows_of(connection, old_leaf)) == PASSAGES
        assert archives.unfinished(connection, old_leaf) == []


def test_an_interrupted_archive_that_lost_its_manifest_is_never_cleared_away(
    database: Database, location: Location, folder: Path, old_leaf: Leaf
) -> None:
    with database.connect() as connection:
        with pytest.MonkeyPatch.context() as patch:
            dying_at(patch, 2 * 20)
            with pytest.raises(Killed):
                archive.archive(database, location, old_leaf.namespace, older_than=HALF_A_YEAR)
        left = remembered_of(connection, old_leaf)
        [archive_id] = archived_now(location, old_leaf.namespace)
        (folder / manifest.key(archive_id)).unlink()
        parts = location.keys("archives")
        with pytest.raises(ArchiveDamaged, match="manifest is gone"):
            archive.archive(database, location, old_leaf.namespace, older_than=HALF_A_YEAR)
        assert location.keys("archives") == parts
        assert remembered_of(connection, old_leaf) == left
