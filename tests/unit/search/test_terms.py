"""Which passages a question is compared with."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlang_vectors.search.terms import MARKS, MAX_TERMS, Asked, quoted


def asked(chunks: int, **holding: list[int]) -> Asked:
    return Asked("english", "", "", list(holding), list(holding.values()), chunks, 200.0)


def test_few_passages_are_all_compared() -> None:
    few = asked(1000, rare=[3, 1, 1, 1, 1], common=[90, 9, 1, 1, 1])
    assert few.candidates(100) == "'rare' | 'common'"
    assert few.is_complete(100)
    assert not few.is_complete(92)
    assert few.candidates(None) == few.candidates(100)


def test_a_common_word_is_looked_up_where_it_stands_out() -> None:
    some = asked(10_000, rare=[3, 1, 1, 1, 1], common=[5000, 900, 300, 20, 2])
    assert some.candidates(1000) == "'rare' | 'common\x02' | 'rare' & 'common'"
    assert some.candidates(100) == "'rare' | 'common\x05' | 'rare' & 'common'"


def test_words_that_are_common_together_are_looked_up_where_both_stand_out() -> None:
    both = asked(10_000, one=[5000, 900, 300, 20, 2], two=[6000, 700, 200, 20, 2])
    assert both.candidates(100).endswith("| 'one\x03' & 'two\x02'")


def test_the_rarer_word_weighs_more() -> None:
    rare, common = asked(1000, rare=[3] * 5, common=[900] * 5).shares()
    assert rare > 10 * common
    assert rare + common == pytest.approx(1)


@given(
    st.integers(1, 10**7),
    st.lists(st.lists(st.integers(1, 10**7), min_size=5, max_size=5), min_size=1, max_size=50),
    st.integers(1, 10**5),
)
def test_any_counts_even_outdated_ones_give_weights_and_candidates(
    chunks: int, counts: list[list[int]], most: int
) -> None:
    holding = sorted(sorted(each, reverse=True) for each in counts)
    question = asked(chunks, **{f"w{n}": each for n, each in enumerate(holding)})
    shares = question.shares()
    assert len(shares) == min(len(holding), MAX_TERMS)
    assert all(share > 0 for share in shares)
    assert "'w0" in question.candidates(most)


@pytest.mark.parametrize("lexeme", ["it's", "a\\b", "'", "a' | 'b", "x" + MARKS[1]])
def test_a_lexeme_is_quoted_as_postgresql_reads_it(lexeme: str) -> None:
    inner = quoted(lexeme)[1:-1]
    assert inner.replace("''", "'").replace("\\\\", "\\") == lexeme
