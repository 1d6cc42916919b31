"""An encrypted namespace from file to answer: what SQL sees, what opens, what is refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

from greenlang_vectors import stages
from greenlang_vectors.embedding.embedder import Embedder
from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.errors import UsageError
from greenlang_vectors.quality.checks import CHECKS, CheckContext, CheckOutcome
from greenlang_vectors.search.engine import SearchEngine
from greenlang_vectors.search.model import SearchRequest, SearchResult
from greenlang_vectors.service import EmbeddingConfig, EmbeddingRequest, EmbeddingService
from greenlang_vectors.settings import Settings, get_settings
from greenlang_vectors.stages.chunks import cut_chunks
from greenlang_vectors.stages.documents import load_documents
from greenlang_vectors.stages.embeddings import embed_chunks
from greenlang_vectors.store import dead_letters, embeddings, namespaces, segments
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.encryption import administration, data_keys, resealing
from greenlang_vectors.store.encryption.cipher import mark
from greenlang_vectors.store.encryption.errors import KeyUnavailable, SealBroken
from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.locks import exclusive

pytestmark = pytest.mark.integration

MARKER = "zebrafish"
FILES = {
    "importers.md": f"# {MARKER} importers\n\nOnly an authorised {MARKER} declarant may import.",
    "prices.md": f"# Prices\n\n## Weekly {MARKER} price\n\nA certificate costs the average.",
}


@dataclass
class Corpus:
    """A namespace with a source, brought through the stages."""

    database: Database
    embedder: Embedder
    name: str
    folder: Path
    settings: Settings
    server: str

    @property
    def leaf(self) -> Leaf:
        spec = self.embedder.model.spec
        return Leaf(self.name, spec.name, spec.dimensions)

    def fill(self) -> dict[str, int]:
        """Run the stages; how many documents, documents cut and embeddings were written."""
        embedders = Embedders.only(self.embedder)
        loaded = load_documents(self.database, self.name, max_bytes=10**6, cache_seconds=60)
        cut = cut_chunks(
            self.database, self.name, embedders=embedders, chunk_tokens=512, cache_seconds=60
        )
        reports = embed_chunks(self.database, self.name, embedders=embedders, batch_size=2)
        return {
            "documents": loaded.added + loaded.changed,
            "cut": cut.cut,
            "written": sum(report.written for report in reports.values()),
        }

    def search(self, query: str, top_k: int = 10) -> list[SearchResult]:
        engine = SearchEngine(self.database, Embedders.only(self.embedder), self.settings)
        return engine.search(SearchRequest(query, self.name, top_k)).results

    def enable(self, *metadata_keys: str) -> int:
        with self.database.connect() as connection:
            return administration.enable(
                connection, self.name, self.settings, metadata_keys=metadata_keys
            )

    def rotate(self, progress: Callable[[int, int, str], None] = lambda *_: None) -> int:
        with self.database.connect() as connection:
            return administration.rotate(connection, self.name, self.settings, progress=progress)

    def status(self) -> administration.EncryptionStatus:
        with self.database.connect() as connection:
            [found] = [s for s in administration.status(connection) if s.namespace == self.name]
        return found

    def checks(self, *stages: str) -> dict[str, CheckOutcome]:
        context = CheckContext(self.leaf, self.settings, 512)
        with self.database.connect() as connection:
            return {
                check.name: check.run(connection, context)
                for check in CHECKS
                if check.stage in stages
            }

    def execute(self, statement: str) -> int:
        """Change rows behind the library's and its triggers' back; %(ns)s is the namespace."""
        with self.database.connect() as connection:
            name = connection.info.dbname
        with psycopg.connect(self.server, dbname=name, autocommit=True) as connection:
            connection.execute("SET session_replication_role = replica")
            return connection.execute(statement.encode(), {"ns": self.name}).rowcount

    def rows(self, statement: str) -> list[tuple[object, ...]]:
        with self.database.connect() as connection:
            return connection.execute(statement.encode(), {"ns": self.name}).fetchall()


@pytest.fixture(autouse=True)
def own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Settings whose master key is the test's own."""
    monkeypatch.setenv("GREENLANG_DATA_DIR", str(tmp_path / "data"))
    get_settings.cache_clear()
    yield get_settings()
    get_settings.cache_clear()


