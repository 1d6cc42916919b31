"""Searches are logged beside the searches: nothing that happens to the log happens to them."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.rows import dict_row

from greenlang_vectors.documents.model import JSON
from greenlang_vectors.search import log as log_module
from greenlang_vectors.search.log import LoggedSearch, SearchLog
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import embedded, namespaces, roles, schema, search_logs
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.encryption import administration
from greenlang_vectors.store.leaves import Leaf

pytestmark = pytest.mark.integration

PASSWORD = "long enough to be one"  # noqa: S105
LONE_SURROGATE = "\ud800"

any_text = st.text(st.characters() | st.sampled_from(["\x00", LONE_SURROGATE]), max_size=20)
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=8,
)


def search_of(namespace: str, **changes: Any) -> LoggedSearch:  # noqa: ANN401 - see the fields
    search = LoggedSearch(
        namespace=namespace,
        collection=f"{namespace}/test-model",
        mode="vector",
        query_text="how is it reported?",
        query_vector=np.arange(8, dtype=np.float32),
        filter={"field": "metadata.year", "op": "gte", "value": 2023},
        top_k=10,
        threshold=0.5,
        returned=7,
        plan="hnsw, ef_search 40",
        latency_ms=1.75,
        user="someone",
    )
    return replace(search, **changes)


@contextmanager
def logging_to(database: Database, **changes: Any) -> Iterator[SearchLog]:  # noqa: ANN401
    log = SearchLog(database, Settings(**changes))
    yield log
    log.close()


def stored(database: Database, namespace: str) -> list[dict[str, Any]]:
    with database.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "SELECT * FROM vector_search_logs WHERE namespace = %s ORDER BY created_at", [namespace]
        ).fetchall()


def login_of(database: Database, right: roles.Right, namespace: str) -> Database:
    login = f"{right}_{namespace}"
    with database.connect() as connection:
        roles.create_login(connection, login, right, [namespace], PASSWORD)
    return Database(database.url.replace(embedded.OWNER, f"{login}:{PASSWORD.replace(' ', '%20')}"))


def test_a_search_is_kept_with_all_that_was_asked(database: Database, leaf: Leaf) -> None:
    with logging_to(database) as log:
        log.record(search_of(leaf.namespace))
        log.record(
            search_of(
                leaf.namespace,
                mode="text",
                query_vector=None,
                filter=None,
                threshold=None,
                user=None,
                collection=None,
            )
        )
    first, second = stored(database, leaf.namespace)
    assert first.pop("query_embedding").to_list() == list(range(8))
    assert (first.pop("id"), first.pop("created_at")) is not None
    assert first == {
        "namespace": leaf.namespace,
        "collection": f"{leaf.namespace}/test-model",
        "mode": "vector",
        "query_text": "how is it reported?",
        "filter": {"field": "metadata.year", "op": "gte", "value": 2023},
        "top_k": 10,
        "threshold": 0.5,
        "result_count": 7,
        "plan": "hnsw, ef_search 40",
        "latency_ms": 1.75,
        "user_id": "someone",
        "failure": None,
    }
    absent = {"query_embedding", "filter", "threshold", "user_id", "collection", "failure"}
    assert {column for column, value in second.items() if value is None} == absent
    assert log.dropped == 0


def test_the_log_is_written_while_searches_go_on(
    database: Database, leaf: Leaf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "FLUSH_SECONDS", 0.05)
    with logging_to(database) as log:
        log.record(search_of(leaf.namespace))
        wait_until(lambda: len(stored(database, leaf.namespace)) == 1)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=any_text, filter_=any_json, user=any_text, plan=any_text, value=st.floats(width=32))
def test_whatever_is_asked_is_logged(
    database: Database, leaf: Leaf, text: str, filter_: JSON, user: str, plan: str, value: float
) -> None:
    before = len(stored(database, leaf.namespace))
    with logging_to(database) as log:
        vector = np.array([value] * 8, np.float32)
        log.record(
            search_of(
                leaf.namespace,
                query_text=text,
                filter=filter_,
                user=user,
                plan=plan,
                query_vector=vector,
            )
        )
    assert log.dropped == 0
    assert len(stored(database, leaf.namespace)) == before + 1


def test_what_postgresql_cannot_hold_is_replaced(database: Database, leaf: Leaf) -> None:
    with logging_to(database) as log:
        odd = f"a\x00b{LONE_SURROGATE}c"
        log.record(search_of(leaf.namespace, query_text=odd, filter={odd: [odd, float("nan")]}))
    [row] = stored(database, leaf.namespace)
    assert row["query_text"] == "a\ufffdb?c"
    assert row["filter"] == {"a\ufffdb?c": ["a\ufffdb?c", "nan"]}


def test_a_search_that_is_refused_keeps_no_other_out(
    database: Database, leaf: Leaf, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), logging_to(database) as log:
        log.record(search_of(leaf.namespace, user="before"))
        log.record(search_of(leaf.namespace, top_k=2**40))
        log.record(search_of("dropped-meanwhile"))
        log.record(search_of(leaf.namespace, user="after"))
    assert [row["user_id"] for row in stored(database, leaf.namespace)] == ["before", "after"]
    assert log.dropped == 2
    assert "Searches go on" in caplog.text


def test_a_sample_is_logged(database: Database, leaf: Leaf) -> None:
    with logging_to(database, search_log_share=0) as log:
        for _ in range(50):
            log.record(search_of(leaf.namespace))
    assert stored(database, leaf.namespace) == []
    with logging_to(database, search_log_share=0.3) as log:
        for _ in range(400):
            log.record(search_of(leaf.namespace))
    assert 60 < len(stored(database, leaf.namespace)) < 180
    assert log.dropped == 0


def test_what_comes_faster_than_it_can_be_written_is_dropped_and_counted(
    database: Database, leaf: Leaf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "CAPACITY", 20)
    with logging_to(database) as log:
        for _ in range(50):
            log.record(search_of(leaf.namespace))
    assert (len(stored(database, leaf.namespace)), log.dropped) == (20, 30)
    log.record(search_of(leaf.namespace))
    assert log.dropped == 31, "a closed log takes nothing"


def test_many_threads_record_at_once(database: Database, leaf: Leaf) -> None:
    def record_many() -> None:
        for _ in range(100):
            log.record(search_of(leaf.namespace))

    before = set(threading.enumerate())
    with logging_to(database) as log:
        threads = [threading.Thread(target=record_many) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(stored(database, leaf.namespace)) == 800
    assert {thread for thread in threading.enumerate() if thread.name == "search-log"} <= before


def test_the_end_of_the_process_writes_what_waits(database: Database, leaf: Leaf) -> None:
    script = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parents[3])!r})
from greenlang_vectors.search.log import LoggedSearch, SearchLog
from greenlang_vectors.settings import Settings
from greenlang_vectors.store.database import Database
log = SearchLog(Database({database.url!r}), Settings())
log.record(LoggedSearch({leaf.namespace!r}, None, "text", "last words", None, None, 1, None, 0,
                        "", 0.1, None))
"""
    subprocess.run([sys.executable, "-c", script], check=True)
    assert [row["query_text"] for row in stored(database, leaf.namespace)] == ["last words"]


