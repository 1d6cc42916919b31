"""Each kind of damage is noticed by the one check that is there for it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from greenlang_vectors.quality.checks import CheckOutcome
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.leaves import Leaf

from .damage import (
    BLANK,
    CHUNK,
    DOCUMENT,
    EMBEDDING,
    OTHER_HASH,
    OTHER_TEXT,
    SHA256,
    copied,
    execute,
    failed,
)

pytestmark = pytest.mark.integration
RunAll = Callable[[], dict[str, CheckOutcome]]


@pytest.mark.parametrize(
    ("noticed", "problem", "damage"),
    [
        pytest.param(
            {"documents_intact"},
            "does not match its hash",
            [f"UPDATE documents SET text_hash = {OTHER_HASH} WHERE {DOCUMENT}"],
            id="document hash",
        ),
        pytest.param(
            {"documents_intact"},
            "a page starts",
            [f"UPDATE documents SET page_starts = '{{0,9,4}}' WHERE {DOCUMENT}"],
            id="pages out of order",
        ),
        pytest.param(
            {"documents_intact"},
            "a page starts",
            [f"UPDATE documents SET page_starts = '{{0,999}}' WHERE {DOCUMENT}"],
            id="page outside the text",
        ),
        pytest.param(
            {"documents_intact"},
            "a page starts",
            [f"UPDATE documents SET page_starts = '{{2}}' WHERE {DOCUMENT}"],
            id="first page late",
        ),
        pytest.param(
            {"documents_intact"},
            "a heading stands",
            [f"""UPDATE documents SET headings = '[[4,1,"b"],[1,1,"a"]]' WHERE {DOCUMENT}"""],
            id="headings out of order",
        ),
        pytest.param(
            {"documents_intact"},
            "a heading stands",
            [f"""UPDATE documents SET headings = '[[-1,1,"a"]]' WHERE {DOCUMENT}"""],
            id="heading before the text",
        ),
        pytest.param(
            {"documents_intact"},
            "a heading stands",
            [f"""UPDATE documents SET headings = '[[999,1,"a"]]' WHERE {DOCUMENT}"""],
            id="heading after the text",
        ),
        pytest.param(
            {"documents_intact", "chunks_match_text"},
            "the text is empty",
            [
                f"UPDATE documents SET text = {BLANK}, text_hash = {SHA256.format(BLANK)}"
                f" WHERE {DOCUMENT}"
            ],
            id="nothing but white space",
        ),
        pytest.param(
            {"chunks_complete"},
            "has not been cut",
            [f"UPDATE documents SET chunking_fingerprint = NULL WHERE {DOCUMENT}"],
            id="document not cut",
        ),
        pytest.param(
            {"chunks_complete"},
            "no searched chunk",
            [
                f"DELETE FROM document_chunks WHERE {CHUNK} >= 0",
                f"DELETE FROM vector_embeddings WHERE {EMBEDDING} >= 0",
            ],
            id="document without chunks",
        ),
        pytest.param(
            {"chunks_complete"},
            "3 chunks belong to no document",
            [f"DELETE FROM documents WHERE {DOCUMENT}"],
            id="chunks without a document",
        ),
        pytest.param(
            {"chunk_hashes_match"},
            "does not match its hash",
            [
                f"UPDATE document_chunks SET content_hash = {OTHER_HASH} WHERE {CHUNK} = 1",
                f"UPDATE vector_embeddings SET content_hash = {OTHER_HASH} WHERE {EMBEDDING} = 1",
            ],
            id="chunk hash",
        ),
        pytest.param(
            {"chunks_match_text"},
            "is another",
            [
                "UPDATE document_chunks SET content = 'owt',"
                f" content_hash = {SHA256.format(OTHER_TEXT)} WHERE {CHUNK} = 1",
                f"UPDATE vector_embeddings SET content_hash = {SHA256.format(OTHER_TEXT)}"
                f" WHERE {EMBEDDING} = 1",
            ],
            id="chunk content",
        ),
        pytest.param(
            {"chunks_match_text", "chunks_cover_text"},
            "outside the text of",
            [
                "UPDATE document_chunks SET start_char = start_char + 99, end_char = end_char + 99"
                f" WHERE {CHUNK} = 1"
            ],
            id="span outside the text",
        ),
        pytest.param(
            {"chunks_cover_text"},
            "no chunk holds 'three 三'",
            [
                f"DELETE FROM document_chunks WHERE {CHUNK} = 2",
                f"DELETE FROM vector_embeddings WHERE {EMBEDDING} = 2",
            ],
            id="end of the text in no chunk",
        ),
        pytest.param(
            {"chunks_cover_text", "chunks_numbered"},
            "no chunk holds 'one üne'",
            [
                f"DELETE FROM document_chunks WHERE {CHUNK} = 0",
                f"DELETE FROM vector_embeddings WHERE {EMBEDDING} = 0",
            ],
            id="beginning of the text in no chunk",
        ),
        pytest.param(
            {"chunks_numbered"},
            "its number should be 2",
            [
                f"UPDATE document_chunks SET chunk_index = 7 WHERE {CHUNK} = 2",
                f"UPDATE vector_embeddings SET chunk_index = 7 WHERE {EMBEDDING} = 2",
            ],
            id="hole in the numbers",
        ),
        pytest.param(
            {"chunks_numbered"},
            "chunk 0 is not a parent",
            [f"UPDATE document_chunks SET parent_index = 0 WHERE {CHUNK} = 1"],
            id="searched chunk as parent",
        ),
        *(
            pytest.param(
                {"chunk_expectations"},
                column,
                [f"UPDATE document_chunks SET {change} WHERE {CHUNK} = 1"],
                id=change,
            )
            for column, change in (
                ("token_count", "token_count = 513"),
                ("token_count", "token_count = 0"),
                ("page_start", "page_start = 0, page_end = 0"),
                ("page_end", "page_start = 2, page_end = 1"),
            )
        ),
        pytest.param(
            {"chunk_expectations"},
            "expect_compound_columns_to_be_unique",
            [
                "INSERT INTO document_chunks SELECT namespace, document_id, 3, level, parent_index,"
                " content, content_hash, token_count, start_char, end_char, page_start, page_end,"
                f" heading_path FROM document_chunks WHERE {CHUNK} = 2",
                copied(chunk_index="3"),
            ],
            id="chunk twice",
        ),
        pytest.param(
            {"embeddings_match_chunks"},
            "the chunk has no embedding",
            [f"DELETE FROM vector_embeddings WHERE {EMBEDDING} = 1"],
            id="embedding lost",
        ),
        pytest.param(
            {"embeddings_match_chunks"},
            "the embedding has no chunk",
            [copied(source_id="gen_random_uuid()")],
            id="embedding of an unknown document",
        ),
        pytest.param(
            {"embeddings_match_chunks"},
            "the embedding has no chunk",
            [copied(chunk_index="9")],
            id="embedding of an unknown chunk",
        ),
        pytest.param(
            {"embeddings_match_chunks"},
            "of another content",
            [f"UPDATE vector_embeddings SET content_hash = {OTHER_HASH} WHERE {EMBEDDING} = 1"],
            id="embedding out of date",
        ),
        pytest.param(
            {"vectors_sound"},
            "the norm 2.000000",
            [
                "UPDATE vector_embeddings SET embedding = embedding + embedding"
                f" WHERE {EMBEDDING} = 1"
            ],
            id="vector not normalised",
        ),
        pytest.param(
            {"vectors_sound"},
            "the norm 0.000000",
            [
                "UPDATE vector_embeddings SET embedding = embedding - embedding"
                f" WHERE {EMBEDDING} = 1"
            ],
            id="zero vector",
        ),
        pytest.param(
            {"embedding_expectations"},
            "embedding_fingerprint",
            [f"UPDATE vector_embeddings SET embedding_fingerprint = 'other' WHERE {EMBEDDING} = 1"],
            id="two fingerprints",
        ),
        pytest.param(
            {"embedding_expectations"},
            "content_preview",
            [
                "UPDATE vector_embeddings SET content_preview = repeat('x', 501)"
                f" WHERE {EMBEDDING} = 1"
            ],
            id="long preview",
        ),
        pytest.param(
            {"embedding_expectations"},
            "source_type",
            [f"UPDATE vector_embeddings SET source_type = 'memo' WHERE {EMBEDDING} = 1"],
            id="other source type",
        ),
        pytest.param(
            {"embedding_expectations"},
            "expect_compound_columns_to_be_unique",
            [copied(source_type="'memo'")],
            id="embedding twice",
        ),
        pytest.param(
            {"index_ready"},
            "is invalid",
            [
                "UPDATE pg_index SET indisvalid = false FROM pg_class WHERE oid = indexrelid"
                " AND relname LIKE '%%hnsw%%' AND indrelid = 'LEAF'::regclass"
            ],
            id="invalid index",
        ),
        pytest.param(
            {"index_ready"},
            "another",
            ["CREATE INDEX another ON LEAF USING hnsw ((embedding::vector(8)) vector_cosine_ops)"],
            id="one index too many",
        ),
        pytest.param(
            {"recall_reached"},
            "recall@10 is 0.9400",
            [
                "INSERT INTO search_quality (namespace, embedding_model, ef_search, queries,"
                " recall_at_10, latency_p50_ms, latency_p99_ms)"
                " VALUES (%(ns)s, 'test-model', 40, 9, 0.94, 1, 2)"
            ],
            id="recall fell",
        ),
        pytest.param(
            {"recall_reached"},
            "has been measured yet",
            ["DELETE FROM search_quality WHERE namespace = %(ns)s"],
            id="never measured",
        ),
    ],
)
def test_damage_is_noticed_by_its_check_alone(
    database: Database,
    healthy: Leaf,
    run_all: RunAll,
    noticed: set[str],
    problem: str,
    damage: list[str],
) -> None:
    execute(database, healthy, *damage)
    outcomes = run_all()
    assert failed(outcomes) == noticed
    assert any(problem in str(outcomes[name]) for name in noticed)