@pytest.fixture
def corpus(
    database: Database,
    embedder: Embedder,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    server: str,
) -> Iterator[Corpus]:
    """Two documents in a source; nothing is read yet."""
    folder = tmp_path / "source"
    folder.mkdir()
    for file, text in FILES.items():
        (folder / file).write_text(text)
    name = f"enc{abs(hash(request.node.nodeid)) % 10**12}"
    with database.connect() as connection:
        namespaces.register(connection, name, source_uri=str(folder))
    yield Corpus(database, embedder, name, folder, get_settings(), server)
    with database.connect() as connection:
        namespaces.drop(connection, name)


@pytest.fixture
def encrypted(corpus: Corpus) -> Corpus:
    """The two documents, encrypted from the beginning, brought through the stages."""
    corpus.enable()
    corpus.fill()
    return corpus


def columns_that_show(database: Database, namespace: str, word: str) -> set[str]:
    """Columns of text or JSON, of every table, in which rows of the namespace hold the word."""
    found = set()
    with database.connect() as connection:
        columns = connection.execute(
            """
            SELECT a.attrelid::regclass::text, a.attname
            FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
            WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
              AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped
              AND a.atttypid = ANY ('{text,varchar,bpchar,jsonb,json,bytea,text[],varchar[],
                                      bpchar[],jsonb[]}'::regtype[])
              AND EXISTS (SELECT FROM pg_attribute n
                          WHERE n.attrelid = c.oid AND n.attname = 'namespace')
            """
        ).fetchall()
        assert ("documents", "text") in columns
        for table, column in columns:
            row = connection.execute(
                sql.SQL(
                    "SELECT EXISTS (SELECT FROM {} WHERE namespace = %s AND {}::text ILIKE %s)"
                ).format(sql.Identifier(table), sql.Identifier(column)),
                [namespace, f"%{word}%"],
            ).fetchone()
            if row == (True,):
                found.add(f"{table}.{column}")
    return found


def test_sql_sees_the_texts_of_a_plain_namespace_and_none_of_an_encrypted_one(
    corpus: Corpus,
) -> None:
    corpus.fill()
    assert columns_that_show(corpus.database, corpus.name, MARKER) == {
        "documents.text",
        "documents.title",
        "documents.headings",
        "document_chunks.content",
        "document_chunks.heading_path",
        "vector_embeddings.content_preview",
    }
    assert corpus.enable() == 2 + 2 * len(corpus.search("price"))
    assert columns_that_show(corpus.database, corpus.name, MARKER) == set()


def test_what_is_encrypted_from_the_beginning_is_found_and_read_as_ever(
    corpus: Corpus, encrypted: Corpus
) -> None:
    assert columns_that_show(encrypted.database, encrypted.name, MARKER) == set()
    best = encrypted.search("What does a certificate cost?")[0]
    assert best.document == "prices.md"
    assert best.title == "Prices"
    assert best.heading_path == ["Prices"]
    assert "A certificate costs the average." in best.content
    assert corpus.fill() == {"documents": 0, "cut": 0, "written": 0}


def test_encrypting_a_filled_namespace_changes_no_answer_and_embeds_nothing(
    corpus: Corpus,
) -> None:
    corpus.fill()
    stages_checked = ("documents", "chunks", "embeddings")
    assert {n: o.message for n, o in corpus.checks(*stages_checked).items() if not o.passed} == {}
    state = "SELECT id, content_hash, embedding::text FROM vector_embeddings WHERE namespace=%(ns)s"
    before, answers = sorted(corpus.rows(state)), corpus.search("price")
    corpus.enable()
    assert sorted(corpus.rows(state)) == before
    assert corpus.search("price") == answers
    assert corpus.fill() == {"documents": 0, "cut": 0, "written": 0}
    assert corpus.enable() == 0


