"""Optical character recognition (OCR): the pages of a PDF that are pictures.

They are drawn by `picture`, read by `tesseract`, and take the form of what `pdfium_process` tells:
headings, running lines, split words and paragraphs are told as in any other PDF.
"""

from __future__ import annotations

import os
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from greenlang_vectors.documents.layout import EDGE, without_digits
from greenlang_vectors.documents.model import JSON
from greenlang_vectors.documents.tesseract import (
    DOTS_AN_INCH,
    Seen,
    SeenLine,
    letters_of,
    run,
    see,
    turn,
)
from greenlang_vectors.errors import ExtractionError

FEW = 50
"""Letters and digits of a page below which it may be a picture: a stamp, a page number."""
MOST_DOTS = 25_000_000
"""Of one page, about three times A4: larger ones are drawn with fewer dots an inch."""
AT_ONCE = min(4, os.cpu_count() or 1)
"""Pages read side by side, each by one thread."""
CONFIDENT = 70.0
"""Mean confidence of a page's words below which it is listed as doubtful."""
INK = 1.22
"""Height of a line, as PDFium tells it, by that of its ink."""
DESCENT = 0.2
"""Share of that height that is below the baseline."""

GAP = 0.7
"""Heights of a line that a space is wide at least where it may part cells or columns."""

BULLETS = frozenset("¢©®°*«»eo")
"""What Tesseract sees in a bullet."""
SHIFT = 14.0
"""Points by which running lines of scanned pages may stand higher or lower than one another."""

_DRAWER = Path(__file__).with_name("picture.py")


@dataclass(frozen=True, slots=True)
class _Scan:
    """What is on a page, and how many points a dot of its picture has."""

    seen: Seen
    points: float


def with_scans(
    data: bytes, pages: Sequence[dict[str, Any]], languages: str
) -> tuple[Sequence[dict[str, Any]], dict[str, JSON]]:
    """The pages of a PDF with the text of those that are pictures, and metadata of these.

    Pages with text stay as they are, and so do those on which no more of it is recognised.

    Args:
        pages: as `pdfium_process` tells them.
        languages: Tesseract's names of them with `+` between; empty where none are recognised.

    Raises:
        ExtractionError: "ocr_unavailable" where a page is a picture, and Tesseract or a language
            is not on this machine; "ocr_failed" where a page took too long.
    """
    few = [i for i, page in enumerate(pages) if languages and _letters(page) < FEW]
    if not few:
        return pages, {}
    with ThreadPoolExecutor(AT_ONCE) as threads:
        found = threads.map(lambda index: _scan(data, index, pages[index], languages), few)
        scans = {
            index: scan
            for index, scan in zip(few, found, strict=True)
            if scan is not None and scan.seen.letters > _letters(pages[index])
        }
    if not scans:
        return pages, {}
    body = _body_height(scans.values(), [page for i, page in enumerate(pages) if i not in scans])
    read_pages = {index: _page(scan, body) for index, scan in scans.items()}
    _align_edges(read_pages.values())
    mended = [read_pages.get(index, page) for index, page in enumerate(pages)]
    return mended, _metadata(scans)


def without_text(pages: int, languages: str) -> ExtractionError:
    """The error of a PDF of so many pages on which there is no text to be had."""
    if languages:
        return ExtractionError(
            "no_text",
            f"None of its {pages} pages holds text, and recognition (OCR) found none, either.",
            "Scan it more sharply, or name its languages in GREENLANG_OCR_LANGUAGES, which is"
            f" {languages}.",
        )
    return ExtractionError(
        "no_text",
        f"None of its {pages} pages holds text: they are pictures or blank.",
        "Have them recognised (OCR): install tesseract-ocr, and set GREENLANG_OCR_LANGUAGES to"
        " their languages, such as eng or eng+deu.",
    )


def _letters(page: dict[str, Any]) -> int:
    return sum(letters_of(line[0]) for line in page["lines"])


