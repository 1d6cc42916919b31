"""Every check passes where all is well, and tells what it found where something is not."""

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
from greenlang_vectors.store import dead_letters, records, segments
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.leaves import Leaf

from .damage import CHUNK, DOCUMENT, EMBEDDING, OTHER_TEXT, SHA256, execute, failed

pytestmark = pytest.mark.integration
AddDocument = Callable[[psycopg.Connection, str, str, Sequence[str]], UUID]
EmbedAll = Callable[[psycopg.Connection, Leaf], int]
RunAll = Callable[[], dict[str, CheckOutcome]]


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
