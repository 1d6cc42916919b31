"""What Prometheus is told is so, and costs the database next to nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from threading import Thread
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from greenlang_vectors.monitoring import exporter as exporter_module
from greenlang_vectors.monitoring.exporter import SCRAPE_SECONDS, Exporter
from greenlang_vectors.store import embedded, leaves, namespaces, roles
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.embedding_jobs import embedding_job
from greenlang_vectors.store.leaves import Leaf

from ...replication import until
from .conftest import NOW, Samples, Scrape, scraped

pytestmark = pytest.mark.integration

PASSWORD = "long-enough-to-be-one"  # noqa: S105

PRD_11 = {
    "pgvector_embeddings_total",
    "pgvector_insert_rate",
    "pgvector_index_size_bytes",
    "pgvector_search_recall",
    "pg_stat_user_tables_n_tup_ins",
    "pg_stat_user_indexes_idx_scan",
    "pg_stat_activity_count",
    "pg_locks_count",
    "pg_database_size_bytes",
    "pg_settings_shared_buffers_bytes",
}
"""Of PRD 11.1 to 11.3, all but what the API tells (pgvector_search_…) and replicas do."""

BIG = ("vector_embeddings", "document_chunks", "documents", "vector_search_logs", "text_terms")


@pytest.fixture
def superuser(database: Database, server: str) -> Iterator[psycopg.Connection]:
    """Somebody who may change the catalogue of the test's database."""
    url = urlunsplit(urlsplit(server)._replace(path=urlsplit(database.url).path))
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def index_of(connection: psycopg.Connection, leaf: Leaf) -> tuple[str, int]:
    """Name and size of the leaf's one HNSW index."""
    [found] = connection.execute(
        """
        SELECT c.relname, pg_relation_size(c.oid) FROM pg_index i
        JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam
        WHERE i.indrelid = %s::regclass AND a.amname = 'hnsw'
        """,
        [leaf.name],
    ).fetchall()
    return found


@pytest.mark.usefixtures("filled")
def test_the_names_are_those_of_the_prd(scrape: Scrape) -> None:
    found = scrape()
    assert found.names >= PRD_11
    assert found["greenlang_vectors_up"] == {(): 1}
    assert set(found["greenlang_vectors_part_success"].values()) == {1}


def test_the_figures_of_a_leaf_are_those_of_the_catalogue(
    database: Database, filled: Leaf, scrape: Scrape
) -> None:
    found = scrape()
    key = (filled.model, filled.namespace)
    with database.connect() as connection:
        stored = leaves.count(connection, filled)
        _, size = index_of(connection, filled)
    assert stored > 0
    assert found["pgvector_embeddings_total"][key] == stored
    assert found["pgvector_insert_rate"][key] >= stored
    assert found["pgvector_index_size_bytes"][("hnsw", *key)] == size > 0
    assert found["pgvector_invalid_indexes"][key] == 0
    assert found["pg_stat_user_tables_n_tup_ins"][("vector_embeddings",)] >= stored


def test_the_figures_of_a_namespace_are_those_of_its_tables(filled: Leaf, scrape: Scrape) -> None:
    found = scrape()
    name = (filled.namespace,)
    assert found["pgvector_search_recall"][(filled.model, *name)] == 0.875
    assert found["pgvector_search_recall_target"][name] == 0.9
    assert time.time() - found["pgvector_search_recall_measured_timestamp_seconds"][name] < 600
    assert time.time() - found["pgvector_refreshed_timestamp_seconds"][name] < 600
    assert found["pgvector_checks"] == {(*name, "passed"): 1, (*name, "failed"): 1}
    assert {stage: n for (_, stage), n in found["pgvector_dead_letters"].items()} == {
        "documents": 2,
        "chunks": 0,
        "embeddings": 0,
    }
    assert found["pgvector_jobs_running"][name] == 0
    assert found["pgvector_embedding_job_chunks_total"][name] > 0
    assert found["pgvector_backup_timestamp_seconds"][name] == NOW.timestamp() - 2 * 3600
    assert found["pgvector_backup_size_bytes"][name] == 4096
    assert found["pgvector_drill_passed"][name] == 1
    assert found["pgvector_drill_restore_seconds"][name] == 2.5
    assert found["weaviate_migration_phase"] == {(*name, "decommissioned"): 1}
    assert found["weaviate_migration_share_ratio"][name] == 0.25
    assert found["weaviate_migration_waiting_writes"][name] == 2
    assert found["weaviate_migration_open_differences"][name] == 1


