"""CELEX numbers: which act of EUR-Lex a document is, and which consolidated version of it.

`32023R1115` is a regulation of 2023 as it was adopted; `02018R2066-20240701` is the text of
32018R2066 as it stood on 1 July 2024. https://eur-lex.europa.eu/content/help/eurlex-content/
celex-number.html tells how they are made.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import NamedTuple

_NUMBER = re.compile(
    r"(?<![0-9A-Za-z])(?P<sector>[03])(?P<act>\d{4}[A-Z]{1,2}\d{4})(?:-(?P<date>\d{8}))?"
    r"(?![0-9A-Za-z])"
)
_CONSOLIDATED = re.compile(
    r"(?P<act>0\d{4}[A-Z]{1,2}\d{4}) — [A-Z]{2} — (?P<day>\d\d)\.(?P<month>\d\d)\.(?P<year>\d{4})"
)
_TITLE = re.compile(
    r"(?:Commission |Council |European Parliament )?(?:Delegated |Implementing )?"
    r"(?P<kind>Regulation|Directive|Decision|Recommendation) "
    r"(?:\([^)]{2,24}\) (?:(?P<old>No )?(?P<first>\d{1,4})/(?P<second>\d{1,4}))"
    r"|(?P<year>\d{4})/(?P<number>\d{1,4})/\w+)"
    r" of \d{1,2} \w+ \d{4}\b",
    re.IGNORECASE,
)
_LETTERS = {"regulation": "R", "directive": "L", "decision": "D", "recommendation": "H"}
_HEAD = 2_000
"""Characters at the beginning of a text in which a consolidated version says which it is."""


class Version(NamedTuple):
    """A version of an act.

    Attributes:
        act: the CELEX number of the act as it was adopted, such as "32018R2066".
        date: the day of a consolidated version, as "20240701"; "" for the act as adopted, which
            is the oldest.
    """

    act: str
    date: str


def version_of(celex: str) -> Version | None:
    """Which version of which act a CELEX number names; None for what is no number of an act."""
    match = _NUMBER.fullmatch(celex)
    return Version("3" + match["act"], match["date"] or "") if match else None


def celex_of(name: str, title: str, text: str) -> str:
    """A document's CELEX number, "" where it has none that can be told.

    The file's name says it best; else what consolidated versions print on top; else the title of
    an act, which holds kind, year and number ("Regulation (EU) 2023/1115 of 31 May 2023 on …").
    """
    if match := _NUMBER.search(PurePosixPath(name).name):
        return match.group()
    if match := _CONSOLIDATED.search(text[:_HEAD]):
        return f"{match['act']}-{match['year']}{match['month']}{match['day']}"
    if match := _TITLE.match(title):
        year, number = match["year"] or match["first"], match["number"] or match["second"]
        if match["old"]:
            year, number = number, year
        if len(year) == 2:
            year = f"19{year}"
        if len(year) == 4:
            return f"3{year}{_LETTERS[match['kind'].lower()]}{int(number):04}"
    return ""
