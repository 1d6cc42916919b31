"""The manifest: what it says is what was written, or it is refused."""

from __future__ import annotations

import json
import random
import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from greenlang_vectors.lifecycle import manifest, sealing
from greenlang_vectors.lifecycle.location import Location, open_location
from greenlang_vectors.lifecycle.manifest import ArchiveDamaged, Manifest, Part, UnknownArchive
from greenlang_vectors.store.archived import StoredRow

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


@pytest.fixture
def location(tmp_path: Path) -> Location:
    return open_location(str(tmp_path))


def made(archive_id: str) -> Manifest:
    part = Part(name="part-00000.parquet", rows=2, size_bytes=9, sha256="ab", rows_checksum="cd")
    return Manifest(
        archive=archive_id,
        namespace="csrd",
        model="m",
        dimensions=8,
        fingerprints={"f": 2},
        older_than=timedelta(days=180),
        cutoff=NOW,
        created_at=NOW,
        schema_version="0005",
        pgvector_version="0.8.5",
        server_version="18.4",
        rows=2,
        rows_checksum="cd",
        parts=(part,),
    )


def stored(location: Location, archive_id: str) -> Manifest:
    written = made(archive_id)
    location.put(manifest.key(archive_id), sealing.sealed(written))
    return written


def test_it_is_read_as_it_was_written(location: Location) -> None:
    archive_id = manifest.new_id("csrd")
    written = stored(location, archive_id)
    assert manifest.load(location, archive_id) == written


def test_it_is_plain_json(location: Location) -> None:
    archive_id = manifest.new_id("csrd")
    stored(location, archive_id)
    content = json.loads(location.get(manifest.key(archive_id)) or b"")["manifest"]
    assert (content["rows"], content["older_than"], content["parts"][0]["sha256"]) == (
        2,
        "P180D",
        "ab",
    )


def test_any_flipped_bit_is_found(location: Location, tmp_path: Path) -> None:
    archive_id = manifest.new_id("csrd")
    stored(location, archive_id)
    file = tmp_path / manifest.key(archive_id)
    content = file.read_bytes()
    chance = random.Random(5)
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 1 << chance.randrange(8)
        file.write_bytes(damaged)
        with pytest.raises(ArchiveDamaged):
            manifest.load(location, archive_id)


def test_the_manifest_of_another_archive_is_found(location: Location, tmp_path: Path) -> None:
    mine, other = manifest.new_id("csrd"), manifest.new_id("csrd")
    stored(location, mine)
    stored(location, other)
    (tmp_path / manifest.key(other)).replace(tmp_path / manifest.key(mine))
    with pytest.raises(ArchiveDamaged, match=f"is that of {other}"):
        manifest.load(location, mine)


@pytest.mark.parametrize(
    "archive_id", ["", "csrd", "../csrd-20260101T000000Z-abcdef", "csrd-20260101T000000Z-abcdef"]
)
def test_an_archive_that_is_not_there_is_unknown(location: Location, archive_id: str) -> None:
    with pytest.raises(UnknownArchive):
        manifest.load(location, archive_id)


def test_the_rows_checksum_knows_no_order_but_every_row_and_how_often() -> None:
    vector = struct.pack("!HH1f", 1, 0, 0.5)
    rows = [
        StoredRow(UUID(int=i), "d", UUID(int=2), 7, "h", None, vector, "f", "{}", NOW, NOW)
        for i in range(3)
    ]

    def checksum(*some: StoredRow) -> str:
        total = manifest.RowsChecksum()
        total.add(some)
        return str(total)

    assert checksum(*rows) == checksum(*reversed(rows))
    assert checksum(*rows) == manifest.sum_of([checksum(rows[0]), checksum(*rows[1:])])
    assert checksum(rows[0], rows[0]) != checksum()
    assert checksum(rows[0]) != checksum(rows[0]._replace(content_preview=""))
