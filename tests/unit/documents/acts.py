"""One small act in every form it is published in."""

from __future__ import annotations

TITLE = ("REGULATION (EU) 2031/77 OF THE COUNCIL", "of 3 May 2031", "on the marking of barrels")
RECITALS = ("Barrels are often unmarked.", "They should be marked.")
ARTICLES = (
    ("1", "Subject matter", ("This Regulation lays down rules on barrels.",)),
    ("2", "Marking", ("Barrels shall be marked.", "A mark shall be legible and lasting.")),
    ("3", "Entry into force", ("This Regulation shall enter into force on 1 June 2031.",)),
)
ANNEX = ("ANNEX I", "Kinds of barrels", "Oak barrels, beech barrels and steel barrels.")


def lines() -> list[str]:
    """The act's paragraphs, as every form has them."""
    found = [*TITLE, "Whereas:"]
    found += [f"({number}) {text}" for number, text in enumerate(RECITALS, start=1)]
    found += ["HAVE ADOPTED THIS REGULATION:", "CHAPTER I", "MARKS"]
    for number, title, paragraphs in ARTICLES:
        found += [f"Article {number}", title]
        several = len(paragraphs) > 1
        found += [f"{i}. {text}" if several else text for i, text in enumerate(paragraphs, 1)]
    return [*found, *ANNEX]


def xhtml() -> bytes:
    """As EUR-Lex publishes it on the web."""
    body = "".join(f"<p>{line}</p>" for line in lines())
    return f'<html xmlns="http://www.w3.org/1999/xhtml"><body>{body}</body></html>'.encode()


def pdf_pages() -> list[list[str]]:
    """As lines of the pages of a PDF, an empty line between paragraphs."""
    pages: list[list[str]] = [[]]
    for line in lines():
        if len(pages[-1]) > 40:
            pages.append([])
        pages[-1] += [line, ""]
    return pages


def formex() -> bytes:
    """As the Publications Office keeps it."""
    title = "".join(f"<P>{line}</P>" for line in TITLE)
    recitals = "".join(
        f"<CONSID><NP><NO.P>({n})</NO.P><TXT>{text}</TXT></NP></CONSID>"
        for n, text in enumerate(RECITALS, start=1)
    )
    articles = "".join(
        f'<ARTICLE IDENTIFIER="{number:0>3}"><TI.ART>Article {number}</TI.ART>'
        f"<STI.ART><P>{title}</P></STI.ART>{_paragraphs(texts)}</ARTICLE>"
        for number, title, texts in ARTICLES
    )
    number, name, text = ANNEX
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<ACT xmlns:xsi="http://www.w3.org/2001/'
        'XMLSchema-instance" xsi:noNamespaceSchemaLocation="http://formex.publications.europa.eu/'
        'schema/formex-05.56-20160701.xd"><BIB.INSTANCE><LG.DOC>EN</LG.DOC></BIB.INSTANCE>'
        f"<TITLE><TI>{title}</TI></TITLE><PREAMBLE><GR.CONSID><GR.CONSID.INIT>Whereas:"
        f"</GR.CONSID.INIT>{recitals}</GR.CONSID><PREAMBLE.FINAL>HAVE ADOPTED THIS REGULATION:"
        "</PREAMBLE.FINAL></PREAMBLE>\n<ENACTING.TERMS>\n<DIVISION><TITLE><TI><P>CHAPTER I</P></TI>"
        f"<STI><P>MARKS</P></STI></TITLE>\n{articles}</DIVISION></ENACTING.TERMS>"
        f"<ANNEX><TITLE><TI><P>{number}</P></TI><STI><P>{name}</P></STI></TITLE>"
        f"<CONTENTS><P>{text}</P></CONTENTS></ANNEX></ACT>"
    ).encode()


def _paragraphs(texts: tuple[str, ...]) -> str:
    if len(texts) == 1:
        return f"<ALINEA>{texts[0]}</ALINEA>"
    return "".join(
        f"<PARAG>\n  <NO.PARAG>{n}.</NO.PARAG>\n  <ALINEA><P>{text}</P></ALINEA></PARAG>"
        for n, text in enumerate(texts, start=1)
    )