def test_what_never_was_has_a_time_of_zero(database: Database, scrape: Scrape) -> None:
    with database.connect() as connection:
        namespaces.register(connection, "untouched")
    found = scrape()
    for name in (
        "pgvector_backup_timestamp_seconds",
        "pgvector_drill_timestamp_seconds",
        "pgvector_refreshed_timestamp_seconds",
        "pgvector_search_recall_measured_timestamp_seconds",
    ):
        assert found[name][("untouched",)] == 0
    assert ("untouched",) not in found["pgvector_drill_passed"]
    assert time.time() - found["pgvector_namespace_created_timestamp_seconds"][("untouched",)] < 60


def test_a_job_that_runs_is_told_with_what_the_cache_spared_it(
    database: Database, filled: Leaf, scrape: Scrape
) -> None:
    name = (filled.namespace,)
    before = scrape()["pgvector_embedding_cache_hits_total"][name]
    with (
        database.connect() as connection,
        embedding_job(connection, filled.namespace, filled.model, "document") as job,
    ):
        job.add(processed=5, failed=1, cache_hits=2)
        during = scrape()
        assert during["pgvector_jobs_running"][name] == 1
        assert during["pgvector_jobs_worked_through"][name] == 6
    after = scrape()
    assert after["pgvector_jobs_running"][name] == 0
    assert after["pgvector_embedding_cache_hits_total"][name] == before + 2


def test_an_index_that_a_failed_build_left_is_told_and_one_being_built_is_not(
    database: Database, filled: Leaf, superuser: psycopg.Connection, scrape: Scrape
) -> None:
    key = (filled.model, filled.namespace)
    with database.connect() as connection:
        name, _ = index_of(connection, filled)
    invalid = "UPDATE pg_index SET indisvalid = %s WHERE indexrelid = %s::regclass"
    superuser.execute(invalid, [False, name])
    try:
        assert scrape()["pgvector_invalid_indexes"][key] == 1
    finally:
        superuser.execute(invalid, [True, name])

    def build() -> None:
        with database.connect() as connection:
            connection.execute(
                sql.SQL("CREATE INDEX CONCURRENTLY under_way ON {} (created_at)").format(
                    filled.table
                )
            )

    thread = Thread(target=build)
    with database.connect() as writer:
        with writer.transaction():
            writer.execute(sql.SQL("UPDATE {} SET updated_at = now()").format(filled.table))
            thread.start()
            until(
                lambda: (
                    superuser.execute(
                        "SELECT FROM pg_index WHERE indexrelid = to_regclass('under_way')"
                        " AND NOT indisvalid"
                    ).fetchone()
                    is not None
                )
            )
            assert scrape()["pgvector_invalid_indexes"][key] == 0
        thread.join()
        writer.execute("DROP INDEX under_way")


@pytest.mark.usefixtures("filled")
def test_a_table_that_somebody_holds_costs_its_part_alone(
    database: Database, scrape: Scrape, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporter_module, "LOCK_SECONDS", 0.1)
    with database.connect() as holder, holder.transaction():
        holder.execute("LOCK TABLE dead_letters IN ACCESS EXCLUSIVE MODE")
        found = scrape()
    success = found["greenlang_vectors_part_success"]
    assert {part for (part,), well in success.items() if not well} == {"work"}
    assert found["greenlang_vectors_up"] == {(): 1}
    assert found["pgvector_embeddings_total"]
    assert not found["pgvector_dead_letters"]


