"""Acts in Formex."""

from __future__ import annotations

import pytest

from greenlang_vectors.documents.extract import extract
from greenlang_vectors.documents.model import ExtractedDocument
from greenlang_vectors.documents.source import RawDocument
from greenlang_vectors.errors import ExtractionError

from . import acts


def read(content: str, name: str = "act.xml") -> ExtractedDocument:
    return extract(RawDocument(content.encode(), name))


def paragraphs(content: str) -> list[str]:
    return read(f"<ACT>{content}</ACT>").text.split("\n\n")


def test_an_act_reads_as_its_web_page_does() -> None:
    act = extract(RawDocument(acts.formex(), "act.xml"))
    page = extract(RawDocument(acts.xhtml(), "act.xhtml"))
    assert act.media_type == "application/formex+xml"
    assert act.text == page.text
    assert act.headings == page.headings
    assert act.title == page.title
    assert act.metadata == {"language": "en", "celex": "32031R0077"}


def test_lists_quotes_and_words_in_a_sentence() -> None:
    assert paragraphs(
        "<ALINEA><P>In <HT TYPE='ITALIC'>this</HT> act of <DATE ISO='20310503'>3 May 2031</DATE>,"
        " <QUOT.START CODE='201C'/>mark<QUOT.END CODE='201D'/> means:</P>"
        "<LIST TYPE='alpha'><ITEM><NP><NO.P>(a)</NO.P><TXT>a brand;</TXT><P>of any size;</P>"
        "<LIST><ITEM><NP><NO.P>(i)</NO.P><TXT>burnt;</TXT></NP></ITEM></LIST></NP></ITEM>"
        "<ITEM><P>a label.</P></ITEM></LIST></ALINEA>"
    ) == [
        "In this act of 3 May 2031, “mark” means:",
        "(a) a brand;",
        "of any size;",
        "(i) burnt;",
        "a label.",
    ]


def test_a_note_follows_the_paragraph_that_calls_it() -> None:
    assert paragraphs(
        "<P>As laid down <NOTE NOTE.ID='E1'><P>OJ L 1, p. 1.</P></NOTE> by law"
        "<NOTE NOTE.ID='E2'><P>OJ L 2.</P></NOTE>.</P><P>Next.</P>"
    ) == ["As laid down [1] by law [2].", "[1] OJ L 1, p. 1.", "[2] OJ L 2.", "Next."]


def test_tables_are_rows_under_their_header() -> None:
    rows = "".join(
        f"<ROW><CELL COL='1'>{code}</CELL><CELL COL='2'><P>{'Good ' * 20}</P></CELL></ROW>"
        for code in range(7601, 7621)
    )
    blocks = paragraphs(
        "<TBL COLS='2'><TITLE><TI><P>Table 1</P></TI></TITLE><CORPUS><ROW TYPE='HEADER'>"
        "<CELL COL='1' TYPE='HEADER'>CN code</CELL><CELL COL='2' TYPE='HEADER'>Goods</CELL></ROW>"
        f"{rows}</CORPUS></TBL>"
    )
    assert blocks[0] == "Table 1"
    assert len(blocks) > 2
    assert all(block.startswith("CN code | Goods\n") for block in blocks[1:])
    lines = [line for block in blocks[1:] for line in block.split("\n")[1:]]
    assert [line[:4] for line in lines] == [str(code) for code in range(7601, 7621)]


def test_inserted_articles_stand_below_the_one_that_inserts_them() -> None:
    act = read(
        "<ACT><ENACTING.TERMS><ARTICLE><TI.ART>Article 1</TI.ART><ALINEA><P>Inserted:</P><QUOT.S>"
        "<ARTICLE><TI.ART><QUOT.START CODE='2018'/>Article 19a</TI.ART><ALINEA>New.</ALINEA>"
        "</ARTICLE></QUOT.S></ALINEA></ARTICLE></ENACTING.TERMS></ACT>"
    )
    assert act.heading_path_at(act.text.index("New.")) == ("Article 1", "‘Article 19a")


def test_divisions_of_every_language_are_headings() -> None:
    act = read(
        "<ACT><ENACTING.TERMS><DIVISION><TITLE><TI><P>KAPITEL I</P></TI><STI><P>Marken</P></STI>"
        "</TITLE><DIVISION><TITLE><TI><P>Abschnitt 1</P></TI></TITLE><ARTICLE>"
        "<TI.ART>Artikel 1</TI.ART><STI.ART><P>Ziel</P></STI.ART><ALINEA>Text.</ALINEA></ARTICLE>"
        "</DIVISION></DIVISION></ENACTING.TERMS></ACT>"
    )
    assert act.heading_path_at(act.text.index("Text")) == (
        "KAPITEL I – Marken",
        "Abschnitt 1",
        "Artikel 1 – Ziel",
    )


@pytest.mark.parametrize(
    ("content", "name", "reason"),
    [
        ("<ACT><P>cut", "a.xml", "damaged"),
        ("<!DOCTYPE ACT [<!ENTITY a 'x'><!ENTITY b '&a;&a;'>]><ACT>&b;</ACT>", "a.xml", "unsafe"),
        ("<!DOCTYPE ACT [<!ENTITY f SYSTEM 'file:///x'>]><ACT>&f;</ACT>", "a.xml", "unsafe"),
        (f"<ACT>{'<P>' * 300}x{'</P>' * 300}</ACT>", "a.xml", "damaged"),
        ("<ACT><BIB.INSTANCE>L 1</BIB.INSTANCE></ACT>", "a.xml", "no_text"),
        ("<DOC><FMX>L_1.xml</FMX></DOC>", "a.xml", "unsupported"),
        ("<ACT><P>Text.</P></ACT>", "a.txt", "mislabelled"),
        ("<ACT><P>Text.</P></ACT>", "a.fmx", "mislabelled"),
    ],
)  # fmt: skip
def test_what_is_refused(content: str, name: str, reason: str) -> None:
    with pytest.raises(ExtractionError) as refused:
        read(content, name)
    assert refused.value.reason == reason


def test_a_document_type_is_named_and_never_loaded() -> None:
    act = read('<!DOCTYPE ACT SYSTEM "http://127.0.0.1:9/formex.dtd"><ACT><P>Text.</P></ACT>')
    assert act.text == "Text."


def test_a_web_page_may_be_named_xml() -> None:
    page = read('<?xml version="1.0"?><html xmlns="x"><body><p>Text.</p></body></html>')
    assert (page.media_type, page.text) == ("text/html", "Text.")
