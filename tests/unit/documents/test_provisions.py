"""Recitals, articles, paragraphs and annexes of an act, and which act it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from greenlang_vectors.documents.celex import celex_of, version_of
from greenlang_vectors.documents.extract import extract
from greenlang_vectors.documents.model import ExtractedDocument
from greenlang_vectors.documents.provisions import provisions
from greenlang_vectors.documents.source import RawDocument

from . import acts
from .conftest import MakePdf


def read(*paragraphs: str) -> ExtractedDocument:
    return extract(RawDocument("\n\n".join(paragraphs).encode(), "a.txt"))


def shown(document: ExtractedDocument) -> list[tuple[str, str, str, str, str]]:
    """Annex, article, paragraph and recital, and the word each stretch begins with."""
    return [
        (p.annex, p.article, p.paragraph, p.recital, document.text[p.start :].split()[0])
        for p in provisions(document)
    ]


def test_an_act_is_divided() -> None:
    act = read(
        "Whereas:",
        "(1) One.",
        "(2) Two, under point (1) of Article 5.",
        "HAVE ADOPTED THIS REGULATION:",
        "CHAPTER 2",
        "OBLIGATIONS",
        "Article 5",
        "Duties",
        "1. First.",
        "(a) item;",
        "2. Second.",
        "2a. Inserted.",
        "Article 19a",
        "Without numbers, in 2 parts.",
        "ANNEX I",
        "List",
        "1. No paragraph of an article.",
        "ANNEX IIa",
    )
    assert shown(act) == [
        ("", "", "", "", "Whereas:"),
        ("", "", "", "1", "(1)"),
        ("", "", "", "2", "(2)"),
        ("", "", "", "", "HAVE"),
        ("", "", "", "", "CHAPTER"),
        ("", "5", "", "", "Article"),
        ("", "5", "1", "", "1."),
        ("", "5", "2", "", "2."),
        ("", "5", "2a", "", "2a."),
        ("", "19a", "", "", "Article"),
        ("I", "", "", "", "ANNEX"),
        ("IIa", "", "", "", "ANNEX"),
    ]


def test_what_an_act_inserts_belongs_to_the_article_that_inserts_it() -> None:
    act = read(
        "Article 1",
        "Amendments",
        "(1) the following articles are inserted:",
        "‘Article 19a",
        "Reports",
        "1. Large undertakings shall report.",
        "Article 29b",
        "Standards",
        "1. The Commission shall adopt standards.’;",
        "(2) the following paragraph is added:",
        "‘3. Quoted.",
        "4. Quoted, too.’",
        "Article 2",
        "Entry into force",
        "1. It shall enter into force.",
    )
    assert list(dict.fromkeys(p.article for p in provisions(act))) == ["1", "2"]
    assert {(p.article, p.paragraph) for p in provisions(act) if p.paragraph} == {("2", "1")}
    quoted = act.heading_path_at(act.text.index("The Commission"))
    assert quoted == ("Article 1 – Amendments", "Article 29b – Standards")


def test_deleted_articles_and_paragraphs_leave_gaps() -> None:
    act = read("Article 1", "1. One.", "4. Four.", "Article 4", "Four.", "Article 9", "Nine.")
    assert [(p.article, p.paragraph) for p in provisions(act)] == [
        ("1", ""), ("1", "1"), ("1", "4"), ("4", ""), ("9", ""),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("recitals", "article", "mark", "annex"),
    [
        ("in Erwägung nachstehender Gründe:", "Artikel 1", "(1)", "ANHANG I"),
        ("considérant ce qui suit:", "Article premier", "1.", "ANNEXE I"),
        ("Considerando lo siguiente:", "Artículo 1", "1.", "ANEXO I"),
        ("considerando quanto segue:", "Articolo 1", "1.", "ALLEGATO I"),
        ("Considerando o seguinte:", "Artigo 1.o", "1.", "ANEXO I"),
        ("Overwegende hetgeen volgt:", "Artikel 1", "1.", "BIJLAGE I"),
        ("mivel:", "1. cikk", "(1)", "I. MELLÉKLET"),
        ("kadangi:", "1 straipsnis", "1.", "I PRIEDAS"),
        ("budući da:", "Članak 1.", "1.", "PRILOG I"),
        ("като имат предвид, че:", "Член 1", "1.", "ПРИЛОЖЕНИЕ I"),
    ],
)
def test_acts_of_other_languages_are_divided(
    recitals: str, article: str, mark: str, annex: str
) -> None:
    second = mark.replace("1", "2")
    lines = (recitals, "(1) Eins.", article, f"{mark} Zwei.", f"{second} Drei.", annex)
    page = "".join(f"<p>{line}</p>" for line in lines)
    forms = [read(*lines), extract(RawDocument(f"<html>{page}</html>".encode(), "a.html"))]
    for act in forms:
        assert [(p.annex, p.article, p.paragraph, p.recital) for p in provisions(act)] == [
            ("", "", "", ""),
            ("", "", "", "1"),
            ("", "1", "", ""),
            ("", "1", "1", ""),
            ("", "1", "2", ""),
            ("I", "", "", ""),
        ]


def test_a_sole_annex_has_a_name_too() -> None:
    assert provisions(read("Text.", "ANNEX", "List of goods"))[0].annex == "Annex"


def test_headings_of_other_levels_name_articles_too() -> None:
    act = extract(RawDocument(b"# Act\n\n## Article 7: Duties\n\n1. x\n\n### Notes\n\ny", "a.md"))
    assert [(p.article, p.paragraph) for p in provisions(act)] == [("7", ""), ("7", "1")]


def test_other_documents_have_none() -> None:
    assert provisions(read("Chapter 3. Storage", "1. Keep it dry.", "Article 3 on whales")) == []
    markdown = extract(RawDocument(b"# Annexed papers\n\nx\n\n## Article 5 explained\n\ny", "a.md"))
    assert provisions(markdown) == []


@pytest.mark.parametrize(
    ("name", "title", "text", "celex"),
    [
        ("EUDR_32023R1115_OJ.xhtml", "", "", "32023R1115"),
        ("a/MRR_02018R2066-20240701_EN.html", "", "", "02018R2066-20240701"),
        ("act.html", "", "02019R2088 — EN — 09.01.2024 — 002.001 — 1", "02019R2088-20240109"),
        ("a.pdf", "Regulation (EU) 2023/1115 of 31 May 2023 on the making", "", "32023R1115"),
        ("a.pdf", "Regulation (EU) No 995/2010 of 20 October 2010 laying", "", "32010R0995"),
        ("a.pdf", "Directive 2013/34/EU of 26 June 2013 on the annual", "", "32013L0034"),
        ("a.pdf", "Council Regulation (EEC) No 2092/91 of 24 June 1991 on", "", "31991R2092"),
        (
            "a.pdf",
            "Commission Delegated Regulation (EU) 2021/2139 of 4 June 2021",
            "",
            "32021R2139",
        ),
        ("a.pdf", "Regulation (EU) 2023/1115 explained", "", ""),
        ("a.pdf", "Guide to Regulation (EU) 2023/1115 of 31 May 2023", "", ""),
        ("order-132023R1115.pdf", "", "", ""),
    ],
)
def test_which_act_it_is(name: str, title: str, text: str, celex: str) -> None:
    assert celex_of(name, title, text) == celex


def test_versions_of_an_act() -> None:
    assert version_of("32018R2066") == ("32018R2066", "")
    assert version_of("02018R2066-20240701") == ("32018R2066", "20240701")
    assert version_of("COM(2021)188") is None


def test_every_form_of_an_act_has_the_same_provisions(make_pdf: MakePdf) -> None:
    forms = [
        extract(RawDocument(acts.xhtml(), "act.xhtml")),
        extract(RawDocument(make_pdf(acts.pdf_pages()), "act.pdf")),
        extract(RawDocument("\n\n".join(acts.lines()).encode(), "act.txt")),
    ]
    for act in forms:
        assert shown(act) == [
            ("", "", "", "", "Whereas:"),
            ("", "", "", "1", "(1)"),
            ("", "", "", "2", "(2)"),
            ("", "", "", "", "HAVE"),
            ("", "", "", "", "CHAPTER"),
            ("", "1", "", "", "Article"),
            ("", "2", "", "", "Article"),
            ("", "2", "1", "", "1."),
            ("", "2", "2", "", "2."),
            ("", "3", "", "", "Article"),
            ("I", "", "", "", "ANNEX"),
        ]
        assert [heading.title for heading in act.headings][-2:] == [
            "Article 3 – Entry into force",
            "ANNEX I – Kinds of barrels",
        ]
    assert {act.metadata["celex"] for act in forms[:2]} == {"32031R0077"}


@pytest.mark.parametrize(
    ("name", "articles", "recitals", "annexes"),
    [
        ("eudr/EUDR_32023R1115_OJ_2023-05-31_EN.xhtml", 38, 86, ["I", "II"]),
        ("default/ClimateLaw_32021R1119_EN.xhtml", 14, 40, []),
        ("default/SFDR_02019R2088-20240109_EN.html", 22, 0, []),
        ("csrd/StopTheClock_32025L0794_EN.xhtml", 5, 10, []),
        ("csrd/CSRD_32022L2464_EN.pdf", 8, 84, []),
        ("cbam/CBAM_32023R0956_EN.pdf", 36, 82, ["I", "II", "III", "IV", "V", "VI"]),
    ],
)
def test_the_provisions_of_real_acts(
    shared_data: Path, name: str, articles: int, recitals: int, annexes: list[str]
) -> None:
    file = shared_data / "regulations" / name
    act = extract(RawDocument(file.read_bytes(), file.name))
    found = provisions(act)
    assert len({p.article for p in found if p.article}) == articles
    assert [p.recital for p in found if p.recital] == [str(n + 1) for n in range(recitals)]
    assert list(dict.fromkeys(p.annex for p in found if p.annex)) == annexes
    assert act.metadata["celex"] == file.name.split("_")[1]
    for place in found:
        if place.paragraph:
            assert act.text.startswith(f"{place.paragraph}. ", place.start)
