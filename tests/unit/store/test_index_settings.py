"""Index settings: what is refused, what is filled in, and what a build is expected to take."""

from __future__ import annotations

import pytest

from greenlang_vectors.errors import UsageError
from greenlang_vectors.settings import PROFILES
from greenlang_vectors.store.index_estimates import (
    fitting,
    memory_bytes,
    size_bytes,
    training_warning,
)
from greenlang_vectors.store.index_settings import IndexSettings, resolved

MB = 1_000_000


@pytest.mark.parametrize(
    ("settings", "dimensions", "said"),
    [
        (IndexSettings(metric="manhattan"), 384, "Unknown metric 'manhattan'"),  # type: ignore[arg-type]
        (IndexSettings(kind="flat"), 384, "Unknown index kind 'flat'"),  # type: ignore[arg-type]
        (IndexSettings(storage="int8"), 384, "Unknown index storage 'int8'"),  # type: ignore[arg-type]
        (IndexSettings(), 3072, "at most 2000 dimensions, not 3072. Choose halfvec"),
        (IndexSettings(storage="halfvec"), 4096, "at most 4000 dimensions"),
        (IndexSettings(m=1), 384, "m must be 2 to 100"),
        (IndexSettings(m=16, ef_construction=20), 384, "at least twice m"),
        (IndexSettings(ef_search=2000), 384, "ef_search must be 1 to 1000"),
        (IndexSettings(kind="ivfflat", lists=0), 384, "lists must be 1 to 32768"),
        (IndexSettings(kind="ivfflat", storage="bit"), 384, "not offered"),
        (IndexSettings(storage="bit", metric="l2"), 384, "cosine metric"),
    ],
)
def test_what_pgvector_could_not_build_is_refused(
    settings: IndexSettings, dimensions: int, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        settings.check(dimensions)


def test_what_pgvector_can_build_is_not() -> None:
    IndexSettings().check(1536)
    IndexSettings(storage="halfvec").check(3072)
    IndexSettings(storage="bit").check(3072)


def test_what_is_left_open_follows_the_profile_or_the_rows() -> None:
    graph = resolved(IndexSettings(m=40), PROFILES["dev"], 1000)
    assert (graph.m, graph.ef_construction, graph.ef_search) == (40, 100, 40)
    lists = resolved(IndexSettings(kind="ivfflat"), PROFILES["dev"], 250_000)
    assert (lists.lists, lists.probes) == (500, 23)
    assert resolved(IndexSettings(kind="ivfflat", lists=7), PROFILES["dev"], 250_000).probes == 7


@pytest.mark.parametrize(
    ("settings", "measured_mb"),
    [
        (IndexSettings(m=16), 402),
        (IndexSettings(m=16, storage="halfvec"), 230),
        (IndexSettings(m=16, storage="bit"), 69),
        (IndexSettings(kind="ivfflat", lists=447), 330),
    ],
)
def test_estimated_sizes_are_near_those_measured(settings: IndexSettings, measured_mb: int) -> None:
    """200,000 vectors of 384 dimensions, pgvector 0.8.5 on PostgreSQL 18."""
    assert size_bytes(settings, 384, 200_000) == pytest.approx(measured_mb * MB, rel=0.05)


def test_an_element_whose_neighbours_need_a_page_of_their_own_takes_two() -> None:
    widest, wide = (
        size_bytes(IndexSettings(m=16), dimensions, 1000) for dimensions in (2000, 1900)
    )
    assert widest == (1 + 2 * 1000) * 8192
    assert wide == (1 + 1000) * 8192


def test_neighbours_above_make_a_page_hold_fewer() -> None:
    """With m 24 seven halfvecs of 384 dimensions fit only where none is in a layer above."""
    pages = size_bytes(IndexSettings(m=24, storage="halfvec"), 384, 100_000) / 8192
    assert 100_000 / 7 < pages < 100_000 / 6.5


def test_a_graph_of_bits_takes_more_memory_than_disk() -> None:
    """10,000 vectors spilled with four fifths of this, and not with all of it."""
    for storage, megabytes in (("vector", 24.5), ("halfvec", 16.7), ("bit", 9.5)):
        index = IndexSettings(m=16, storage=storage)  # type: ignore[arg-type]
        assert memory_bytes(index, 384, 10_000) == pytest.approx(megabytes * MB, rel=0.01)
    bits = IndexSettings(m=16, storage="bit")
    assert memory_bytes(bits, 384, 10**6) > 2 * size_bytes(bits, 384, 10**6)


def test_too_few_rows_to_train_lists_with_are_warned_of() -> None:
    assert "500 lists want at least 25000" in training_warning(
        IndexSettings(kind="ivfflat", lists=500), 10_000
    )
    assert not training_warning(IndexSettings(kind="ivfflat", lists=500), 25_000)
    assert not training_warning(IndexSettings(), 1)


def test_lists_are_trained_in_the_memory_there_is() -> None:
    """pgvector asked for 226 MB for 894 lists over 200,000 rows and refused to begin with less."""
    wanted = IndexSettings(kind="ivfflat", lists=894)
    assert 226 * 2**20 <= memory_bytes(wanted, 384, 200_000) <= 1.2 * 226 * 2**20
    fitted = fitting(wanted, 384, 64 * 2**20)
    assert memory_bytes(fitted, 384, 200_000) <= 64 * 2**20
    assert 200 < (fitted.lists or 0) < 894
    assert fitting(wanted, 384, 2**30) == wanted
    assert fitting(IndexSettings(m=16), 384, 1) == IndexSettings(m=16)
