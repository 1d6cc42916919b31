"""Every check passes where all is well, and notices the one kind of damage it is there for."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from uuid import UUID

import psycopg
import pytest

from greenlang_vectors.documents.model import JSON
from greenlang_vectors.errors import ItemError
from greenlang_vectors.quality import checks, expectations, integrity, passages
from greenlang_vectors.quality.checks import CHECKS, CheckContext, CheckOutcome
from greenlang_vectors.store import dead_letters, embedded, records, segments
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.leaves import Leaf

pytestmark = pytest.mark.integration

AddDocument = Callable[[psycopg.Connection, str, str, Sequence[str]], UUID]
EmbedAll = Callable[[psycopg.Connection, Leaf], int]
RunAll = Callable[[], dict[str, CheckOutcome]]

OTHER_HASH = "'" + "0" * 64 + "'"
FIRST = "(SELECT id FROM documents WHERE namespace = %(ns)s AND source_key = 'first.txt')"
CHUNK = f"namespace = %(ns)s AND document_id = {FIRST} AND chunk_index"
EMBEDDING = f"namespace = %(ns)s AND source_id = {FIRST} AND chunk_index"
DOCUMENT = "namespace = %(ns)s AND source_key = 'first.txt'"
SHA256 = "encode(sha256(convert_to({}, 'UTF8')), 'hex')"
OTHER_TEXT = "'owt'"
BLANK = "E'\\u2003\\u001c\\u00a0'"
COPIED = """
    INSERT INTO vector_embeddings (id, source_type, source_id, chunk_index, content_hash,
        content_preview, embedding, embedding_model, embedding_fingerprint, namespace)
    SELECT gen_random_uuid(), {source_type}, {source_id}, {chunk_index}, content_hash,
        content_preview, embedding, embedding_model, embedding_fingerprint, namespace
    FROM vector_embeddings WHERE """


def copied(
    source_type: str = "source_type", source_id: str = "source_id", chunk_index: str = "chunk_index"
) -> str:
    return (
        COPIED.format(source_type=source_type, source_id=source_id, chunk_index=chunk_index)
        + f"{EMBEDDING} = 2"
    )


def failed(outcomes: dict[str, CheckOutcome]) -> set[str]:
    return {name for name, outcome in outcomes.items() if not outcome.passed}


def execute(database: Database, leaf: Leaf, *statements: str) -> None:
    """Damage the tables behind the back of their foreign keys."""
    superuser = Database(database.url.replace(embedded.OWNER, "postgres"))
    with superuser.connect() as connection:
        connection.execute("SET session_replication_role = replica")
        for statement in statements:
            changed = connection.execute(
                statement.replace("LEAF", leaf.table.as_string(connection)).encode(),
                {"ns": leaf.namespace},
            )
            assert changed.rowcount != 0, statement


@pytest.mark.usefixtures("healthy")
def test_all_pass_in_a_healthy_namespace(run_all: RunAll) -> None:
    outcomes = run_all()
    assert failed(outcomes) == set()
    assert outcomes["chunks_complete"].numbers["documents"] == 2
    assert outcomes["embeddings_match_chunks"].numbers == {
        "chunks": 5,
        "embeddings": 5,
        "failed": 0,
    }
    assert outcomes["recall_reached"].numbers["recall_at_10"] == 1


def test_all_pass_in_an_empty_namespace_and_say_so(run_all: RunAll) -> None:
    outcomes = run_all()
    assert failed(outcomes) == set()
    for name, outcome in outcomes.items():
        assert "no" in outcome.message.lower().split(), (name, outcome.message)


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


def index_of(database: Database, leaf: Leaf) -> str:
    """The name of the leaf's one index."""
    with database.connect() as connection:
        [index] = segments.on_leaf(connection, leaf)
    return index.name


def test_a_lost_index_is_noticed(database: Database, healthy: Leaf, run_all: RunAll) -> None:
    name = index_of(database, healthy)
    execute(database, healthy, f'DROP INDEX "{name}"')
    outcomes = run_all()
    assert failed(outcomes) == {"index_ready"}
    assert "5 rows wait for an index" in outcomes["index_ready"].message


