"""Page layout: from lines with coordinates to paragraphs in reading order.

PDFs hold lines, not paragraphs. Running headers and footers are told by what recurs at one height
on many pages, paragraphs by gaps, indents and punctuation. Lines keep the order in which the file
draws them, which publishers keep to reading order; only columns and tables are put in order.
"""

from __future__ import annotations

import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise

from greenlang_vectors.documents.aligned import with_rows
from greenlang_vectors.documents.clean import clean, one_line
from greenlang_vectors.documents.columns import in_reading_order
from greenlang_vectors.documents.grids import strokes, with_grids
from greenlang_vectors.documents.headings import division, ends_sentence, enumerator
from greenlang_vectors.documents.hyphens import ends_in_split_word, ready_to_continue
from greenlang_vectors.documents.lines import SMALL, Line, Rule, is_row
from greenlang_vectors.documents.tables import row_text

EDGE = 0.1
"""Share of a page's height at its top and bottom in which running lines are looked for."""

Paragraph = list[Line]


def running_lines(pages: Sequence[Sequence[Line]], heights: Sequence[float]) -> set[Line]:
    """Headers, footers and page numbers.

    A running line stands near the top or bottom edge, with no line of the body between it and the
    edge, at a distance from it at which at least two pages in five have a line, and nearly all of
    those lines recur (digits aside, so that page numbers recur too). Left and right pages may
    differ, and so may chapters.
    """
    return _running_at_edge(
        [
            [
                (round(height - line.top), line)
                for line in lines
                if height - line.top < EDGE * height
            ]
            for lines, height in zip(pages, heights, strict=True)
        ]
    ) | _running_at_edge(
        [
            [(round(line.bottom), line) for line in lines if line.bottom < EDGE * height]
            for lines, height in zip(pages, heights, strict=True)
        ]
    )


def _running_at_edge(pages: Sequence[Sequence[tuple[int, Line]]]) -> set[Line]:
    """The running lines of one edge, of whose lines near it and their distances each page tells."""
    bands: dict[int, list[Line]] = defaultdict(list)
    for lines in pages:
        for distance, line in lines:
            bands[distance].append(line)
    running: set[Line] = set()
    body: set[int] = set()
    for _, band in sorted(bands.items()):
        pages_of: dict[str, set[int]] = defaultdict(set)
        for line in band:
            pages_of[without_digits(line.text)].add(line.page)
        recurring = [
            line
            for line in band
            if len(pages_of[without_digits(line.text)]) > 1
            and line.page not in body
            and not _is_item(line.text)
        ]
        enough = len({line.page for line in recurring}) >= max(2, 0.4 * len(pages))
        if enough and len(recurring) >= 0.8 * len(band):
            running.update(recurring)
        body.update(line.page for line in band if line not in running)
    return running


def _is_item(text: str) -> bool:
    """Whether it is a list item or footnote, which can be alike on many pages, digits aside."""
    mark = enumerator(text)
    return bool(mark) and any(char.isalpha() for char in text[len(mark) :])


def without_digits(text: str) -> str:
    """`text` as it recurs from page to page: every number as "#", in lower case."""
    folded = re.sub(r"\d+", "#", one_line(text).lower())
    return "#" if re.fullmatch(r"[ivxlc]+", folded) else folded


def body_height(lines: Iterable[Line]) -> float:
    """The line height that most characters have, to a tenth of a point."""
    characters: Counter[float] = Counter()
    for line in lines:
        characters[round(line.height, 1)] += len(line.text)
    return characters.most_common(1)[0][0] if characters else 0.0


def arranged(lines: Sequence[Line], rules: Sequence[Rule], body: float) -> Sequence[Line]:
    """The lines of a page with tables as rows and columns one after the other.

    Args:
        rules: ruling lines of the page.
        body: height of the body's lines.
    """
    if not rules and not any(line.gaps for line in lines):
        return lines
    across, down = strokes(rules)
    in_order = in_reading_order(with_grids(lines, across, down), across, body)
    return with_rows(in_order, across)


def paragraphs(pages: Sequence[Sequence[Line]], body: float) -> list[Paragraph]:
    """The lines of all pages as paragraphs.

    A paragraph that runs over a page break stays whole. The footnotes of the page it leaves stand
    before it, so that they neither cut it nor change pages.

    Args:
        body: height of the body's lines.
    """
    leading = _usual_gap(pages)
    result: list[Paragraph] = []
    for lines in pages:
        text, notes = _without_footnotes(lines, body)
        margins = _Margins(lines)
        current = _split(text, leading, margins)
        notes_of_page = _split(notes, leading, margins)
        if result and current and _runs_on(result[-1], current[0], body):
            result[-1].extend(current.pop(0))
        if current and notes_of_page and not _closed(current[-1]):
            last = current.pop()
            result += [*current, *notes_of_page, last]
        else:
            result += [*current, *notes_of_page]
    return result


