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
