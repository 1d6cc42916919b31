"""What cleaning promises of any text."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from greenlang_vectors.documents.clean import clean, shorten

ANY_TEXT = st.text(st.characters(exclude_categories=()))


@given(ANY_TEXT)
def test_any_text_becomes_storable_and_stays_so(text: str) -> None:
    cleaned = clean(text)
    assert cleaned.encode("utf-8").decode("utf-8") == cleaned
    assert not any(unicodedata.category(c) == "Cc" and c != "\n" for c in cleaned)
    assert "  " not in cleaned
    assert "\n\n\n" not in cleaned
    assert unicodedata.is_normalized("NFC", cleaned)
    assert clean(cleaned) == cleaned


@given(ANY_TEXT)
def test_no_letter_or_digit_is_lost(text: str) -> None:
    def letters(value: str) -> str:
        normal = unicodedata.normalize("NFC", value)
        return "".join(c for c in normal if c.isalnum())

    separate = "".join(f"{c} " for c in text)
    assert letters(clean(separate)) == "".join(letters(c) for c in text)


def test_typical_damage() -> None:
    assert clean("a\x00b") == "ab"
    assert clean("green\u00adhouse") == "greenhouse"
    assert clean("Article\u00a05\u202f%") == "Article 5 %"
    assert clean("one\r\ntwo\rthree \n four") == "one\ntwo\nthree\nfour"
    assert clean("one\n \n\t\n\ntwo") == "one\n\ntwo"
    assert clean("bad \ud800 half") == "bad \ufffd half"
    assert clean("cafe\u0301") == "café"
    assert clean("‘quoted’ – CO₂ ﬁt") == "‘quoted’ – CO₂ ﬁt"


def test_right_to_left_marks_and_joiners_stay() -> None:
    text = "\u200fالمادة ٥: انبعاثات\u200f \u200eCO2\u200e می\u200cخواهم"
    assert clean(text) == text


def test_shorten_cuts_between_words() -> None:
    assert shorten("short\n title") == "short title"
    assert shorten("one two three", 9) == "one two…"
    assert shorten("x" * 30, 10) == "x" * 9 + "…"
