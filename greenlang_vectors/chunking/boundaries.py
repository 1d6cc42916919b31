"""Where a text may be cut, and how good each place is: headings, paragraphs, sentences, clauses.

The sentence rules are our own. On 120,000 characters of the CSRD pysbd found the same certain
sentence ends and avoided the same abbreviations, at a sixtieth of the speed; Unicode's sentence
boundaries (semantic-text-splitter) know no abbreviations and no headings.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from greenlang_vectors.documents.model import ExtractedDocument, Heading

CLAUSE, SENTENCE, PARAGRAPH = 1, 2, 3
"""Ranks of boundaries: the higher, the better a place to cut."""

_OUTERMOST_HEADING = 100


def heading_rank(level: int) -> int:
    """Rank of the place before a heading: above all others, outer headings above inner ones."""
    return max(_OUTERMOST_HEADING - level, PARAGRAPH + 1)


_BREAKS = r"\n\r\v\f\x1c-\x1e\x85\u2028\u2029"
_LINE_END = rf"(?>\r\n|[{_BREAKS}])"
_MARKS = ".!?…;؟۔।॥։።။។"
_CLOSERS = r"\"'”’»)\]"
_CANDIDATE = re.compile(
    rf"(?P<mark>(?<![{_MARKS}])[{_MARKS}]++[{_CLOSERS}]*+)\s++"
    rf"|(?P<wide>[。！？｡]++[」』）】》”’]*+)\s*+"
    rf"|{_LINE_END}\s*+"
)
_NEW_LINE = re.compile(_LINE_END)
_BLANK_LINE = re.compile(rf"{_LINE_END}[^\S{_BREAKS}]*+{_LINE_END}")
_LIST_ITEM = re.compile(r"(?:[-–—*•‣▪◦|·]|\(?(?:\d{1,4}|[a-zA-Z]{1,4})[.)])[^\S\n\r]")

_OPENERS = "\"'“‘«‹([„¿¡*_"
_LAST_WORD = re.compile(r"[\w.°]*$")
_ENUMERATOR = re.compile(
    rf"(?:^|[{_BREAKS}])[^\S{_BREAKS}]*[-*•]?[^\S{_BREAKS}]*\(?"
    r"(?:\d{1,3}(?:\.\d{1,3})*|[ivxlcIVXLC]{1,6}|[a-zA-Z])$"
)
_NUMBER = re.compile(r"[\d§]|[IVXLC]+\b")
_LOOK_BACK = 24

_ABBREVIATION = re.compile(
    "al|approx|bzw|ca|cf|dept|dipl|dr|eds?|est|excl|figs?|gem|ibid|incl|jr|lit|mrs?|ms|mt|op|paras?"
    "|prof|refs?|resp|seq|sr|st|subpara|viz|vs"
)
_BEFORE_NUMBER = re.compile(
    "abs|annex|app|artt?|arts|ch|chap|col|eqs?|ex|nos?|nr|núm|num|p|pars?|pp|pts?|reg|rec|sect?"
    "|tab|vols?|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec"
)


def ends_sentence(text: str, mark: int, following: int) -> bool:
    """Whether the full stop or other mark at `mark` ends a sentence, the next at `following`.

    It does not before a lower-case letter; nor after an abbreviation ("e.g.", "Art. 5",
    "No. 995/2010"), an initial or a letter ("p. 12"), or a number that opens a line ("1.").
    """
    while following < len(text) and text[following] in _OPENERS:
        following += 1
    if following < len(text) and text[following].islower():
        return False
    if text[mark] != "." or text[mark + 1 : mark + 2] == ".":
        return True
    before = text[max(0, mark - _LOOK_BACK) : mark]
    match = _LAST_WORD.search(before)
    word = match[0].lower() if match else ""
    if _ABBREVIATION.fullmatch(word) or (word[-1:].isalpha() and len(word.rpartition(".")[2]) == 1):
        return False
    if _BEFORE_NUMBER.fullmatch(word) and _NUMBER.match(text, following):
        return False
    return not (word[:1].isalnum() and len(word) <= 12 and _ENUMERATOR.search(before))


def text_boundaries(text: str) -> Iterator[tuple[int, int]]:
    """Places to cut and their ranks, by the text alone, in order.

    A place is the first character of the next sentence or paragraph. A paragraph that goes on
    with the sentence before it (after a colon or comma, or in lower case) ranks as a sentence.
    """
    for match in _CANDIDATE.finditer(text):
        place = match.end()
        if place == len(text):
            return
        if rank := _rank(text, match, place):
            yield place, rank


def _rank(text: str, match: re.Match[str], place: int) -> int:
    space = max(match.end("mark"), match.start())
    if _BLANK_LINE.search(text, space, place):
        before = text[max(0, space - 4) : space].rstrip()
        return SENTENCE if before.endswith((":", ",")) or text[place].islower() else PARAGRAPH
    if match["wide"]:
        return SENTENCE
    mark = match.start()
    if match["mark"] and text[mark] != ";" and ends_sentence(text, mark, place):
        return SENTENCE
    if _NEW_LINE.search(text, space, place) and _LIST_ITEM.match(text, place):
        return SENTENCE
    return CLAUSE if match["mark"] and text[mark] == ";" else 0


Boundaries = tuple[NDArray[np.int32], NDArray[np.int8]]


def boundaries(document: ExtractedDocument) -> Boundaries:
    """Places to cut a document, ascending, and the rank of each; both of shape (places,).

    A heading stays with its text: there is no place between it and what follows.
    Headings stacked on each other may at worst be parted as clauses are.
    """
    offsets, ranks = array("i"), array("b")
    for offset, rank in text_boundaries(document.text):
        offsets.append(offset)
        ranks.append(rank)
    places = np.frombuffer(offsets, np.int32) if offsets else np.empty(0, np.int32)
    keep = np.ones(len(places), bool)
    heading_places, heading_ranks = [], []
    body = -1
    for heading in document.headings:
        stacked = heading.start <= body
        heading_places.append(heading.start)
        heading_ranks.append(CLAUSE if stacked else heading_rank(heading.level))
        body = _body(document.text, heading)
        keep[bisect_right(offsets, heading.start - 1) : bisect_right(offsets, body)] = False
    all_places = np.concatenate([places[keep], np.array(heading_places, np.int32)])
    all_ranks = np.concatenate([np.array(ranks, np.int8)[keep], np.array(heading_ranks, np.int8)])
    order = np.argsort(all_places, kind="stable")
    return all_places[order], all_ranks[order]


_LONGEST_LINE = 500


def _body(text: str, heading: Heading) -> int:
    """Offset of the text below a heading: past its title, else past its line."""
    end = heading.start
    for word in heading.title.split():
        start = _skip_space(text, end)
        if not text.startswith(word, start):
            line_end = _NEW_LINE.search(text, end, end + _LONGEST_LINE)
            return _skip_space(text, line_end.end()) if line_end else end
        end = start + len(word)
    return _skip_space(text, end)


_NOT_SPACE = re.compile(r"\S")


def _skip_space(text: str, offset: int) -> int:
    match = _NOT_SPACE.search(text, offset)
    return match.start() if match else len(text)
