"""While a namespace moves each caller is answered by one side, and both answer alike."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from starlette.testclient import TestClient

from greenlang_vectors.api.app import create_app
from greenlang_vectors.errors import DatabaseUnavailable, GreenLangError, UsageError
from greenlang_vectors.migration.callers import reads_pgvector
from greenlang_vectors.search.engine import SearchEngine
from greenlang_vectors.search.filters import parse
from greenlang_vectors.search.log import SearchLog
from greenlang_vectors.store import api_keys, weaviate_migrations
from greenlang_vectors.store.database import Database

from ..conftest import Cli
from .both_sides import NAMESPACE, ORDINARY, PLACES, Both, ask, keys, shown, side

if TYPE_CHECKING:
    pass

pytestmark = pytest.mark.integration


def eventually(holds: Callable[[], bool], seconds: float = 5.0) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_namespace_that_does_not_move_never_touches_weaviate(both: Both) -> None:
    both.become("planned")
    with both.router() as router:
        for name in (ORDINARY, NAMESPACE):
            request = replace(ask(), namespace=name)
            assert shown(router.search(request)) == shown(both.engine.search(request))
    both.become("decommissioned")
    with both.router() as router:
        assert side(router.search(ask())) == "pgvector"
    assert not both.weaviate.control.counted().calls


def test_a_caller_may_change_sides_between_two_pages(both: Both) -> None:
    request = ask(top_k=5)
    with both.router() as router:
        first = router.search(request)
    both.become(share=100)
    with both.router() as router:
        second = router.search(replace(request, after=first.next))
    assert (side(first), side(second)) == ("weaviate", "pgvector")
    assert keys(first) + keys(second) == keys(both.engine.search(replace(request, top_k=10)))


UNSAYABLE: list[dict[str, Any]] = [
    {"filter": parse({"field": "metadata.prose", "op": "eq", "value": "Some words of cement"})},
    {"filter": parse({"field": "created_at", "op": "gt", "value": "2020-01-01"})},
    {"exact": True},
    {"diversity": 0.5},
    {"fresh": True},
    {"query": 'a "carbon audit" -price', "mode": "text"},
]


@pytest.mark.parametrize("more", UNSAYABLE, ids=lambda each: next(iter(each)))
def test_what_weaviate_cannot_be_asked_pgvector_answers_or_nobody(
    both: Both, more: dict[str, Any]
) -> None:
    request = replace(ask(), **more)
    with both.router() as router:
        answer = router.search(request)
    assert "pgvector instead: Weaviate" in answer.plan
    assert shown(answer) == shown(both.engine.search(request))
    both.become("parallel")
    with both.router() as router, pytest.raises(UsageError, match="only Weaviate can answer"):
        router.search(request)


@pytest.mark.parametrize(
    "more", [{"top_k": 0}, {"query": " "}, {"threshold": 0.5, "mode": "text"}, {"after": "x"}]
)
def test_what_cannot_be_asked_is_refused_alike(both: Both, more: dict[str, Any]) -> None:
    request = replace(ask(), **more)
    with pytest.raises(UsageError) as here:
        both.engine.search(request)
    with both.router() as router, pytest.raises(UsageError) as there:
        router.search(request)
    assert str(there.value) == str(here.value)


def test_a_caller_is_on_one_side_by_his_key(both: Both) -> None:
    both.become(share=50)
    callers = [f"key:{number}" for number in range(12)]
    with both.router() as router:
        sides = {caller: side(router.search(ask(), caller)) for caller in callers}
        assert sides == {caller: side(router.search(ask(), caller)) for caller in callers}
        assert side(router.search(ask())) == "weaviate", "without a key"
    expected = {name: reads_pgvector(NAMESPACE, name, 50) for name in callers}
    assert {name: each == "pgvector" for name, each in sides.items()} == expected
    assert len(set(sides.values())) == 2
    both.become(share=100)
    with both.router() as router:
        assert {side(router.search(ask(), caller)) for caller in [*callers, None]} == {"pgvector"}


def test_the_command_line_is_answered_as_a_caller_without_a_key(
    both: Both, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEAVIATE_URL", both.weaviate.url)
    monkeypatch.setenv("WEAVIATE_GRPC_PORT", str(both.weaviate.grpc_port))
    question = ("search", "number5", "--namespace", NAMESPACE, "--mode", "text", "--json")
    both.become(share=50)
    there = cli(*question).json
    both.become(share=100)
    here = cli(*question).json
    assert there["plan"].startswith("Weaviate, bm25")
    assert not here["plan"].startswith("Weaviate")
    for found in (there, here):
        assert [each["document"] for each in found["results"]] == ["doc/5"] * PLACES


def test_a_step_is_followed_within_a_second_or_two(both: Both) -> None:
    with both.router() as router:
        assert side(router.search(ask())) == "weaviate"
        with (
            both.database.connect() as connection,
            weaviate_migrations.changing(connection, NAMESPACE),
        ):
            weaviate_migrations.move(
                connection, NAMESPACE, "traffic", phase="shifting", share=100, evidence={}
            )
        eventually(lambda: side(router.search(ask())) == "pgvector")


def test_a_plan_that_cannot_be_read_stops_the_searches_of_its_namespace_alone(both: Both) -> None:
    with both.database.connect() as connection:
        connection.execute(
            "UPDATE weaviate_migrations SET plan = plan || '{\"later\": 1}' WHERE namespace = %s",
            [NAMESPACE],
        )
    with both.router() as router:
        for _ in range(2):
            with pytest.raises(GreenLangError, match=f"{NAMESPACE} moves .* cannot be read"):
                router.search(ask())
        assert side(router.search(replace(ask(), namespace=ORDINARY))) == "pgvector"


def test_where_weaviate_is_down_pgvector_stands_in_once_it_holds_all(both: Both) -> None:
    with both.router() as router:
        assert side(router.search(ask())) == "weaviate"
        both.weaviate.control.unavailable(calls=1, methods=["Search"])
        answer = router.search(ask())
        assert "pgvector instead: Weaviate at" in answer.plan
        assert shown(answer) == shown(both.engine.search(ask()))
        assert "pgvector instead" in router.search(ask()).plan, "it is left alone for a while"
        eventually(lambda: side(router.search(ask())) == "weaviate")
    failed = [each for each in both.reads() if each["error"]]
    assert len(failed) >= 2
    assert {each["failed"] for each in failed} == {"weaviate"}


def test_where_weaviate_is_down_before_that_the_search_fails(both: Both) -> None:
    both.become("parallel")
    with both.router() as router:
        assert side(router.search(ask())) == "weaviate"
        both.weaviate.control.unavailable(seconds=30)
        with pytest.raises(DatabaseUnavailable, match=r"gives no answer.*only Weaviate can answer"):
            router.search(ask())
    assert not both.reads(), "what pgvector does not hold yet is not compared"


def test_where_there_is_no_weaviate_at_all_pgvector_stands_in(both: Both) -> None:
    lost = replace(
        both, settings=both.settings.model_copy(update={"weaviate_url": "http://127.0.0.1:9"})
    )
    with lost.router() as router:
        assert "pgvector instead" in router.search(ask()).plan


def test_where_pgvector_is_down_its_callers_are_told_and_it_counts(both: Both) -> None:
    both.become(share=100)
    gone = SearchEngine(Database("postgresql://127.0.0.1:9/none"), both.embedders, both.settings)
    with both.router(gone) as router, pytest.raises(DatabaseUnavailable):
        router.search(ask())
    [read] = both.reads()
    assert (read["by_pgvector"], read["failed"], read["pgvector_ms"]) == (True, "pgvector", None)


def test_what_weaviate_answered_is_in_the_search_log_once(both: Both) -> None:
    log = SearchLog(both.database, both.settings)
    question = "who grew the cocoa?"
    with both.router(
        SearchEngine(both.database, both.embedders, both.settings, log), log
    ) as router:
        router.search(ask(question), "key:1")
    log.close()
    with both.database.connect() as connection:
        rows = connection.execute(
            "SELECT user_id, plan, query_embedding IS NULL FROM vector_search_logs"
            " WHERE namespace = %s AND query_text = %s",
            [NAMESPACE, question],
        ).fetchall()
    assert rows == [("key:1", "Weaviate, near_vector", False)]


def test_the_http_api_tells_callers_apart_by_their_keys(both: Both) -> None:
    both.become(share=50)
    app = create_app(Database(both.database.url), both.settings, embedders=both.embedders)
    by_side = {}
    with both.database.connect() as connection:
        while len(by_side) < 2:
            made, key = api_keys.create(
                connection, "k", for_namespaces=[NAMESPACE], scopes=["read"]
            )
            by_side[reads_pgvector(NAMESPACE, f"key:{made.id}", 50)] = key
    with TestClient(app) as client:
        for by_pgvector, key in by_side.items():
            answered = client.post(
                "/v1/search",
                json={"query": "cement", "namespace": NAMESPACE},
                headers={"Authorization": f"Bearer {key}"},
            )
            assert answered.status_code == 200
            assert answered.json()["plan"].startswith("Weaviate") != by_pgvector


def test_an_api_without_an_answer_says_503(both: Both) -> None:
    both.become("parallel")
    both.weaviate.control.unavailable(seconds=30)
    app = create_app(
        Database(both.database.url), both.settings, authentication=False, embedders=both.embedders
    )
    with TestClient(app, base_url="http://localhost") as client:
        answered = client.post("/v1/search", json={"query": "cement", "namespace": NAMESPACE})
    assert answered.status_code == 503
    assert "Retry-After" in answered.headers
