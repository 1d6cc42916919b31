"""Headings by what they say: the divisions of legal acts, and the title of an act.

Shared by all extractors. Levels 1 to 7 are those of a legal act, outermost first; `GENERIC` and
deeper are headings known only by their looks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from greenlang_vectors.documents.act_words import (
    KIND_OF,
    RECITALS,
    alternatives,
    alternatives_after_number,
)
from greenlang_vectors.documents.blocks import Block, joined
from greenlang_vectors.documents.clean import one_line, shorten

GENERIC = 8
ARTICLE = 7
"""The level of articles, and of the recitals as a whole."""

_LEVELS = {
    "annex": 1,
    "part": 2,
    "appendix": 2,
    "title": 3,
    "chapter": 4,
    "section": 5,
    "subsection": 6,
    "article": ARTICLE,
}
_QUOTES = "‘'\"“„«"
_DIVISION = re.compile(
    rf"(?P<quote>[{_QUOTES}]?)(?P<kind>{alternatives()})"
    r"(?P<number>[ ](?:\d{1,4}[a-z]{0,2}(?:\.[oº])?|[IVXLCDM]{1,8}[a-z]?|[A-Z]|premier))?"
    r"(?:[ ]?[.:–—-][ ](?P<title>\S.*))?[.:]?",
    re.IGNORECASE,
)
_NUMBER_FIRST = re.compile(
    rf"(?P<quote>[{_QUOTES}]?)"
    rf"(?:\d{{1,4}}[a-z]?\.?[ ](?P<article>{alternatives_after_number('article')})"
    rf"|[IVXLC]{{1,8}}\.?[ ](?P<annex>{alternatives_after_number('annex')}))"
)
_ENUMERATOR = re.compile(
    r"(?:\(\d{1,3}[a-z]?\)|\([a-z]{1,2}\)|\([ivxlc]{1,6}\)|\d{1,3}[a-z]?[.)]"
    r"|[a-z]\)|[—–•▪◦*-])(?=\s|$)"
)
_SENTENCE_END = re.compile(r"[.;:,!?…][’”\"')\]]*$")
_ACT = re.compile(
    r"(?:►\w+ )?(?P<kind>(?:(?:COMMISSION|COUNCIL|EUROPEAN PARLIAMENT) )?"
    r"(?:(?:DELEGATED|IMPLEMENTING) )?(?:REGULATION|DIRECTIVE|DECISION|RECOMMENDATION)) "
    r"(?P<number>\((?:EU|EC|EEC|Euratom)[^)]{0,20}\) (?:No )?\d{1,4}/\d{1,4}|\d{4}/\d{1,4}/\w+)",
    re.IGNORECASE,
)
_TITLE_LENGTH = 250
_NUMBER = re.compile(r"\d{1,4}")
ARTICLE_GAP = 5
"""So many numbers at most are left out where articles and paragraphs were deleted."""


def enumerator(text: str) -> str:
    """The list marker `text` begins with, such as "(a)", "12." or "—"; empty if none."""
    match = _ENUMERATOR.match(text)
    return match.group() if match else ""


def ends_sentence(text: str) -> bool:
    """Whether `text` ends with punctuation that closes a sentence or an item."""
    return _SENTENCE_END.search(text[-12:]) is not None


def division(line: str) -> tuple[int, str] | None:
    """Level and title of the division of an act that `line` announces, such as "Article 5".

    The title is empty where the line gives only kind and number. "Whereas:" counts as an article,
    so that recitals know where they stand. A division quoted in an amending act ("‘Article 19a")
    ranks below the article that quotes it.
    """
    if line.endswith(":") and line.casefold() in RECITALS:
        return ARTICLE, line
    if len(line) > _TITLE_LENGTH or not _may_announce(line):
        return None
    if first := _NUMBER_FIRST.fullmatch(line):
        return _LEVELS[first.lastgroup or ""] + (GENERIC if first["quote"] else 0), ""
    match = _DIVISION.fullmatch(line)
    if match is None:
        return None
    kind = KIND_OF[match["kind"].casefold()]
    title = match["title"] or ""
    unnumbered = match["number"] is None and not (kind in ("annex", "appendix") and line.isupper())
    if unnumbered or match["kind"].islower() or (title and ends_sentence(title)):
        return None
    return _LEVELS[kind] + (GENERIC if match["quote"] else 0), title


def _may_announce(line: str) -> bool:
    """Whether a word for a division stands first or, where it ends the line, second.

    The regular expressions, with the words of all languages, take eight times as long to say no.
    """
    word, _, rest = line.lstrip(_QUOTES).partition(" ")
    second = rest if len(rest) < 12 else ""
    return word.rstrip(".:").casefold() in KIND_OF or second.casefold() in KIND_OF


class Quotations:
    """Tells an act's own articles from those it inserts into another.

    Of several that one quotation inserts, only the first bears the opening mark; the others do not
    count up from the article that inserts them.
    """

    def __init__(self) -> None:
        self._article = 0
        self._quoting = False

    def level(self, level: int, line: str) -> int:
        """The level of the next division, of which `division` gave the level."""
        if level > GENERIC:
            self._quoting = True
        match = _NUMBER.search(line) if level == ARTICLE else None
        if match is None:
            return level
        number = int(match.group())
        if self._quoting and not self._article < number <= self._article + ARTICLE_GAP:
            return level + GENERIC
        self._article, self._quoting = number, False
        return level


def may_be_heading(text: str) -> bool:
    """Whether `text` can be the title of something: one short line that is no sentence or item."""
    return (
        len(text) <= _TITLE_LENGTH
        and "\n" not in text
        and " | " not in text
        and not ends_sentence(text)
        and not enumerator(text)
        and not (text.startswith("(") and text.endswith(")"))
        and any(char.isalpha() for char in text)
        and not text[0].islower()
    )


def with_divisions(blocks: Sequence[Block]) -> list[Block]:
    """`blocks` with the divisions of an act as headings, each joined to its own title line.

    "Article 5" and the paragraph "Obligations of operators" after it become one block of two
    lines, titled "Article 5 – Obligations of operators".
    """
    result: list[Block] = []
    quotations = Quotations()
    skip = False
    for index, block in enumerate(blocks):
        if skip:
            skip = False
            continue
        found = division(one_line(block.text)) if len(block.text) <= _TITLE_LENGTH else None
        if found is None:
            result.append(block)
            continue
        level, title = found
        level = quotations.level(level, one_line(block.text))
        if block.level is not None and block.level < GENERIC:
            level = block.level
        following = blocks[index + 1] if index + 1 < len(blocks) else None
        if (
            not title
            and following is not None
            and may_be_heading(following.text)
            and division(following.text) is None
        ):
            heading = joined(block, following, "\n")
            heading.title = f"{one_line(block.text)} – {one_line(following.text)}"
            skip = True
        else:
            heading = block
        heading.level = level
        result.append(heading)
    return result


def act_title(blocks: Sequence[Block]) -> str:
    """The title of the legal act that `blocks` begin with; empty where they begin with none.

    For example "Regulation (EU) 2023/1115 of 31 May 2023 on the making available on …": kind and
    number, date, and subject, which acts print as separate paragraphs.
    """
    for index, block in enumerate(blocks[:40]):
        line = one_line(block.text)
        match = _ACT.match(line) if len(line) <= 2 * _TITLE_LENGTH else None
        if match is None:
            continue
        date_in_line = re.search(r"\bof \d{1,2} \w+ \d{4}\b.*", line[match.end() :])
        parts = [date_in_line.group()] if date_in_line else []
        for following in blocks[index + 1 : index + 4]:
            text = one_line(following.text)
            if not text[0].islower():
                break
            parts.append(text)
        if parts:
            return shorten(" ".join([match["kind"].title(), match["number"], *parts]))
    return ""
