"""`slo report` tells a month by what was logged, failed searches included."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.errors import DatabaseBusy, UnknownNamespace
from greenlang_vectors.monitoring import slo
from greenlang_vectors.search import engine as engine_module
from greenlang_vectors.search.engine import SearchEngine
from greenlang_vectors.search.log import SearchLog
from greenlang_vectors.search.model import SearchRequest
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import collections, leaves, namespaces, records
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.leaves import Leaf

from ..conftest import Cli

pytestmark = pytest.mark.integration

NOW = datetime.now(UTC)
MONTH = datetime(2026, 2, 1, tzinfo=UTC)
AFTERWARDS = datetime(2026, 3, 1, 12, tzinfo=UTC)


def log(
    connection: psycopg.Connection,
    namespace: str,
    at: datetime,
    milliseconds: Sequence[float],
    failure: str | None = None,
) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO vector_search_logs (namespace, id, created_at, mode, top_k, result_count,"
            " plan, latency_ms, failure) VALUES (%s, %s, %s, 'vector', 10, 10, '', %s, %s)",
            [(namespace, uuid4(), at, each, failure) for each in milliseconds],
        )


@pytest.fixture(scope="module")
def logged(database: Database) -> Database:
    """February: namespace kept answers 2000 of 2001 and finds 0.97, fallen finds 0.9 once."""
    with database.connect() as connection:
        for name, recalls in (("kept", [0.97, 0.99]), ("fallen", [0.99, 0.9])):
            namespaces.register(connection, name, recall_target=0.95)
            leaves.ensure_leaf(connection, Leaf(name, "m", 8))
            for recall in recalls:
                quality = records.SearchQuality("m", 40, 9, recall, 1.0, 2.0)
                records.save_search_quality(connection, name, quality)
        connection.execute(
            "UPDATE search_quality SET measured_at = measured_at - %s", [NOW - MONTH]
        )
        log(connection, "kept", MONTH, [*range(1, 101)] * 20)
        log(connection, "kept", MONTH + timedelta(days=3), [9_999.0], "DatabaseBusy")
        log(connection, "kept", MONTH - timedelta(seconds=1), [5_000.0] * 50, "DatabaseBusy")
        log(connection, "kept", AFTERWARDS, [5_000.0] * 50)
        log(connection, "fallen", MONTH, [200.0])
    return database


def report(database: Database, now: datetime = AFTERWARDS, **changes: object) -> slo.Report:
    with database.connect() as connection:
        return slo.report(connection, Settings(**changes), "2026-02", now)  # type: ignore[arg-type]


def test_a_month_holds_its_own_searches_and_no_others(logged: Database) -> None:
    fallen, kept = report(logged).levels
    assert (kept.searches, kept.failed) == (2001, 1)
    assert kept.availability == pytest.approx(2000 / 2001)
    assert kept.budget_left == pytest.approx(1 - 1 / 2.001)
    assert kept.latency_p50_ms == pytest.approx(50.5)
    assert kept.latency_p99_ms == pytest.approx(99.01, abs=0.1)
    assert kept.recall_at_10 == 0.97
    assert kept.missed == ["latency_p50_ms"]
    assert fallen.recall_at_10 == 0.9
    assert fallen.missed == ["latency_p50_ms", "latency_p99_ms", "recall_at_10"]


def test_all_together_are_reckoned_from_every_search(logged: Database) -> None:
    total = report(logged).total
    assert (total.searches, total.failed) == (2002, 1)
    assert total.latency_p99_ms == pytest.approx(100, abs=1)


def test_recall_that_tuning_mended_counts_as_it_was_before(logged: Database) -> None:
    mended = records.SearchQuality("m", 40, 9, 0.99, 1.0, 2.0, recall_before=0.8)
    with logged.connect() as connection, connection.transaction(force_rollback=True):
        records.save_search_quality(connection, "kept", mended)
        connection.execute(
            "UPDATE search_quality SET measured_at = %s WHERE recall_before = 0.8",
            [MONTH + timedelta(days=9)],
        )
        found = slo.report(connection, Settings(), "2026-02", AFTERWARDS)
    assert {level.namespace: level.recall_at_10 for level in found.levels}["kept"] == 0.8


def test_what_the_log_does_not_hold_is_said(logged: Database) -> None:
    whole = report(logged, search_log_days=40)
    assert (whole.since, whole.until) == (MONTH, datetime(2026, 3, 1, tzinfo=UTC))
    assert whole.remarks == [slo.UNSEEN]
    part = report(logged, search_log_days=14, search_log_share=0.5)
    assert part.since == AFTERWARDS - timedelta(days=14)
    assert "GREENLANG_SEARCH_LOG_DAYS is 14" in part.remarks[1]
    assert "GREENLANG_SEARCH_LOG_SHARE is 0.5" in part.remarks[2]


@pytest.mark.usefixtures("logged")
def test_the_command_tells_people_and_machines(cli: Cli) -> None:
    told = cli("slo", "report", "--month", "2026-02", "--json")
    assert told.code == 0
    assert told.json["targets"] == {
        "availability": 0.999,
        "latency_p50_ms": 20,
        "latency_p99_ms": 100,
    }
    [kept] = [each for each in told.json["namespaces"] if each["namespace"] == "kept"]
    assert (kept["searches"], kept["failed"], kept["missed"]) == (2001, 1, ["latency_p50_ms"])
    shown = cli("slo", "report", "--month", "2026-02")
    assert shown.code == 0
    assert "99.950%" in shown.out
    assert "latency_p50_ms" in shown.out
    unsearched = cli("slo", "report")
    assert "unknown" in unsearched.out
    assert cli("slo", "report", "--month", "soon").code == 2


@pytest.mark.parametrize(
    ("address", "code"), [("http://127.0.0.1:1", 1), ("file:///etc", 2), ("http://me:hidden@h", 2)]
)
def test_a_prometheus_that_cannot_be_asked_is_one_line(address: str, code: int, cli: Cli) -> None:
    result = cli("slo", "report", "--prometheus", address)
    assert (result.code, result.out) == (code, "")
    assert "Prometheus" in result.said
    assert "hidden" not in result.said


def test_a_search_that_fails_is_logged_and_a_mistake_is_not(
    database: Database, toys: Embedders, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(data_dir=data_dir)
    with database.connect() as connection:
        namespaces.register(connection, "failing")
        collections.ensure_first(connection, Leaf("failing", "toy-16", 16), "toy-16")

    def fails(*_: object, **__: object) -> None:
        raise DatabaseBusy("All connections are in use.")

    monkeypatch.setattr(engine_module, "by_vector", fails)
    searches = SearchLog(database, settings)
    engine = SearchEngine(database, toys, settings, searches)
    with pytest.raises(DatabaseBusy):
        engine.search(SearchRequest("a question", "failing"), user="someone")
    with pytest.raises(UnknownNamespace):
        engine.search(SearchRequest("a question", "nowhere"))
    searches.close()
    with database.connect() as connection:
        kept = connection.execute(
            "SELECT mode, query_text, user_id, failure, collection, result_count"
            " FROM vector_search_logs WHERE namespace = 'failing'"
        ).fetchall()
    assert kept == [("vector", "a question", "someone", "DatabaseBusy", None, 0)]
    assert searches.dropped == 0