def _scan(data: bytes, index: int, page: dict[str, Any], languages: str) -> _Scan | None:
    """What is on a page, which may lie on its side; None where there is nothing to recognise."""
    picture = _picture(data, index)
    if not picture:
        return None
    seen = see(picture, languages)
    points = page["height"] / seen.height
    doubtful = seen.confidence < CONFIDENT or not seen.upright
    if doubtful and (turned := turn(picture)):
        again = see(_picture(data, index, turned), languages)
        seen = max(seen, again, key=lambda each: (each.upright, each.confidence * each.letters))
    return _Scan(seen, points)


def _picture(data: bytes, index: int, turned: int = 0) -> bytes:
    arguments = map(str, (index, DOTS_AN_INCH, MOST_DOTS, turned))
    return run([sys.executable, "-P", str(_DRAWER), *arguments], data)


def _body_height(scans: Iterable[_Scan], printed: Iterable[dict[str, Any]]) -> float:
    """The height of most lines; that of pages with text, where recognised ones nearly have it."""
    own = _middle(
        (line.text, _height(line, scan.points)) for scan in scans for line in scan.seen.lines
    )
    others = _middle((line[0], line[4] - line[3]) for page in printed for line in page["lines"])
    return others if 0.8 * others < own < 1.25 * others else own


def _middle(lines: Iterable[tuple[str, float]]) -> float:
    """The median height of their words."""
    heights = [height for text, height in lines for _ in text.split()]
    return statistics.median(heights) if heights else 0.0


def _height(line: SeenLine, points: float) -> float:
    return INK * points * line.height


def _page(scan: _Scan, body: float) -> dict[str, Any]:
    """The page as `pdfium_process` tells it.

    Ink is higher or lower from line to line: what is nearly as high as the body is as high.
    """
    lines = []
    for line in scan.seen.lines:
        height = _height(line, scan.points)
        height = body if 0.9 * body < height < 1.15 * body else round(2 * height) / 2
        bottom = scan.points * line.baseline - DESCENT * height
        sides = (scan.points * line.left, scan.points * line.right, bottom, bottom + height)
        gaps = [
            [place, round(scan.points * left, 2), round(scan.points * right, 2)]
            for place, left, right in line.spaces
            if scan.points * (right - left) > GAP * height
        ]
        starts_item = gaps[:1] and gaps[0][0] == 1 and line.text[0] in BULLETS
        text = f"•{line.text[1:]}" if starts_item else line.text
        lines.append([text, *(round(side, 2) for side in sides), False, gaps])
    return {"height": scan.points * scan.seen.height, "lines": lines, "rules": []}


def _align_edges(pages: Iterable[dict[str, Any]]) -> None:
    """Has lines that recur near the edges of pages stand at one height, as running lines do.

    Paper lies a little higher or lower in a scanner each time.
    """
    known: dict[tuple[bool, str], list[float]] = defaultdict(list)
    for page in pages:
        for line in page["lines"]:
            text, _, _, bottom, top, *_ = line
            for at_top, distance in ((True, page["height"] - top), (False, bottom)):
                if distance < EDGE * page["height"]:
                    places = known[at_top, without_digits(text)]
                    place = next((each for each in places if abs(each - distance) < SHIFT), None)
                    if place is None:
                        places.append(distance)
                    else:
                        shift = distance - place if at_top else place - distance
                        line[3:5] = [bottom + shift, top + shift]


def _metadata(scans: dict[int, _Scan]) -> dict[str, JSON]:
    letters = sum(scan.seen.letters for scan in scans.values())
    mean = sum(scan.seen.confidence * scan.seen.letters for scan in scans.values()) / letters
    pages: list[JSON] = [index + 1 for index in scans]
    doubtful: list[JSON] = [i + 1 for i, scan in scans.items() if scan.seen.confidence < CONFIDENT]
    metadata: dict[str, JSON] = {"ocr": True, "ocr_pages": pages, "ocr_confidence": round(mean, 1)}
    return {**metadata, "ocr_doubtful_pages": doubtful} if doubtful else metadata
