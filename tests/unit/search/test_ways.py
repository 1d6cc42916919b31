"""The cheapest way is taken: graphs for many rows that pass, comparing for few."""

from __future__ import annotations

from typing import Any

import pytest

from greenlang_vectors.search import ways
from greenlang_vectors.search.conditions import CONTAINED, findable
from greenlang_vectors.search.filters import Filter, as_json, parse, parse_text
from greenlang_vectors.search.layouts import Layout, Mark
from greenlang_vectors.search.selectivity import Selectivity
from greenlang_vectors.search.ways import Plan, Way
from greenlang_vectors.store.index_settings import IndexSettings, Kind, Storage
from greenlang_vectors.store.segments import AnnIndex, Segment

FOUND_BY_INDEX = parse_text("metadata.a=1")
FOUND_BY_SCAN = parse_text("metadata.a>1")
TAIL = Segment(1, None, None)
FEW = "a in " + ",".join(map(str, range(CONTAINED)))


def layout(rows: int, kind: Kind = "hnsw", storage: Storage = "vector") -> Layout:
    lists = 100 if kind == "ivfflat" else None
    index = AnnIndex("name", kind, storage, lists, 0, 0, rows, 0, valid=True)
    return Layout(Mark(rows), (Segment(0, 0, index), TAIL), (Segment(0, 0, None), TAIL), {})


def chosen(
    rows: int,
    share: float | None = None,
    *,
    filter: Filter = FOUND_BY_INDEX,
    k: int = 10,
    plan: Plan = "auto",
    kind: Kind = "hnsw",
    storage: Storage = "vector",
) -> Way:
    reached = rows if findable(filter) is None else rows * (share or 1)
    return ways.choose(
        plan,
        layout(rows, kind, storage),
        IndexSettings(),
        k,
        ef_search=100,
        filter=None if share is None else filter,
        held=None if share is None else Selectivity(rows, rows * share, reached),
    )


@pytest.mark.parametrize(
    ("rows", "share", "exact"),
    [
        (200_000, 0.5, False),
        (200_000, 0.1, False),
        (200_000, 0.01, True),
        (200_000, 0.001, True),
        (10_000_000, 0.01, False),
        (10_000_000, 0.0001, True),
        (500, 0.9, True),
    ],
)
def test_rows_are_compared_where_few_pass(rows: int, share: float, exact: bool) -> None:
    assert chosen(rows, share).exact is exact


def test_without_a_filter_only_small_leaves_are_compared() -> None:
    assert chosen(1_000).exact
    assert not chosen(10_000).exact


def test_a_filter_that_no_index_finds_is_worth_a_longer_search() -> None:
    assert chosen(200_000, 0.01).exact
    assert not chosen(200_000, 0.01, filter=FOUND_BY_SCAN).exact
    assert chosen(200_000, 0.0005, filter=FOUND_BY_SCAN).exact


def test_a_way_visits_the_ranges_in_which_an_index_finds_what_passes() -> None:
    assert len(chosen(200_000, 0.001).parts) == 2
    assert chosen(200_000, 0.0005, filter=FOUND_BY_SCAN).parts == (Segment(0, None, None),)


def test_a_plan_that_is_asked_for_is_taken() -> None:
    assert chosen(1_000_000, plan="exact").exact
    assert not chosen(1_000, plan="index").exact
    assert not chosen(1_000_000, 0.00001, plan="index").exact


@pytest.mark.parametrize("k", [1, 10, 100, 999, 1000, 5000])
def test_as_much_is_searched_as_is_asked(k: int) -> None:
    for storage, factor in ways.RERANKED.items():
        way = chosen(1_000_000, k=k, plan="index", storage=storage)
        assert way.candidates >= k
        assert way.candidates == k * factor or way.candidates == max(k, ways.MAX_EF_SEARCH)
        assert way.ef_search >= min(way.candidates, ways.MAX_EF_SEARCH)
        assert way.ef_search <= ways.MAX_EF_SEARCH
        assert way.patience > k


def test_a_graph_is_searched_the_wider_the_fewer_pass() -> None:
    widths = [chosen(10**6, share, plan="index").ef_search for share in (0.9, 0.1, 0.05, 0.001)]
    assert widths == [100, 200, 400, 1000]


def test_a_way_says_what_it_is() -> None:
    assert chosen(10_000_000).said == "hnsw, ef_search 100"
    assert chosen(1_000_000, kind="ivfflat").said == "ivfflat, 20 probes"
    assert chosen(1_000).said == "exact, every row compared"
    assert chosen(200_000, 0.1).said == (
        "hnsw, ef_search 200; about 20,000 of 200,000 rows pass the filter"
    )
    assert chosen(200_000, 0.001).said == (
        "exact; about 200 of 200,000 rows pass the filter, each compared"
    )


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"and": ["a=1", "a>2", {"not": "b=1"}]}, {"and": ["a=1"]}),
        ({"and": ["a>1", "b like x"]}, None),
        ({"or": ["a=1", "b contains x"]}, {"or": ["a=1", "b contains x"]}),
        ({"or": ["a=1", "b>1"]}, None),
        (
            {"and": [{"or": ["a=1", "b>1"]}, {"or": ["a in 1,2", "b=2"]}]},
            {"and": [{"or": ["a in 1,2", "b=2"]}]},
        ),
        (FEW, FEW),
        (f"{FEW},z", None),
        ("a!=1", None),
        ("a exists", None),
    ],
)
def test_what_indexes_answer_of_a_filter(asked: Any, found: Any) -> None:  # noqa: ANN401
    def read(part: Any) -> Any:  # noqa: ANN401
        match part:
            case None:
                return None
            case str():
                return as_json(parse_text(f"metadata.{part}"))
            case {"not": inner}:
                return {"not": read(inner)}
        return {key: [read(inner) for inner in parts] for key, parts in part.items()}

    part = findable(parse(read(asked)))
    assert (part is None) == (found is None)
    assert part is None or as_json(part) == as_json(parse(read(found)))