def test_a_changed_document_is_cut_and_embedded_anew(encrypted: Corpus) -> None:
    (encrypted.folder / "prices.md").write_text(f"# Prices\n\nThe {MARKER} auction is on Monday.")
    assert encrypted.fill() == {"documents": 1, "cut": 1, "written": 1}
    assert "Monday" in encrypted.search("When is the auction?")[0].content
    assert columns_that_show(encrypted.database, encrypted.name, MARKER) == set()


def test_every_check_passes_and_notices_damage_without_quoting_a_text(encrypted: Corpus) -> None:
    stages = ("documents", "chunks", "embeddings")
    assert {n: o.message for n, o in encrypted.checks(*stages).items() if not o.passed} == {}
    first = "(SELECT id FROM documents WHERE namespace = %(ns)s AND source_key = 'importers.md')"
    encrypted.execute(
        "UPDATE document_chunks SET content_hash = repeat('0', 64), end_char = end_char - 9"
        f" WHERE namespace = %(ns)s AND document_id = {first}"
    )
    encrypted.execute(
        "UPDATE documents SET text_hash = repeat('0', 64), page_starts = '{5}'"
        f" WHERE namespace = %(ns)s AND id = {first}"
    )
    outcomes = encrypted.checks(*stages)
    failed = {name for name, outcome in outcomes.items() if not outcome.passed}
    assert {
        "documents_intact",
        "chunk_hashes_match",
        "chunks_match_text",
        "chunks_cover_text",
    } <= failed
    assert "does not match its hash" in outcomes["chunk_hashes_match"].message
    [damaged] = outcomes["documents_intact"].examples
    assert damaged["document"] == "importers.md"
    assert "does not match its hash; a page starts outside" in str(damaged["problem"])
    assert "no chunk holds the 9 characters" in outcomes["chunks_cover_text"].message
    assert MARKER not in str(outcomes)


def test_the_expectations_notice_a_preview_in_clear(encrypted: Corpus) -> None:
    encrypted.execute(
        "UPDATE vector_embeddings SET content_preview = repeat('clear ', 40)"
        " WHERE namespace = %(ns)s"
    )
    assert not encrypted.checks("embeddings")["embedding_expectations"].passed


def test_the_database_refuses_clear_text_and_does_not_quote_it(
    encrypted: Corpus,
    add_document: Callable[[psycopg.Connection, str, str, Sequence[str]], UUID],
) -> None:
    with encrypted.database.connect() as connection:
        with pytest.raises(psycopg.errors.CheckViolation, match="clear text") as refused:
            add_document(connection, encrypted.name, "late.txt", [f"a {MARKER} passage"])
        for statement in (
            "UPDATE document_chunks SET content = 'zebrafish'",
            "UPDATE document_chunks SET heading_path = '{zebrafish}'",
            "UPDATE documents SET title = 'zebrafish'",
            "UPDATE documents SET headings = '[[0, 1, \"zebrafish\"]]'",
            "UPDATE vector_embeddings SET content_preview = 'zebrafish'",
        ):
            with pytest.raises(psycopg.errors.CheckViolation, match="clear text"):
                connection.execute(statement.encode() + b" WHERE namespace = %s", [encrypted.name])
    assert MARKER not in str(refused.value)


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


def test_swapped_and_changed_passages_are_refused_by_name(encrypted: Corpus) -> None:
    encrypted.execute(
        """
        UPDATE document_chunks c SET content = o.content FROM document_chunks o
        WHERE c.namespace = %(ns)s AND o.namespace = %(ns)s AND c.document_id <> o.document_id
        """
    )
    with pytest.raises(SealBroken, match=r"content of chunk 0 of document [0-9a-f-]{36}"):
        encrypted.search("price")
    outcome = encrypted.checks("chunks")["chunk_hashes_match"]
    assert not outcome.passed
    assert "belongs to another row" in outcome.message