def test_a_part_can_neither_write_nor_take_longer_than_a_scrape_may(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def writes(connection: psycopg.Connection) -> list[object]:
        connection.execute("DELETE FROM dead_letters")
        return []

    def sleeps(connection: psycopg.Connection) -> list[object]:
        connection.execute("SELECT pg_sleep(30)")
        return []

    monkeypatch.setattr(exporter_module, "PARTS", {"writes": writes, "sleeps": sleeps})
    monkeypatch.setattr(exporter_module, "SCRAPE_SECONDS", 0.2)
    began = time.monotonic()
    found = scraped(Exporter(lambda: database))
    assert time.monotonic() - began < 2
    assert found["greenlang_vectors_part_success"] == {("writes",): 0, ("sleeps",): 0}


def test_a_database_that_is_down_is_an_answer_and_comes_back(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    urls = ["postgresql://nobody@/nowhere?host=/nonexistent", database.url]
    opened = Database(urls[0])
    exporter = Exporter(lambda: opened)
    for _ in range(2):
        found = scraped(exporter)
        assert found["greenlang_vectors_up"] == {(): 0}
        assert found["pgvector_embeddings_total"] == {}
    assert len([r for r in caplog.records if "cannot be asked" in r.message]) == 1
    opened.close()
    opened = Database(urls[1])
    revived = Exporter(lambda: opened)
    assert scraped(revived)["greenlang_vectors_up"] == {(): 1}
    revived.close()


@pytest.mark.usefixtures("filled")
def test_a_login_that_only_reads_is_told_as_much(database: Database, scrape: Scrape) -> None:
    with database.connect() as connection:
        roles.create_login(connection, "exporter_login", "reader", [], PASSWORD)
    login = f"exporter_login:{PASSWORD}"
    exporter = Exporter(lambda: Database(database.url.replace(embedded.OWNER, login)))
    found = scraped(exporter)
    exporter.close()
    assert found.names == scrape().names
    assert set(found["greenlang_vectors_part_success"].values()) == {1}
    assert found["pgvector_dead_letters"] == scrape()["pgvector_dead_letters"]


# Many leaves

NAMESPACES, MODELS, ROWS = 10, 10, 1_000_000


@pytest.fixture(scope="module")
def many(new_database: Callable[[], str], server: str) -> Iterator[Database]:
    """A hundred leaves that the catalogue says hold a million rows each."""
    database = Database(new_database())
    with database.connect() as connection:
        for number in range(NAMESPACES):
            namespaces.register(connection, f"many{number}")
            for model in range(MODELS):
                leaf = Leaf(f"many{number}", f"model-{model}", 8)
                leaves.ensure_leaf(connection, leaf)
                connection.execute(
                    sql.SQL(
                        "CREATE INDEX ON {} USING hnsw ((embedding::vector(8)) vector_cosine_ops)"
                    ).format(leaf.table)
                )
    url = urlunsplit(urlsplit(server)._replace(path=urlsplit(database.url).path))
    with psycopg.connect(url, autocommit=True) as superuser:
        superuser.execute(
            "UPDATE pg_class SET reltuples = %s, relpages = 300000"
            " WHERE relkind = 'r' AND relname ~ '^(vector_embeddings|document_chunks)_many'",
            [ROWS],
        )
    yield database
    database.close()


def visits(database: Database) -> dict[str, int]:
    """How often the large tables and their indexes were scanned, up to now."""
    with database.connection() as connection:
        connection.execute("SELECT pg_stat_force_next_flush()")
    with database.connect() as connection:
        return dict(
            connection.execute(
                """
                SELECT c.relname, pg_stat_get_numscans(c.oid) FROM pg_class c
                WHERE c.relkind IN ('r', 'i')
                  AND c.relname ~ ('^(' || array_to_string(%s::text[], '|') || ')_many')
                """,
                [list(BIG)],
            ).fetchall()
        )


def test_a_hundred_large_leaves_answer_in_less_than_a_second_and_none_is_read(
    many: Database,
) -> None:
    exporter = Exporter(lambda: many)
    scraped(exporter)
    before = visits(many)
    began = time.monotonic()
    found: Samples = scraped(exporter)
    took = time.monotonic() - began
    assert len(found["pgvector_embeddings_total"]) == NAMESPACES * MODELS
    assert set(found["pgvector_embeddings_total"].values()) == {ROWS}
    assert set(found["greenlang_vectors_part_success"].values()) == {1}
    assert took < 1 < SCRAPE_SECONDS
    assert visits(many) == before
    with many.connection() as connection:
        connection.execute("SELECT count(*) FROM vector_embeddings_many0")
    assert visits(many) != before, "the check would see a scan"