def test_vectors_of_other_dimensions_are_noticed(
    database: Database, healthy: Leaf, run_all: RunAll
) -> None:
    name = index_of(database, healthy)
    execute(
        database,
        healthy,
        f'DROP INDEX "{name}"',
        "ALTER TABLE LEAF DROP CONSTRAINT dimensions",
        f"UPDATE vector_embeddings SET embedding = '[0,1]' WHERE {EMBEDDING} = 1",
    )
    outcomes = run_all()
    assert failed(outcomes) == {"vectors_sound", "index_ready"}
    assert outcomes["vectors_sound"].examples == [
        {
            "document": "first.txt",
            "chunk_index": 1,
            "dimensions": 2,
            "norm": 1,
            "problem": "the vector has 2 dimensions",
        }
    ]


@pytest.mark.parametrize("value", ["NaN", "Infinity"])
def test_the_server_refuses_vectors_that_hold_no_number(
    database: Database, healthy: Leaf, value: str
) -> None:
    with pytest.raises(psycopg.errors.DataException):
        execute(
            database,
            healthy,
            f"UPDATE vector_embeddings SET embedding = '[{value},0,0,0,0,0,0,0]'"
            f" WHERE {EMBEDDING} = 1",
        )


def test_dead_letters_warn_and_are_listed(
    database: Database, healthy: Leaf, run_all: RunAll
) -> None:
    letter = ItemError("encrypted", "The file wants a password.", "Store it without one.")
    with database.connect() as connection:
        for stage in ("documents", "chunks", "embeddings"):
            dead_letters.record(connection, healthy.namespace, stage, "closed.pdf", letter)
    outcomes = run_all()
    warned = {f"{stage}_without_dead_letters" for stage in ("documents", "chunks", "embeddings")}
    assert failed(outcomes) == warned
    assert not any(check.blocking for check in CHECKS if check.name in warned)
    for name in warned:
        example: dict[str, JSON] = {
            "item": "closed.pdf",
            "reason": "encrypted",
            "message": "The file wants a password.",
            "remedy": "Store it without one.",
            "attempts": 1,
        }
        assert outcomes[name].examples == [example]


def test_what_is_a_dead_letter_blocks_nothing(
    database: Database, healthy: Leaf, run_all: RunAll
) -> None:
    """An older version's chunks stay when the newer text cannot be cut; so with embeddings."""
    execute(
        database,
        healthy,
        "UPDATE documents SET chunking_fingerprint = NULL, text = 'owt',"
        f" text_hash = {SHA256.format(OTHER_TEXT)} WHERE {DOCUMENT}",
        f"DELETE FROM vector_embeddings WHERE {EMBEDDING} = 1",
    )
    assert failed(run_all()) == {"chunks_complete", "embeddings_match_chunks"}
    with database.connect() as connection:
        row = connection.execute(
            f"SELECT id FROM documents WHERE {DOCUMENT}", {"ns": healthy.namespace}
        ).fetchone()
        assert row is not None
        for stage, item in (("chunks", "first.txt"), ("embeddings", f"{row[0]}/1 (test-model)")):
            error = ItemError("too_long", "It does not fit.")
            dead_letters.record(connection, healthy.namespace, stage, item, error)
    blocking = {check.name for check in CHECKS if check.blocking}
    assert failed(run_all()) & blocking == set()


def test_only_what_python_strips_may_lie_between_chunks(
    database: Database, context: CheckContext, add_document: AddDocument
) -> None:
    spaces = "".join(filter(str.isspace, map(chr, range(0x110000))))
    assert spaces == integrity.WHITE_SPACE

    def outcome_with(between: str) -> CheckOutcome:
        with database.connect() as connection:
            add_document(
                connection, context.namespace, "a.txt", ["one" + "x" * len(between), "two"]
            )
            connection.execute(
                """
                UPDATE documents SET text = 'one' || %s || E'\n\ntwo' WHERE namespace = %s
                """,
                [between, context.namespace],
            )
            connection.execute(
                """
                UPDATE document_chunks SET content = 'one', end_char = 3
                WHERE namespace = %s AND chunk_index = 0
                """,
                [context.namespace],
            )
            assert passages.chunks_match_text(connection, context).passed
            return passages.chunks_cover_text(connection, context)

    assert outcome_with(spaces).passed
    zero_width = outcome_with("\u00a0\u200b\u00a0")
    assert zero_width.examples == [
        {"document": "a.txt", "start": 4, "end": 5, "problem": "no chunk holds '\\u200b'"}
    ]
    assert zero_width.numbers["characters_lost"] == 1