def test_searches_outlive_the_server_and_are_written_when_it_is_back(
    own_data_dir: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(log_module, "FLUSH_SECONDS", 0.05)
    monkeypatch.setattr(log_module, "MOST_SECONDS_BETWEEN_TRIES", 0.2)
    url = embedded.owned_database(embedded.start(own_data_dir), "logged")
    database = Database(url)
    with psycopg.connect(url, autocommit=True) as connection:
        schema.migrate(connection)
        namespaces.register(connection, "csrd")
    with caplog.at_level(logging.WARNING), logging_to(database) as log:
        log.record(search_of("csrd", user="before"))
        wait_until(lambda: len(stored(database, "csrd")) == 1)
        embedded.stop(own_data_dir)
        slowest = 0.0
        for _ in range(20):
            began = time.perf_counter()
            log.record(search_of("csrd", user="meanwhile"))
            slowest = max(slowest, time.perf_counter() - began)
            time.sleep(0.02)
        assert slowest < 0.1
        assert len(caplog.records) == 1, "one outage is told once"
        embedded.start(own_data_dir)
        wait_until(lambda: len(stored(database, "csrd")) == 21)
    assert log.dropped == 0


def test_a_database_that_is_down_does_not_hold_up_the_end(own_data_dir: Path) -> None:
    database = Database(f"postgresql:///nothing?host={own_data_dir}")
    log = SearchLog(database, Settings())
    log.record(search_of("csrd"))
    began = time.perf_counter()
    log.close()
    assert time.perf_counter() - began < log_module.CLOSE_SECONDS + 1
    assert log.dropped == 1


def test_a_database_that_is_read_only_for_a_while_loses_nothing(
    database: Database, leaf: Leaf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "FLUSH_SECONDS", 0.05)
    monkeypatch.setattr(log_module, "MOST_SECONDS_BETWEEN_TRIES", 0.1)
    read_only = Database(f"{database.url}&options=-cdefault_transaction_read_only%3Don")
    with logging_to(read_only) as log:
        log.record(search_of(leaf.namespace))
        time.sleep(0.5)
        assert stored(database, leaf.namespace) == []
        log._database = database  # the same name, promoted
        wait_until(lambda: len(stored(database, leaf.namespace)) == 1)
    assert log.dropped == 0


def test_tenants_write_their_own_log_and_read_no_other(database: Database, leaf: Leaf) -> None:
    with database.connect() as connection:
        namespaces.register(connection, "neighbour")
    with logging_to(database) as log:
        log.record(search_of("neighbour"))
    reader, writer = (login_of(database, right, leaf.namespace) for right in ("reader", "writer"))
    with logging_to(writer) as log:
        log.record(search_of(leaf.namespace))
        log.record(search_of("neighbour", user="forged"))
    assert log.dropped == 1
    with logging_to(reader) as log:
        log.record(search_of(leaf.namespace))
    assert log.dropped == 1, "who may not write is not logged, and his search goes on"
    for tenant in (reader, writer):
        with tenant.connect() as connection:
            seen = connection.execute("SELECT namespace FROM vector_search_logs").fetchall()
            assert seen == [(leaf.namespace,)]
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("SELECT FROM vector_search_logs_neighbour")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("DELETE FROM vector_search_logs")
    assert [row["user_id"] for row in stored(database, "neighbour")] == ["someone"]


def test_an_encrypted_namespace_keeps_no_question(
    database: Database, leaf: Leaf, tmp_path: Path
) -> None:
    keyed = Settings(encryption_key_file=tmp_path / "master.key")
    asked_of_a_year = {"field": "metadata.year", "op": "eq", "value": 1}
    asked_of_a_type = {"not": {"field": "source_type", "op": "eq", "value": "document"}}

    def logged() -> list[tuple[Any, ...]]:
        rows = stored(database, leaf.namespace)
        return [(r["query_text"], r["query_embedding"], r["filter"]) for r in rows]

    with logging_to(database) as log:
        log.record(search_of(leaf.namespace))
    with database.connect() as connection:
        administration.enable(connection, leaf.namespace, keyed)
    assert logged() == [(None, None, None)], "what was logged before goes, too"
    with logging_to(database) as log:
        log.record(search_of(leaf.namespace, filter=asked_of_a_year))
    assert logged()[1:] == [(None, None, asked_of_a_year)]
    with database.connect() as connection:
        administration.enable(connection, leaf.namespace, keyed, metadata_keys=["year"])
    with logging_to(database) as log:
        log.record(search_of(leaf.namespace, filter={"and": [asked_of_a_year, asked_of_a_type]}))
        log.record(search_of(leaf.namespace, filter=asked_of_a_type))
    assert logged()[2:] == [(None, None, None), (None, None, asked_of_a_type)]
    with database.connect() as connection, pytest.raises(psycopg.errors.CheckViolation):
        connection.execute(
            "UPDATE vector_search_logs SET query_text = 'clear' WHERE namespace = %s",
            [leaf.namespace],
        )


def test_old_searches_are_deleted(
    database: Database, leaf: Leaf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_logs, "ROWS_AT_ONCE", 3)
    with logging_to(database) as log:
        for days in (0, 29, 31, 31, 40, 50, 60):
            log.record(search_of(leaf.namespace, user=str(days)))
    with database.connect() as connection:
        connection.execute(
            "UPDATE vector_search_logs SET created_at = now() - make_interval(days => user_id::int)"
            " WHERE namespace = %s",
            [leaf.namespace],
        )
        assert search_logs.prune(connection, 30) == 5
        assert search_logs.prune(connection, 30) == 0
    assert [row["user_id"] for row in stored(database, leaf.namespace)] == ["29", "0"]


def wait_until(holds: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
