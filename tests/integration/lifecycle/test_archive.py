"""Archiving: what is old leaves, after it was read back; what is young or changed stays."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import numpy as np
import psycopg
import pytest

from greenlang_vectors.errors import UnknownNamespace, UsageError
from greenlang_vectors.lifecycle import archive, manifest, reading
from greenlang_vectors.lifecycle.location import Location
from greenlang_vectors.lifecycle.manifest import ArchiveDamaged
from greenlang_vectors.quality import integrity
from greenlang_vectors.quality.checks import CheckContext
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import archived, embeddings, namespaces, schema, writing
from greenlang_vectors.store.archived import StoredRow
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.leaves import Leaf, ensure_leaf
from greenlang_vectors.store.writing import EmbeddingRow

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


def put_hook(monkeypatch: pytest.MonkeyPatch, before: Callable[[str, bytes], bytes]) -> None:
    """Let the location store what `before` makes of each object."""
    put = Location.put
    monkeypatch.setattr(Location, "put", lambda self, key, data: put(self, key, before(key, data)))


def test_the_server_and_the_client_agree_on_the_digest_of_any_row(database: Database) -> None:
    chance = random.Random(3)
    with database.connect() as connection:
        for dimensions in range(1, 30):
            floats = [chance.choice([0.0, -0.0, 1e-45, 3.4e38, chance.gauss(0, 1)])] * dimensions
            found = connection.execute(
                """
                SELECT id, 'sdk'::text, source_id, chunk, hash, preview, vector_send(vector),
                       'print', data::text, made, made,
                       sha256(record_send(ROW(id, 'sdk'::text, source_id, chunk, hash, preview,
                           vector_send(vector), 'print'::text, data::text, made, made)))
                FROM (VALUES (%s, %s, %s::integer, %s::text, %s::text, %s::real[]::vector,
                              %s::jsonb, now()))
                    AS made (id, source_id, chunk, hash, preview, vector, data, made)
                """,
                [
                    UUID(int=chance.getrandbits(128)),
                    UUID(int=chance.getrandbits(128)),
                    chance.randint(-(2**31), 2**31 - 1),
                    "ä€😀"[: dimensions % 4],
                    chance.choice([None, "", "ü"]),
                    floats,
                    '{"b": 1.50, "a": ["é", null]}',
                ],
                binary=True,
            ).fetchone()
            assert found is not None
            assert archived.digest(StoredRow(*found[:-1])) == found[-1]


def test_every_column_is_archived(database: Database) -> None:
    with database.connect() as connection:
        columns = {
            name
            for (name,) in connection.execute(
                "SELECT attname FROM pg_attribute "
                "WHERE attrelid = 'vector_embeddings'::regclass AND attnum > 0 AND NOT attisdropped"
            )
        }
    of_the_leaf, chosen_by_the_writer = {"namespace", "embedding_model"}, {"segment", "cell"}
    assert columns == {*StoredRow._fields, *of_the_leaf, *chosen_by_the_writer}


def test_old_rows_leave_for_the_archive_with_all_their_columns(
    database: Database, location: Location, old_leaf: Leaf
) -> None:
    with database.connect() as connection:
        before = rows_of(connection, old_leaf, moments=True)
        stored = {
            row.id: row
            for row in next(
                archived.older(
                    connection, old_leaf, archived.moment_before(connection, HALF_A_YEAR), 100
                )
            )
        }
        [report] = archive.archive(database, location, old_leaf.namespace, older_than=HALF_A_YEAR)
        assert (report.rows, report.archived, report.kept) == (PASSAGES, PASSAGES, 0)
        assert report.parts > 2
        assert rows_of(connection, old_leaf) == {}
        assert remembered_of(connection, old_leaf) == dict.fromkeys(before, report.archive)
    written = manifest.load(location, report.archive)
    pages = [page for part in written.parts for page in reading.rows_of(location, written, part)]
    assert {row.id: row for page in pages for row in page} == stored
    assert max(map(len, pages)) <= archive.PAGE_ROWS
    assert written.fingerprints == {"test": PASSAGES}
    assert (written.namespace, written.model, written.dimensions, written.schema_version) == (
        old_leaf.namespace, old_leaf.model, old_leaf.dimensions, schema.head(),
    )  # fmt: skip


def test_young_rows_stay(
    database: Database, location: Location, old_leaf: Leaf, add_document: AddDocument,
    embed_all: EmbedAll,
) -> None:  # fmt: skip
    with database.connect() as connection:
        add_document(connection, old_leaf.namespace, "young.txt", ["one", "two"])
        embed_all(connection, old_leaf)
        archive.archive(database, location, old_leaf.namespace, older_than=HALF_A_YEAR)
        assert sorted(str(row[4]) for row in rows_of(connection, old_leaf).values()) == [
            "one",
            "two",
        ]


def test_a_second_run_finds_nothing_to_do(
    database: Database, location: Location, old_leaf: Leaf
) -> None:
    archive.archive(database, location, old_leaf.namespace, older_than=HALF_A_YEAR)
    assert archive.archive(database, location, old_leaf.namespace, older_than=HALF_A_YEAR) == []
    assert len(reading.list_archives(location)) == 1


def test_a_dry_run_counts_and_changes_nothing(
    database: Database, location: Location, old_leaf: Leaf
) -> None:
    [found] = archive.candidates(database, old_leaf.namespace, older_than=HALF_A_YEAR)
    assert (found.model, found.rows) == (old_leaf.model, PASSAGES)
    with database.connect() as connection:
        assert len(rows_of(connection, old_leaf)) == PASSAGES
    assert reading.list_archives(location) == []


def test_one_model_alone(
    database: Database, location: Location, old_leaf: Leaf, embed_all: EmbedAll
) -> None:
    other = Leaf(old_leaf.namespace, "other-model", 5)
    with database.connect() as connection:
        ensure_leaf(connection, other)
        embed_all(connection, other)
        make_older(connection, other)
        [report] = archive.archive(
            database, location, old_leaf.namespace, older_than=HALF_A_YEAR, model="other-model"
        )
        assert report.model == "other-model"
        assert rows_of(connection, other) == {}
        assert len(rows_of(connection, old_leaf)) == PASSAGES
        assert embeddings.plan_work(connection, old_leaf, "test") == 0


def test_what_cannot_be_archived_is_said(
    database: Database, location: Location, old_leaf: Leaf
) -> None:
    with pytest.raises(UsageError, match="Models: test-model"):
        archive.archive(
            database, location, old_leaf.namespace, older_than=HALF_A_YEAR, model="nope"
        )
    with pytest.raises(UnknownNamespace):
        archive.archive(database, location, "nowhere", older_than=HALF_A_YEAR)


@pytest.mark.parametrize(
    "change",
    [
        "SET metadata = '{\"n\": 1.0}'",
        "SET content_preview = NULL",
        "SET content_preview = content_preview || ' '",
        "SET source_type = 'Document'",
        "SET created_at = created_at + interval '1 microsecond'",
        "SET updated_at = updated_at + interval '1 microsecond'",
        "SET content_hash = reverse(content_hash)",
        "SET embedding_fingerprint = 'newer'",
    ],
)
def test_a_row_that_changed_since_it_was_archived_stays(
    database: Database,
    location: Location,
    old_leaf: Leaf,
    monkeypatch: pytest.MonkeyPatch,
    change: str,
) -> None:
    with database.connect() as connection:
        changed = next(iter(rows_of(connection, old_leaf)))

        def meanwhile(_: str, data: bytes) -> bytes:
            connection.execute(f"UPDATE vector_embeddings {change} WHERE id = %s", [changed])
            monkeypatch.undo()
            return data

        with monkeypatch.context() as patch:
            patch.setattr(archive, "PAGE_ROWS", 100)
            put_hook(monkeypatch, meanwhile)
            [report] = archive.archive(
                database, location, old_leaf.namespace, older_than=HALF_A_YEAR
            )
        assert (report.rows, report.archived, report.kept) == (PASSAGES, PASSAGES - 1, 1)
        assert set(rows_of(connection, old_leaf)) == {changed}
        assert changed not in remembered_of(connection, old_leaf)


def test_one_bit_of_one_vector_is_a_change(
    database: Database, location: Location, old_leaf: Leaf, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.connect() as connection:
        changed = next(iter(rows_of(connection, old_leaf)))

        def meanwhile(_: str, data: bytes) -> bytes:
            row = connection.execute(
                "SELECT vector_send(embedding) FROM vector_embeddings WHERE id = %s", [changed]
            ).fetchone()
            assert row is not None
            bits = np.frombuffer(row[0][4:], ">u4").copy()
            bits[-1] ^= 1
            floats = struct.unpack(f"!{len(bits)}f", bits.tobytes())
            connection.execute(
                "UPDATE vector_embeddings SET embedding = %s::real[]::vector WHERE id = %s",
                [[np.float32(f).item() for f in floats], changed],
            )
            monkeypatch.undo()
            return data

        monkeypatch.setattr(archive, "PAGE_ROWS", 100)
        put_hook(monkeypatch, meanwhile)
        archive.archive(database, location, old_leaf.namespace, older_than=HALF_A_YEAR)
        assert set(rows_of(connection, old_leaf)) == {changed}


@pytest.mark.parametrize("part", [0, -1])
def test_nothing_leaves_if_what_is_read_back_is_not_what_was_written(
    database: Database,
    location: Location,
    old_leaf: Leaf,
    monkeypatch: pytest.MonkeyPatch,
    part: int,
) -> None:
    with database.connect() as connection:
        before = rows_of(connection, old_leaf, moments=True)
        [known] = archive.candidates(database, old_leaf.namespace, older_than=HALF_A_YEAR)
        assert known.rows == len(before)
        verify = reading.verify

        def damaged(location: Location, written: manifest.Manifest, _: object) -> None:
            key = manifest.key(written.archive, written.parts[part].name)
            data = bytearray(location.get(key) or b"")
            data[len(data) // 2] ^= 16
            location.delete([key])
            location.put(key, bytes(data))
            verify(location, written)

        monkeypatch.setattr(archive, "verify", damaged)
        with pytest.raises(ArchiveDamaged, match="SHA-256"):
            archive.archive(database, location, old_leaf.namespace, older_than=HALF_A_YEAR)
        assert rows_of(connection, old_leaf, moments=True) == before
        assert remembered_of(connection, old_leaf) == {}


def test_archived_passages_are_neither_embedded_again_nor_missing(
    database: Database, location: Location, old_leaf: Leaf, settings: Settings
) -> None:
    context = CheckContext(old_leaf, settings, 512)
    archive.archive(database, location, old_leaf.namespace, older_than=HALF_A_YEAR)
    with database.connect() as connection:
        assert embeddings.plan_work(connection, old_leaf, "test") == 0
        assert integrity.embeddings_match_chunks(connection, context).passed
        connection.execute(
            "DELETE FROM archived_embeddings WHERE namespace = %s AND chunk_index = 3",
            [old_leaf.namespace],
        )
        assert integrity.embeddings_match_chunks(connection, context).numbers["failed"] == 3
        assert embeddings.plan_work(connection, old_leaf, "test") == 3


def test_an_archived_passage_that_changes_is_embedded(
    database: Database, location: Location, old_leaf: Leaf, add_document: AddDocument,
    settings: Settings,
) -> None:  # fmt: skip
    archive.archive(database, location, old_leaf.namespace, older_than=HALF_A_YEAR)
    with database.connect() as connection:
        add_document(connection, old_leaf.namespace, "a.txt", ["changed", "and shorter"])
        context = CheckContext(old_leaf, settings, 512)
        assert integrity.embeddings_match_chunks(connection, context).numbers["failed"] == 2
        assert embeddings.plan_work(connection, old_leaf, "test") == 2
        assert len(remembered_of(connection, old_leaf)) == PASSAGES * 2 // 3


def test_another_way_of_embedding_embeds_archived_passages_too(
    database: Database, location: Location, old_leaf: Leaf
) -> None:
    archive.archive(database, location, old_leaf.namespace, older_than=HALF_A_YEAR)
    with database.connect() as connection:
        assert embeddings.plan_work(connection, old_leaf, "other weights") == PASSAGES
        assert remembered_of(connection, old_leaf) == {}


def test_namespaces_older_than_archives_get_their_partitions(
    new_database: Callable[[], str],
) -> None:
    with psycopg.connect(new_database(), autocommit=True) as connection:
        namespaces.register(connection, "early-bird")
        connection.execute("DROP TABLE archives, archived_embeddings")
        connection.execute((schema.MIGRATIONS / "versions" / "0005_archive.sql").read_bytes())
        found = connection.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits "
            "WHERE inhparent IN ('archives'::regclass, 'archived_embeddings'::regclass)"
        )
        assert {name for (name,) in found} == {
            '"archives_early-bird"',
            '"archived_embeddings_early-bird"',
        }


def test_rows_written_while_others_are_archived_are_left_alone(
    database: Database, location: Location, old_leaf: Leaf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer updates a passage between the archive and the deletion: the new vector stays."""
    with database.connect() as connection:
        changed = next(iter(rows_of(connection, old_leaf).items()))
        row = EmbeddingRow(
            str(changed[1][0]), UUID(str(changed[1][1])), int(str(changed[1][2])),
            str(changed[1][3]), "rewritten",
        )  # fmt: skip

        def meanwhile(_: str, data: bytes) -> bytes:
            vector = np.full((1, old_leaf.dimensions), 0.25, np.float32)
            writing.write(connection, old_leaf, [row], vector, fingerprint="newer")
            return data

        put_hook(monkeypatch, meanwhile)
        monkeypatch.setattr(archive, "PAGE_ROWS", 100)
        [report] = archive.archive(
            database, location, old_leaf.namespace, older_than=timedelta(days=180)
        )
        assert report.kept == 1
        assert [r[4] for r in rows_of(connection, old_leaf).values()] == ["rewritten"]
