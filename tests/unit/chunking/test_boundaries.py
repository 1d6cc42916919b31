"""Where sentences, paragraphs and headings begin."""

from __future__ import annotations

import time

import pytest

from greenlang_vectors.chunking.boundaries import (
    CLAUSE,
    PARAGRAPH,
    SENTENCE,
    boundaries,
    text_boundaries,
)
from greenlang_vectors.documents.model import ExtractedDocument, Heading


@pytest.mark.parametrize(
    "text",
    [
        "Records are kept. |They are public.",
        "Is it due? |Yes! |It is.",
        "It ended in 2010. |Then it began.",
        "Limit it to 1.5 °C. |Then report.",
        "He said “no.” |Then he left.",
        "See point (b). |(C) is void.",
        "Wait... |Now go.",
        "It applies to Member States etc. |The rest is void.",
        "First;\n|(b) second",
        "first\n  |2. The operator",
        "The following:\n|- one\n|- two",
        "The following: \n\n|Goods",
        "The terms of the\n\n|sentence go on",
        "事業者は記録する。|報告する。",
        "هل هو مستحق؟ |نعم.",
        "वह रखेगा। |फिर देगा।",
    ],
)
def test_sentences_end(text: str) -> None:
    plain, expected = _marked(text)
    assert [o for o, rank in text_boundaries(plain) if rank == SENTENCE] == expected


@pytest.mark.parametrize(
    "text",
    [
        "under Art. 5 of the Treaty",
        "Regulation (EU) No. 995/2010",
        "fuels, e.g. Natural gas",
        "gases, i.e. CO2",
        "OJ L 243, p. 12",
        "pp. 12 to 15",
        "Smith et al. Report",
        "J. Monnet",
        "the U.S. Government",
        "1. The operator",
        "text\r\n10.2. Scope",
        "on 3 Jan. 2024",
        "approx. 5",
        "z.B. Methan",
        "1.5 times",
        "the words ‘end.’ and so on",
        "a hard\nwrapped line",
    ],
)
def test_sentences_go_on(text: str) -> None:
    assert SENTENCE not in [rank for _, rank in text_boundaries(text)]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r", "\u2028"])
def test_blank_lines_end_paragraphs_in_every_convention(newline: str) -> None:
    text = f"One{newline} {newline}Two{newline}two"
    assert list(text_boundaries(text)) == [(text.index("Two"), PARAGRAPH)]


def test_semicolons_end_clauses() -> None:
    assert list(text_boundaries("keep it; show it")) == [(9, CLAUSE)]


def test_a_heading_is_not_parted_from_its_text() -> None:
    text = "Before.\n\nArticle 5.\nSubject matter\n\nThis Regulation applies. It is new."
    document = ExtractedDocument(
        text, "", "", headings=(Heading(9, 3, "Article 5. Subject matter"),)
    )
    places, ranks = boundaries(document)
    assert places.tolist() == [9, text.index("It is")]
    assert ranks[0] > PARAGRAPH
    assert ranks[1] == SENTENCE


def test_stacked_headings_stay_together() -> None:
    text = "CHAPTER I\n\nArticle 1\n\nText.\n\nArticle 2\n\nMore."
    second, third = text.index("Article 1"), text.index("Article 2")
    headings = (
        Heading(0, 1, "CHAPTER I"),
        Heading(second, 2, "Article 1"),
        Heading(third, 2, "Article 2"),
    )
    places, ranks = boundaries(ExtractedDocument(text, "", "", headings=headings))
    assert dict(zip(places.tolist(), ranks.tolist(), strict=True))[second] == CLAUSE
    assert ranks[places.tolist().index(third)] > PARAGRAPH


@pytest.mark.parametrize("unit", [".", ".'", "\n", " ", " \n", "\r", "。", "1. "])
def test_no_text_takes_more_than_linear_time(unit: str) -> None:
    started = time.perf_counter()
    for _ in text_boundaries(unit * 200_000):
        pass
    assert time.perf_counter() - started < 20


def _marked(text: str) -> tuple[str, list[int]]:
    parts = text.split("|")
    plain = "".join(parts)
    offsets, offset = [], 0
    for part in parts[:-1]:
        offset += len(part)
        offsets.append(offset)
    return plain, offsets