def test_clear_text_put_in_behind_the_trigger_is_refused(encrypted: Corpus) -> None:
    encrypted.execute("UPDATE document_chunks SET content = 'forged' WHERE namespace = %(ns)s")
    with pytest.raises(SealBroken, match="not sealed"):
        encrypted.search("price")


def test_a_tampered_document_is_a_dead_letter_of_its_stage_and_the_other_goes_on(
    encrypted: Corpus,
) -> None:
    changed = encrypted.execute(
        """
        UPDATE documents SET chunking_fingerprint = NULL,
            text = CASE WHEN source_key = 'prices.md' THEN left(text, 60) || 'AAAA' ELSE text END
        WHERE namespace = %(ns)s
        """
    )
    assert changed == 2
    assert encrypted.fill()["cut"] == 1
    with encrypted.database.connect() as connection:
        [letter] = dead_letters.list_all(connection, encrypted.name)
    assert (letter.stage, letter.item, letter.reason) == ("chunks", "prices.md", "tampered")
    assert "text of document" in letter.message


def test_a_tampered_passage_is_a_dead_letter_of_its_stage_and_the_others_go_on(
    encrypted: Corpus,
) -> None:
    encrypted.execute("DELETE FROM vector_embeddings WHERE namespace = %(ns)s")
    encrypted.execute(
        """
        UPDATE document_chunks SET content = overlay(content PLACING 'AAAA' FROM 40 FOR 4)
        WHERE namespace = %(ns)s AND document_id =
            (SELECT id FROM documents WHERE namespace = %(ns)s AND source_key = 'prices.md')
        """
    )
    assert encrypted.fill()["written"] == 1
    with encrypted.database.connect() as connection:
        letters = dead_letters.list_all(connection, encrypted.name)
    assert {(letter.stage, letter.reason) for letter in letters} == {("embeddings", "tampered")}
    assert [r.document for r in encrypted.search("price")] == ["importers.md"]


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


def test_the_sdk_seals_texts_and_chosen_metadata_and_storing_again_changes_nothing(
    corpus: Corpus,
) -> None:
    corpus.enable("client")
    service = EmbeddingService(corpus.database, corpus.settings, EmbeddingConfig())
    request = EmbeddingRequest(
        [f"A {MARKER} passage.", "Another."],
        corpus.name,
        source_id="r-1",
        metadata={"client": f"{MARKER} Ltd", "year": 2023},
    )
    assert service.sync.embed_and_store(request) == 2
    assert columns_that_show(corpus.database, corpus.name, MARKER) == set()
    assert service.sync.embed_and_store(request) == 0
    assert corpus.search("passage")[0].content == f"A {MARKER} passage."
    rows = corpus.rows("SELECT metadata FROM vector_embeddings WHERE namespace = %(ns)s")
    assert [row[0]["year"] for row in rows] == [2023, 2023]
    other = EmbeddingRequest(request.texts, corpus.name, source_id="r-1", metadata={"client": "B"})
    assert service.sync.embed_and_store(other) == 2


def test_a_metadata_key_chosen_later_is_sealed_in_the_rows_that_are_there(
    corpus: Corpus,
) -> None:
    corpus.enable()
    service = EmbeddingService(corpus.database, corpus.settings, EmbeddingConfig())
    service.sync.embed_and_store(
        EmbeddingRequest(["Text."], corpus.name, metadata={"client": f"{MARKER} Ltd"})
    )
    in_clear = {"documents.metadata", "vector_embeddings.metadata"}
    assert columns_that_show(corpus.database, corpus.name, MARKER) == in_clear
    assert corpus.enable("client") == 2
    noted_before = {"vector_audit_log.old_metadata"}
    assert columns_that_show(corpus.database, corpus.name, MARKER) <= noted_before
    assert corpus.status().metadata_keys == ["client"]
    with (
        corpus.database.connect() as connection,
        pytest.raises(psycopg.errors.CheckViolation, match="clear text"),
    ):
        connection.execute(
            """UPDATE vector_embeddings SET metadata = '{"client": "B"}' WHERE namespace = %s""",
            [corpus.name],
        )
    assert corpus.rotate() == 3


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
