"""The provisions of a legal act: recitals, articles and their paragraphs, annexes.

Read off an act's text and headings, which every extractor makes alike: so XHTML, Formex and PDF of
one act have the same provisions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from greenlang_vectors.documents.act_words import (
    RECITALS,
    alternatives,
    alternatives_after_number,
)
from greenlang_vectors.documents.headings import ARTICLE_GAP, GENERIC
from greenlang_vectors.documents.model import ExtractedDocument, Heading

SOLE_ANNEX = "Annex"
"""Names the annex of an act that has only one, which has no number."""

_END = r"(?= ?[.:–—-] |[.:]?$)"
_ARTICLE = re.compile(
    rf"(?:(?P<word>{alternatives('article')}) (?P<number>\d{{1,4}}[a-z]{{0,2}}|premier)(?:\.[oº])?"
    rf"|(?P<first>\d{{1,4}}[a-z]?)\.? (?P<behind>{alternatives_after_number('article')})){_END}",
    re.IGNORECASE,
)
_ANNEX = re.compile(
    rf"(?:(?:{alternatives('annex')})(?: (?P<number>[IVXLCDM]{{1,8}}[a-z]?|\d{{1,3}}[a-z]?|[A-Z]))?"
    rf"|(?P<first>[IVXLC]{{1,8}})\.? (?:{alternatives_after_number('annex')})){_END}",
    re.IGNORECASE,
)
_IN_PARENTHESES = frozenset(("artikel", "articolul", "cikk"))
"""Words of languages that number paragraphs as recitals, "(1)": German, Romanian, Hungarian."""
_PARAGRAPH = re.compile(r"^(?:▼\w+ )?(?P<number>(?P<value>\d{1,3})[a-z]{0,2})\. ", re.MULTILINE)
_RECITAL = re.compile(r"^(?:▼\w+ )?\((?P<number>(?P<value>\d{1,3})[a-z]{0,2})\) ", re.MULTILINE)
_ENACTED = re.compile(
    r"^(?:(?:HAVE|HAS|HABEN|HAT|ONT|A|HAN|HA|HANNO|HEBBEN|HEEFT) [A-ZÀ-Ý]{6}"
    r"|(?:HEREBY )?RECOMMENDS\b)",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Provision:
    """A stretch of an act, from `start` to the start of the next one.

    Attributes:
        start: offset of its first character.
        annex, article, paragraph, recital: numbers as the act writes them, such as "8", "19a" and
            "I"; "" where there is none.
    """

    start: int
    annex: str = ""
    article: str = ""
    paragraph: str = ""
    recital: str = ""

    @property
    def unit(self) -> tuple[str, str]:
        """What no passage should run out of: annex and article."""
        return self.annex, self.article


def provisions(document: ExtractedDocument) -> list[Provision]:
    """The provisions in order; empty for what is no act, and for what stands before the first.

    What an amending act inserts ("‘Article 19a") belongs to the article that inserts it.
    """
    found: list[Provision] = []
    for section in _sections(document):
        if section.article and not section.quoted:
            mark, name = _paragraph_mark(document.text, section), "paragraph"
        elif section.recitals:
            mark, name = _RECITAL, "recital"
        else:
            mark, name = None, ""
        own = Provision(section.start, section.annex, section.article)
        if found or own.unit != ("", "") or mark:
            found.append(own)
        if mark is not None:
            body = _body(document.text, section)
            for start, number in _numbered(document.text, body, section.end, mark):
                found.append(Provision(start, *own.unit, **{name: number}))
            if section.recitals and (end := _ENACTED.search(document.text, found[-1].start)):
                found.append(Provision(end.start()))
    return found


def _paragraph_mark(text: str, section: _Section) -> re.Pattern[str]:
    """How the paragraphs of an article are numbered: "1." or, in some languages, "(1)"."""
    if section.in_parentheses:
        body = _body(text, section)
        enclosed = _RECITAL.search(text, body, section.end)
        plain = _PARAGRAPH.search(text, body, section.end)
        if enclosed and (plain is None or enclosed.start() < plain.start()):
            return _RECITAL
    return _PARAGRAPH


def _body(text: str, section: _Section) -> int:
    """Where the line after a section's heading begins, which may begin with a number itself."""
    line_end = text.find("\n", section.start, section.end)
    return section.end if line_end < 0 else line_end


@dataclass(frozen=True, slots=True)
class _Section:
    """What stands between a heading of an act's divisions and the next one."""

    start: int
    end: int
    annex: str
    article: str
    recitals: bool
    quoted: bool
    in_parentheses: bool


def _sections(document: ExtractedDocument) -> Iterator[_Section]:
    """Sections by the divisions in force; headings of other kinds divide nothing."""
    path: list[Heading] = []
    open_: tuple[int, str, str, bool, bool, bool] | None = None
    for heading in document.headings:
        while path and path[-1].level >= heading.level:
            path.pop()
        path.append(heading)
        state = _in_force(path)
        if open_ is not None and open_[1:] == state:
            continue
        if open_ is not None:
            yield _Section(open_[0], heading.start, *open_[1:])
        open_ = (heading.start, *state)
    if open_ is not None:
        yield _Section(open_[0], len(document.text), *open_[1:])


def _in_force(path: list[Heading]) -> tuple[str, str, bool, bool, bool]:
    """What holds below the headings of a path, as `_Section` has it."""
    annex = article = ""
    recitals = quoted = in_parentheses = False
    for heading in path:
        if match := _ANNEX.match(heading.title):
            annex = match["number"] or match["first"] or SOLE_ANNEX
        elif match := _ARTICLE.match(heading.title):
            quoted = quoted or heading.level > GENERIC
            if not quoted:
                article = (match["number"] or match["first"]).replace("premier", "1")
                word = match["word"] or match["behind"]
                in_parentheses = word.casefold() in _IN_PARENTHESES
        elif heading.title[:1] in "‘“„«":
            quoted = bool(article)
        else:
            recitals = recitals or heading.title.casefold() in RECITALS
    return annex, article, recitals, quoted, in_parentheses


def _numbered(text: str, start: int, end: int, mark: re.Pattern[str]) -> Iterator[tuple[int, str]]:
    """Where the paragraphs or recitals of a section begin, and their numbers.

    They count up from 1; numbers that do not are of something else, such as an inserted text.
    """
    last = 0, ""
    for match in mark.finditer(text, start, end):
        number = int(match["value"]), match["number"]
        if last < number and number[0] <= (last[0] + ARTICLE_GAP if last[0] else 1):
            yield match.start(), match["number"]
            last = number