def _without_footnotes(lines: Sequence[Line], body: float) -> tuple[Sequence[Line], Sequence[Line]]:
    """The page's lines, and the run of smaller ones it ends with."""
    end = len(lines)
    while end and lines[end - 1].height < SMALL * body and not is_row(lines[end - 1]):
        end -= 1
    return lines[:end], lines[end:]


def _usual_gap(pages: Sequence[Sequence[Line]]) -> float:
    gaps = [
        first.bottom - second.top
        for lines in pages
        for first, second in pairwise(lines)
        if -first.height < first.bottom - second.top < first.height
    ]
    return statistics.median(gaps) if gaps else 0.0


class _Margins:
    """How far to the right the lines of each column of a page reach."""

    COLUMN = 60.0

    def __init__(self, lines: Sequence[Line]) -> None:
        self._right: dict[int, float] = defaultdict(float)
        for line in lines:
            bucket = round(line.left / self.COLUMN)
            self._right[bucket] = max(self._right[bucket], line.right)

    def is_short(self, line: Line) -> bool:
        """Whether more would have fitted on the line."""
        bucket = round(line.left / self.COLUMN)
        right = max(self._right.get(near, 0.0) for near in (bucket - 1, bucket, bucket + 1))
        return line.right < right - 0.15 * (right - line.left)


def _split(lines: Sequence[Line], leading: float, margins: _Margins) -> list[Paragraph]:
    result: list[Paragraph] = []
    for line in lines:
        announced = result and len(result[-1]) == 1 and division(result[-1][0].text)
        if is_row(line) or (result and is_row(result[-1][-1])):
            result.append([line])
            continue
        if result and not announced and not _breaks(result[-1][-1], line, leading, margins):
            result[-1].append(line)
        else:
            result.append([line])
    return result


def _breaks(previous: Line, line: Line, leading: float, margins: _Margins) -> bool:
    """Whether `line` begins a paragraph."""
    height = max(previous.height, line.height, 1.0)
    gap = previous.bottom - line.top
    if _splits_word(previous, line):
        return False
    if previous.bold != line.bold or abs(previous.height - line.height) > 0.15 * height:
        return not _continues(previous, line) or abs(gap) > height
    short = margins.is_short(previous)
    if gap < -0.5 * height or gap > leading + 0.5 * height:
        return short or gap > 3 * height or not _continues(previous, line)
    closed = ends_sentence(previous.text)
    if division(line.text) and not ends_sentence(line.text):
        return closed or short
    if enumerator(line.text):
        joins_items = previous.text.endswith((" and", " or"))
        return closed or short or joins_items or line.left < previous.left - 5
    return short and closed


def _continues(previous: Line, line: Line) -> bool:
    return not ends_sentence(previous.text) and line.text[:1].islower()


def _splits_word(previous: Line, line: Line) -> bool:
    return ends_in_split_word(previous.text) and line.text[:1].islower()


def _closed(paragraph: Paragraph) -> bool:
    """Whether the paragraph is complete as it stands, so that nothing can run on from it."""
    return ends_sentence(paragraph[-1].text) and not paragraph[-1].text.endswith(",")


def _runs_on(last: Paragraph, first: Paragraph, body: float) -> bool:
    """Whether the first paragraph of a page continues the last of the page before."""
    previous, line = last[-1], first[0]
    if is_row(line) or is_row(previous):
        return False
    if _splits_word(previous, line):
        return True
    alike = previous.bold == line.bold and abs(previous.height - line.height) < 0.15 * body
    if not alike or _closed(last):
        return False
    justified = abs(previous.right - max(line.right for line in first)) < 3
    return line.text[:1].islower() or (justified and not enumerator(line.text))


def flow(paragraph: Paragraph, words: Counter[str]) -> tuple[str, tuple[tuple[int, int], ...]]:
    """The paragraph as running text, and (page, offset) wherever a new page begins in it."""
    text = ""
    starts: list[tuple[int, int]] = []
    page = -1
    for line in paragraph:
        piece = _row(line.text, words) if is_row(line) else clean(line.text)
        if not piece:
            continue
        if text:
            text = ready_to_continue(text, piece, words)
        if line.page != page:
            starts.append((line.page, len(text)))
            page = line.page
        text += piece
    return text, tuple(starts)


def _row(text: str, words: Counter[str]) -> str:
    cells = []
    for cell in text.split("\t"):
        joined, *others = (clean(line) for line in cell.split("\n"))
        for line in filter(None, others):
            joined = (ready_to_continue(joined, line, words) if joined else "") + line
        cells.append(joined)
    return row_text(cells)
