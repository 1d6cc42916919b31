"""Keys are rotated, wrapped anew and lost: what goes on, and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from greenlang_vectors import stages
from greenlang_vectors.errors import UsageError
from greenlang_vectors.settings import Settings, get_settings
from greenlang_vectors.store import embeddings, namespaces, segments
from greenlang_vectors.store.encryption import administration, data_keys, resealing
from greenlang_vectors.store.encryption.cipher import mark
from greenlang_vectors.store.encryption.errors import KeyUnavailable
from greenlang_vectors.store.locks import exclusive

from .corpus import MARKER, Corpus, columns_that_show

pytestmark = pytest.mark.integration


def test_a_rotation_leaves_vectors_and_hashes_and_nothing_to_embed(encrypted: Corpus) -> None:
    state = "SELECT id, content_hash, embedding::text FROM vector_embeddings WHERE namespace=%(ns)s"
    before, answers = sorted(encrypted.rows(state)), encrypted.search("price")
    [old] = encrypted.status().data_keys
    rows = encrypted.rotate()
    assert rows == 2 + 2 * len(answers)
    status = encrypted.status()
    assert [(key.state, key.id == old.id) for key in status.data_keys] == [
        ("retired", True),
        ("current", False),
    ]
    assert (status.complete, status.pending_rows) == (True, 0)
    assert sorted(encrypted.rows(state)) == before
    with encrypted.database.connect() as connection:
        fingerprint = encrypted.embedder.model.spec.fingerprint(encrypted.embedder.normalize)
        assert embeddings.plan_work(connection, encrypted.leaf, fingerprint) == 0
    assert encrypted.search("price") == answers
    used = encrypted.rows(
        "SELECT left(text, 22) FROM documents WHERE namespace = %(ns)s"
        " UNION SELECT left(title, 22) FROM documents WHERE namespace = %(ns)s"
        " UNION SELECT left(headings #>> '{}', 22) FROM documents WHERE namespace = %(ns)s"
        " UNION SELECT left(content, 22) FROM document_chunks WHERE namespace = %(ns)s"
        " UNION SELECT left(heading_path[1], 22) FROM document_chunks WHERE namespace = %(ns)s"
        " UNION SELECT left(content_preview, 22) FROM vector_embeddings WHERE namespace = %(ns)s"
    )
    assert used == [(mark(status.data_keys[-1].id),)]


def test_embeddings_that_are_sealed_anew_wait_in_the_open_segment_for_the_next_index(
    encrypted: Corpus,
) -> None:
    with encrypted.database.connect() as connection:
        segments.seal(connection, encrypted.leaf)
    encrypted.rotate()
    assert set(
        encrypted.rows("SELECT segment FROM vector_embeddings WHERE namespace = %(ns)s")
    ) == {(1,)}


class Killed(BaseException):
    """Stands for the end of the process."""


def test_no_stage_that_writes_texts_runs_during_a_rotation(encrypted: Corpus) -> None:
    held: list[bool] = []

    def try_locks(*_: object) -> None:
        with encrypted.database.connect() as other:
            for lock in (
                (stages.documents.STAGE, encrypted.name),
                (stages.chunks.STAGE, encrypted.name),
                (stages.embeddings.STAGE, f"{encrypted.name}/{encrypted.leaf.model}"),
            ):
                with exclusive(other, *lock, wait=False) as free:
                    held.append(not free)

    encrypted.rotate(try_locks)
    assert len(held) >= 3
    assert all(held)


@pytest.mark.parametrize("after", [0, 1, 2, 3, 4])
def test_a_killed_rotation_goes_on_and_both_keys_open_meanwhile(
    encrypted: Corpus, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    monkeypatch.setattr(resealing, "ROWS_AT_ONCE", 1)
    answers = encrypted.search("price")

    def kill(done: int, _total: int, _unit: str) -> None:
        if done >= after:
            raise Killed

    with pytest.raises(Killed):
        encrypted.rotate(kill)
    status = encrypted.status()
    total = 2 + 2 * len(answers)
    assert [key.state for key in status.data_keys] == ["outgoing", "current"]
    assert (status.complete, status.pending_rows) == (False, total - after)
    assert encrypted.search("price") == answers
    (encrypted.folder / "new.md").write_text("# New\n\nWritten while two keys are in use.")
    assert encrypted.fill()["written"] == 1
    assert encrypted.rotate() == total - after
    assert [key.state for key in encrypted.status().data_keys] == ["retired", "current"]
    assert encrypted.status().complete
    assert [r for r in encrypted.search("price") if r.document != "new.md"] != []


def test_a_killed_encryption_goes_on_and_clear_rows_are_read_meanwhile(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus.fill()
    answers = corpus.search("price")
    monkeypatch.setattr(resealing, "ROWS_AT_ONCE", 1)

    def kill(done: int, _total: int, _unit: str) -> None:
        if done == 3:
            raise Killed

    with corpus.database.connect() as connection, pytest.raises(Killed):
        administration.enable(connection, corpus.name, corpus.settings, progress=kill)
    assert not corpus.status().complete
    assert corpus.search("price") == answers
    corpus.enable()
    assert corpus.status().complete
    assert len(corpus.status().data_keys) == 1
    assert corpus.search("price") == answers
    assert columns_that_show(corpus.database, corpus.name, MARKER) == set()


def test_without_its_master_key_nothing_goes_on_and_nothing_is_made_anew(
    encrypted: Corpus,
) -> None:
    key_file = encrypted.settings.encryption_key_path
    moved = key_file.rename(key_file.with_name("moved"))
    for operation in (lambda: encrypted.search("price"), encrypted.fill, encrypted.rotate):
        with pytest.raises(KeyUnavailable, match=r"is missing.*GREENLANG_ENCRYPTION_KEY_FILE"):
            operation()
    with encrypted.database.connect() as connection:
        namespaces.register(connection, "second")
        with pytest.raises(KeyUnavailable):
            administration.enable(connection, "second", encrypted.settings)
        assert data_keys.of_namespace(connection, "second") == []
        namespaces.drop(connection, "second")
    assert not key_file.exists()
    shutil.copy(moved, key_file)
    assert len(encrypted.search("price")) > 0


def test_with_another_master_key_nothing_opens(
    encrypted: Corpus, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = tmp_path / "other.key"
    other.write_text("0" * 64)
    other.chmod(0o600)
    monkeypatch.setenv("GREENLANG_ENCRYPTION_KEY_FILE", str(other))
    get_settings.cache_clear()
    with pytest.raises(KeyUnavailable, match=r"file:[0-9a-f]{16} is needed"):
        encrypted.search("price")


def test_data_keys_are_wrapped_anew_without_touching_a_row(
    encrypted: Corpus, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    encrypted.rotate()
    old_file = encrypted.settings.encryption_key_path
    versions = "SELECT xmin::text, ctid::text FROM document_chunks WHERE namespace = %(ns)s"
    before, answers = encrypted.rows(versions), encrypted.search("price")
    newer = Settings(encryption_key_file=tmp_path / "newer.key")
    with encrypted.database.connect() as connection:
        with pytest.raises(KeyUnavailable):
            administration.rewrap(connection, encrypted.name, newer)
        assert not (tmp_path / "newer.key").exists()
        rewrapped = administration.rewrap(connection, encrypted.name, newer, old_key_file=old_file)
    assert rewrapped == 2
    assert encrypted.rows(versions) == before
    old_file.unlink()
    monkeypatch.setenv("GREENLANG_ENCRYPTION_KEY_FILE", str(tmp_path / "newer.key"))
    get_settings.cache_clear()
    assert encrypted.search("price") == answers


def test_what_cannot_be_rotated_is_refused(corpus: Corpus) -> None:
    with corpus.database.connect() as connection:
        for refused in (administration.rotate, administration.rewrap):
            with pytest.raises(UsageError, match=r"not encrypted.*encryption enable"):
                refused(connection, corpus.name, corpus.settings)
            with pytest.raises(UsageError, match="Unknown namespace"):
                refused(connection, "nowhere", corpus.settings)


def test_no_key_is_in_the_database(encrypted: Corpus) -> None:
    with encrypted.database.connect() as connection:
        [key] = data_keys.of_namespace(connection, encrypted.name)
        data_key = key.unwrap(encrypted.settings)
        row = connection.execute(
            "SELECT string_agg(k::text, '') FROM data_keys k WHERE namespace = %s",
            [encrypted.name],
        ).fetchone()
    stored = str(row)
    assert len(data_key) == 32
    assert data_key.hex() not in stored
    assert encrypted.settings.encryption_key_path.read_text().strip() not in stored
