"""Plain text: encodings, pages, headings."""

from __future__ import annotations

import pytest

from greenlang_vectors.documents.extract import extract
from greenlang_vectors.documents.model import ExtractedDocument
from greenlang_vectors.documents.source import RawDocument
from greenlang_vectors.errors import ExtractionError


def text_of(data: bytes, name: str = "a.txt") -> ExtractedDocument:
    return extract(RawDocument(data, name))


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "cp1252"],
)
def test_western_encodings(encoding: str) -> None:
    text = "Règlement européen sur la durabilité: 5 % de réduction, à compter d'août."
    assert text_of((text + "\n").encode(encoding)).text == text


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        (
            "cp1250",
            "Nařízení Evropského parlamentu a Rady o zveřejňování informací o udržitelnosti. "
            "Příliš žluťoučký kůň úpěl ďábelské ódy, když společnost měřila emise skleníkových "
            "plynů a předkládala zprávy příslušným orgánům členských států.",
        ),
        ("cp1251", "Регламент за механизма за въглеродна корекция на границите"),
        ("cp1253", "Κανονισμός του Ευρωπαϊκού Κοινοβουλίου"),
        ("cp1252", "§ 5: Gebühren von 10 € – „Größe“ der Anlagen in Österreich"),
    ],
)
def test_other_legacy_encodings(encoding: str, text: str) -> None:
    assert text_of(text.encode(encoding)).text == text


def test_a_few_bad_bytes_do_not_change_the_encoding() -> None:
    data = "Größe über alles: Maßnahmen für Österreich, Übergänge. ".encode() * 5 + b"\xff end"
    assert text_of(data).text.endswith("Übergänge. \ufffd end")
    assert "Größe" in text_of(data).text


def test_nul_bytes_and_right_to_left_text_come_through() -> None:
    assert text_of(b"before\x00 after the NUL\x00").text == "before after the NUL"
    arabic = "تقرير الاستدامة 2024 CO2"
    assert text_of(arabic.encode()).text == arabic


def test_form_feeds_are_page_breaks() -> None:
    document = text_of(b"one\ftwo\f\ffour")
    assert document.text == "one\n\ntwo\n\nfour"
    assert document.page_starts == (0, 5, 10, 10)
    assert document.page_at(document.text.index("four")) == 4
    assert text_of(b"one page").page_starts == ()
    assert text_of(b"\fsecond\f").page_starts == (0, 0, 6)


def test_headings_of_an_act() -> None:
    document = text_of(
        b"REGULATION\n\nCHAPTER I\n\nGENERAL PROVISIONS\n\nArticle 1\nSubject matter\n\n"
        b"1. This is about\nArticle 5 of the Treaty.\n\nArticle 2 - Scope\n\nIt applies.\n\n"
        b"Article 3 shall apply from 2027.\n\nArticle 4\n\n1. First.\n\nANNEX I\n\nlist of goods;\n"
    )
    assert [heading.title for heading in document.headings] == [
        "CHAPTER I – GENERAL PROVISIONS",
        "Article 1 – Subject matter",
        "Article 2 - Scope",
        "Article 4",
        "ANNEX I",
    ]
    assert document.heading_path_at(document.text.index("It applies")) == (
        "CHAPTER I – GENERAL PROVISIONS",
        "Article 2 - Scope",
    )
    assert document.title == "REGULATION"


def test_a_text_of_fifty_megabytes_comes_through() -> None:
    sentence = "The operator shall report its emissions é every year.\n\n".encode()
    data = sentence * (50_000_000 // len(sentence))
    document = text_of(data)
    assert len(document.text.encode()) == len(data) - 2


def test_binary_data_is_no_text() -> None:
    with pytest.raises(ExtractionError) as caught:
        text_of(bytes(range(256)) * 4)
    assert caught.value.reason == "unsupported"
