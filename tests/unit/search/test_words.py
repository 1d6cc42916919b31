"""The websearch syntax, taken apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlang_vectors.errors import UsageError
from greenlang_vectors.search.words import MAX_CHARACTERS, Words, read


@pytest.mark.parametrize(
    ("query", "every", "required", "wanted"),
    [
        ("supply chain", "supply chain", "", "supply chain"),
        ('"supply chain" risk', '"supply chain" risk', '"supply chain"', "supply chain risk"),
        ("solar -wind", "solar -wind", "-wind", "solar"),
        ('solar -"wind farm"', 'solar -"wind farm"', '-"wind farm"', "solar"),
        ('an "open phrase', 'an "open phrase"', '"open phrase"', "an open phrase"),
        ("heat or light in prose", "heat or light in prose", "", "heat light in prose"),
        ("heat OR light", "heat OR light", "heat OR light", "heat light"),
        ('"heat" or light', '"heat" or light', '"heat" or light', "heat light"),
        ("a - b -- c", "a b c", "", "a b c"),
        ("--a", "-a", "-a", ""),
        ("carbon-neutral", "carbon-neutral", "", "carbon-neutral"),
        ('""', "", "", ""),
        ("a\x00b \ud800", "a b", "", "a b"),
    ],
)
def test_what_a_question_says(query: str, every: str, required: str, wanted: str) -> None:
    assert read(query) == Words(every, required, wanted)


def test_a_question_without_end_is_refused() -> None:
    with pytest.raises(UsageError, match="10000"):
        read("x" * (MAX_CHARACTERS + 1))


@given(st.text())
def test_any_text_can_be_read_and_what_comes_out_can_be_stored(query: str) -> None:
    words = read(query)
    for text in (words.every, words.required, words.wanted):
        assert "\x00" not in text
        assert read(text).every == text or text == words.wanted
        text.encode()