def test_chunks_may_overlap_and_hold_one_another(
    database: Database, healthy: Leaf, context: CheckContext
) -> None:
    execute(
        database,
        healthy,
        f"UPDATE document_chunks SET end_char = 21 WHERE {CHUNK} = 0",
        f"UPDATE document_chunks SET end_char = 15 WHERE {CHUNK} = 2",
    )
    with database.connect() as connection:
        assert passages.chunks_cover_text(connection, context).passed
        connection.execute("UPDATE document_chunks SET end_char = 20 WHERE end_char = 21")
        lost = passages.chunks_cover_text(connection, context)
    assert [example["problem"] for example in lost.examples] == ["no chunk holds '三'"]


def test_examples_are_few_where_offenders_are_many(
    database: Database, context: CheckContext, add_document: AddDocument
) -> None:
    with database.connect() as connection:
        add_document(connection, context.namespace, "many.txt", [f"p{i}" for i in range(50)])
        connection.execute(
            "UPDATE document_chunks SET content = content || '!' WHERE namespace = %s",
            [context.namespace],
        )
        for judge in (passages.chunks_match_text, integrity.chunk_hashes_match):
            outcome = judge(connection, context)
            assert outcome.numbers == {"chunks": 50, "failed": 50}
            assert [example["chunk_index"] for example in outcome.examples] == list(range(20))


def test_the_newest_outcome_is_kept(
    database: Database, healthy: Leaf, context: CheckContext
) -> None:
    [check] = [check for check in CHECKS if check.name == "recall_reached"]
    quality = records.SearchQuality("test-model", 40, 9, 0.5, 1.0, 2.0)
    with database.connect() as connection:
        checks.run_check(connection, check, context)
        records.save_search_quality(connection, healthy.namespace, quality)
        outcome = checks.run_check(connection, check, context)
        kept = connection.execute(
            "SELECT name, passed, blocking, message FROM check_results WHERE namespace = %s",
            [healthy.namespace],
        ).fetchall()
    assert kept == [("recall_reached", False, True, outcome.message)]


def test_a_measurement_of_another_model_does_not_count(
    database: Database, healthy: Leaf, run_all: RunAll
) -> None:
    quality = records.SearchQuality("other-model", 40, 9, 0.5, 1.0, 2.0)
    with database.connect() as connection:
        records.save_search_quality(connection, healthy.namespace, quality)
    assert failed(run_all()) == set()


@pytest.mark.usefixtures("healthy")
def test_expectations_tell_no_password_and_leave_no_connection(
    database: Database, context: CheckContext, caplog: pytest.LogCaptureFixture
) -> None:
    url = database.url.replace("@/", ":sesame@/")
    assert "sesame" in url
    with caplog.at_level("DEBUG"), Database(url).connect() as connection:
        before = _backends(connection)
        outcome = expectations.chunk_expectations(connection, replace(context, max_tokens=1))
        patience = time.monotonic() + 10  # a backend ends some time after its connection
        while _backends(connection) - before and time.monotonic() < patience:
            time.sleep(0.05)
        left = _backends(connection) - before
    assert not outcome.passed
    assert "sesame" not in f"{outcome} {caplog.text}"
    assert not left
    assert not [record for record in caplog.records if record.name.startswith("great_expec")]


def _backends(connection: psycopg.Connection) -> set[int]:
    rows = connection.execute(
        "SELECT pid FROM pg_stat_activity"
        " WHERE datname = current_database() AND backend_type = 'client backend'"
    )
    return {pid for (pid,) in rows}


def test_names_are_unique_and_stages_in_order() -> None:
    names = [check.name for check in CHECKS]
    assert len(set(names)) == len(names)
    stages = ["documents", "chunks", "embeddings", "vector_index", "search_quality"]
    assert list(dict.fromkeys(check.stage for check in CHECKS)) == stages
