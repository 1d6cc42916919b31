"""An encrypted namespace from file to answer: what SQL sees, what opens, what is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

import psycopg
import pytest

from greenlang_vectors.service import EmbeddingConfig, EmbeddingRequest, EmbeddingService
from greenlang_vectors.store import dead_letters
from greenlang_vectors.store.encryption.errors import SealBroken

from .corpus import MARKER, Corpus, columns_that_show

pytestmark = pytest.mark.integration


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
