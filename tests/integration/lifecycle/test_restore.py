"""Restoring: what was archived returns as it was, and never over something newer."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree, rmtree

import numpy as np
import psycopg
import pytest

from greenlang_vectors.errors import GreenLangError
from greenlang_vectors.lifecycle import archive, manifest, reading, sealing
from greenlang_vectors.lifecycle.location import Location
from greenlang_vectors.lifecycle.manifest import ArchiveDamaged
from greenlang_vectors.lifecycle.restore import restore
from greenlang_vectors.quality import integrity
from greenlang_vectors.quality.checks import CheckContext
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import embeddings, jobs
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.leaves import Leaf

from .conftest import (
    HALF_A_YEAR,
    PASSAGES,
    AddDocument,
    EmbedAll,
    make_older,
    remembered_of,
    rows_of,
)

pytestmark = pytest.mark.integration

CORRUPTIONS = 150


def archived_of(database: Database, location: Location, leaf: Leaf) -> str:
    [report] = archive.archive(database, location, leaf.namespace, older_than=HALF_A_YEAR)
    return report.archive


def test_rows_return_bit_by_bit_as_rows_of_today(
    database: Database, location: Location, old_leaf: Leaf, settings: Settings
) -> None:
    with database.connect() as connection:
        before = rows_of(connection, old_leaf)
        archive_id = archived_of(database, location, old_leaf)
        report = restore(database, location, archive_id)
        assert (report.restored, report.present, report.gone, report.refused) == (PASSAGES, 0, 0, 0)
        assert rows_of(connection, old_leaf) == before
        assert remembered_of(connection, old_leaf) == {}
        assert embeddings.plan_work(connection, old_leaf, "test") == 0
        context = CheckContext(old_leaf, settings, 512)
        assert integrity.embeddings_match_chunks(connection, context).passed
    [found] = archive.candidates(database, old_leaf.namespace, older_than=HALF_A_YEAR)
    assert found.rows == 0


def test_restoring_again_changes_nothing(
    database: Database, location: Location, old_leaf: Leaf
) -> None:
    archive_id = archived_of(database, location, old_leaf)
    restore(database, location, archive_id)
    with database.connect() as connection:
        before = rows_of(connection, old_leaf, moments=True)
        report = restore(database, location, archive_id)
        assert (report.restored, report.present) == (0, PASSAGES)
        assert rows_of(connection, old_leaf, moments=True) == before
        found = jobs.newest(connection, [old_leaf.namespace], most=9)
    assert [(job.source_type, job.source, job.status) for job in found] == [
        ("archive", archive_id, "succeeded")
    ] * 2
    assert [(job.source_count, job.processed_count) for job in found] == [(0, 0), (PASSAGES,) * 2]


def test_something_newer_is_never_overwritten_and_a_gone_passage_never_returns(
    database: Database,
    location: Location,
    old_leaf: Leaf,
    add_document: AddDocument,
    embed_all: EmbedAll,
) -> None:
    with database.connect() as connection:
        archive_id = archived_of(database, location, old_leaf)
        add_document(connection, old_leaf.namespace, "a.txt", ["changed", "and shorter"])
        embed_all(connection, old_leaf)
        connection.execute(
            "DELETE FROM archived_embeddings WHERE namespace = %s AND chunk_index = 3",
            [old_leaf.namespace],
        )
        total = embeddings.plan_work(connection, old_leaf, "test")
        chunks = embeddings.pending(connection, old_leaf, 0, total)
        vectors = np.full((total, old_leaf.dimensions), 0.25, np.float32)
        embeddings.write(connection, old_leaf, chunks, vectors, fingerprint="test")
        newer = rows_of(connection, old_leaf, moments=True)
        assert len(newer) == 4
        report = restore(database, location, archive_id)
        assert (report.restored, report.present, report.gone) == (18, 4, 8)
        after = rows_of(connection, old_leaf, moments=True)
        assert newer.items() <= after.items()
        assert len(after) == 22


def test_rows_made_in_different_ways_keep_their_fingerprints(
    database: Database, location: Location, old_leaf: Leaf
) -> None:
    with database.connect() as connection:
        connection.execute(
            "UPDATE vector_embeddings SET embedding_fingerprint = 'older' "
            "WHERE namespace = %s AND chunk_index < 4",
            [old_leaf.namespace],
        )
        before = rows_of(connection, old_leaf)
        archive_id = archived_of(database, location, old_leaf)
        assert manifest.load(location, archive_id).fingerprints == {"older": 12, "test": 18}
        restore(database, location, archive_id)
        assert rows_of(connection, old_leaf) == before


def test_it_is_restored_into_a_database_that_never_knew_the_archive(
    database: Database, location: Location, old_leaf: Leaf
) -> None:
    with database.connect() as connection:
        before = rows_of(connection, old_leaf)
        archive_id = archived_of(database, location, old_leaf)
        for table in ("archives", "archived_embeddings"):
            connection.execute(f"DELETE FROM {table} WHERE namespace = %s", [old_leaf.namespace])
        restore(database, location, archive_id)
        assert rows_of(connection, old_leaf) == before


def test_another_manifest_of_the_same_archive_is_refused(
    database: Database, location: Location, folder: Path, old_leaf: Leaf
) -> None:
    """Whoever rewrites an archive consistently still cannot have its rows restored."""
    archive_id = archived_of(database, location, old_leaf)
    written = manifest.load(location, archive_id)
    shorter = written.model_copy(
        update={
            "parts": written.parts[:1],
            "rows": written.parts[0].rows,
            "rows_checksum": written.parts[0].rows_checksum,
        }
    )
    (folder / manifest.key(archive_id)).write_bytes(sealing.sealed(shorter))
    reading.verify(location, manifest.load(location, archive_id))
    with pytest.raises(ArchiveDamaged, match="not the one that was written"):
        restore(database, location, archive_id)


def test_no_damage_passes_and_nothing_is_changed_on_its_account(
    database: Database, location: Location, folder: Path, old_leaf: Leaf, embed_all: EmbedAll
) -> None:
    with database.connect() as connection:
        archive_id = archived_of(database, location, old_leaf)
        other = archived_of_another_model(database, connection, location, old_leaf, embed_all)
        whole = folder.with_name("whole")
        copytree(folder, whole)
        before = everything(connection, old_leaf)
        for damage in damages(folder, archive_id, other, random.Random(11)):
            with pytest.raises(GreenLangError) as caught:
                restore(database, location, archive_id)
            assert isinstance(caught.value, ArchiveDamaged), (damage, caught.value)
            assert archive_id in str(caught.value)
            with pytest.raises(ArchiveDamaged):
                reading.verify(location, reading.opened(connection, location, archive_id))
            rmtree(folder)
            copytree(whole, folder)
        assert everything(connection, old_leaf) == before
        assert restore(database, location, archive_id).restored == PASSAGES


def everything(connection: psycopg.Connection, leaf: Leaf) -> list[object]:
    return [rows_of(connection, leaf, moments=True), remembered_of(connection, leaf)]


def archived_of_another_model(
    database: Database,
    connection: psycopg.Connection,
    location: Location,
    leaf: Leaf,
    embed_all: EmbedAll,
) -> str:
    """An archive with as many rows of the same passages."""
    other = Leaf(leaf.namespace, "other-model", leaf.dimensions)
    embed_all(connection, other)
    make_older(connection, other)
    return archived_of(database, location, other)


def damages(folder: Path, archive_id: str, other: str, chance: random.Random) -> Iterator[str]:
    """Damage the archive in one way after another; each is mended before the next."""
    mine, others = folder / "archives" / archive_id, folder / "archives" / other
    names = sorted(path.name for path in mine.iterdir())
    for _ in range(CORRUPTIONS):
        name = chance.choice(names)
        file = mine / name
        content = bytearray(file.read_bytes())
        place = chance.randrange(len(content))
        kind = chance.choice(["bit", "truncated", "missing", "longer", "swapped", "neighbour"])
        match kind:
            case "bit":
                content[place] ^= 1 << chance.randrange(8)
                file.write_bytes(content)
            case "truncated":
                file.write_bytes(content[:place])
            case "missing":
                file.unlink()
            case "longer":
                file.write_bytes(content + b"\0")
            case "swapped":
                file.write_bytes((others / name).read_bytes())
            case "neighbour":
                neighbour = mine / chance.choice([n for n in names if n != name])
                file.write_bytes(neighbour.read_bytes())
        yield f"{kind}: {name} at {place}"
