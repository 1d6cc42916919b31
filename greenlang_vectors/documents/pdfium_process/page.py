"""A page as lines with coordinates, and, where it may hold columns or tables, gaps and rules."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import pairwise, repeat
from operator import and_, sub
from typing import Any

import pypdfium2

from greenlang_vectors.documents.pdfium_process.characters import Characters, Sides
from greenlang_vectors.documents.pdfium_process.rules import THICK, rules_of

WIDE = 0.6
"""Heights of a line that a character is wide on average where a line is looked into for gaps; it
is half a height in running text."""
EVERY = 4
"""Of so many long lines, one is looked into anyway."""
LONG = 40
"""Characters of a long line."""
MIDDLE, ALL = (0.3, 0.7), (0.0, 1.0)
"""Shares of a long line, and of a wide one, between which it is looked into."""
GAP = 0.4
"""Heights of a line that a space is wide at least to be told, unless a rule parts it."""
WIDE_GAP = 0.7
"""Heights of a line that a space is wide at least where a page may hold columns or tables."""
EDGE = 0.1
"""Share of a page's height at its top and bottom where a wide gap in one line says nothing."""
STACKED = 1.6
"""Heights of a character that a line is high at least where it may be several."""
_SPACE = re.compile(" ")
INDENT = 6.0
"""Heights of a line that the space behind a list's mark is wide at most."""
_LIST_MARK = re.compile(r"\(?(?:\d{1,4}[a-z]?|[A-Za-z]{1,2}|[ivxlcIVXLC]{3,6})[.)]|[–—•▪-]")

Piece = tuple[str, int, int]
"""Text on one line, and the positions of its first and last unit."""
Gap = tuple[int, float, float]
"""A space: its place in the text, where it begins and where it ends."""


def read_page(page: pypdfium2.PdfPage) -> dict[str, Any]:
    """The page as JSON has it; it is closed."""
    textpage = page.get_textpage()
    width, height = page.get_size()
    rotation = page.get_rotation()
    shown: Callable[[Sides], Sides] = partial(_shown, rotation=rotation, width=width, height=height)
    characters = Characters(textpage, shown)
    pieces = list(_pieces(characters))
    lines, usual = _lines(characters, pieces)
    if rotation in (90, 270) and _lie_on_their_side(lines):
        height, shown = width, _as_drawn
        characters = Characters(textpage, shown)
        lines, usual = _lines(characters, pieces)
        order = sorted(range(len(lines)), key=lambda i: (-lines[i][4], lines[i][1]))
        pieces, lines = [pieces[i] for i in order], [lines[i] for i in order]
    stacked = {i for i, line in enumerate(lines) if line[4] - line[3] > STACKED * usual}
    if stacked:
        pieces = [
            part
            for i, piece in enumerate(pieces)
            for part in (_levelled(characters, piece) if i in stacked else [piece])
        ]
        lines, _ = _lines(characters, pieces)
    rules: list[Sequence[float]] = []
    if _is_laid_out(characters, pieces, lines, height):
        if found := rules_of(page):
            rules = list(
                zip(*shown([list(side) for side in zip(*found, strict=True)]), strict=True)
            )
        for line, gaps in zip(lines, _gaps(characters, pieces), strict=True):
            line[6] = _told(gaps, line, rules)
    textpage.close()
    page.close()
    return {"height": height, "lines": lines, "rules": rules}


def _lie_on_their_side(lines: Sequence[list[Any]]) -> bool:
    """Whether most lines run up or down the page, which PDFium puts into disorder."""
    long = [line for line in lines if len(line[0]) >= LONG]
    upright: int = sum(line[4] - line[3] > line[2] - line[1] for line in long)
    return 2 * upright > len(long)


def _as_drawn(sides: Sides) -> Sides:
    return sides


def _shown(sides: Sides, *, rotation: int, width: float, height: float) -> Sides:
    """Boxes on the page as it is shown, turned clockwise by `rotation` degrees."""
    lefts, rights, bottoms, tops = sides
    if rotation == 90:
        return bottoms, tops, [height - x for x in rights], [height - x for x in lefts]
    if rotation == 180:
        across = [width - x for x in rights], [width - x for x in lefts]
        return [*across, [height - y for y in tops], [height - y for y in bottoms]]
    if rotation == 270:
        return [width - y for y in tops], [width - y for y in bottoms], lefts, rights
    return sides


def _pieces(characters: Characters) -> Iterator[Piece]:
    """The text of a page, piece by piece.

    PDFium runs a word that a hyphen splits on without a line end, and leaves U+FFFE for the hyphen.
    """
    position = 0
    units = characters.units
    for line in characters.text.split("\r\n"):
        *split, last = line.split("\ufffe")
        for part in [*(f"{part}-" for part in split), last]:
            stripped = part.strip()
            if stripped:
                first = position + units(part[: part.index(stripped[0])])
                yield stripped, first, first + units(stripped) - 1
            position += units(part)
        position += 2


def _levelled(characters: Characters, piece: Piece) -> Iterator[Piece]:
    """The pieces of a piece whose characters do not stand on one line.

    PDFium runs lines on that overlap in height, and those of pages that are turned.
    """
    text, first, last = piece
    if last - first + 1 != len(text):
        yield piece
        return
    found, (_, _, bottoms, tops) = characters.boxes(characters.indices([*range(first, last + 1)]))
    parts: list[Piece] = []
    start, level, height = 0, 0.0, 0.0
    for place, known in enumerate(found):
        if not known or text[place] == " ":
            continue
        middle = (bottoms[place] + tops[place]) / 2
        if height and abs(middle - level) > 0.9 * height:
            parts.append(_stripped(text[start:place], first + start))
            start = place
        level, height = middle, tops[place] - bottoms[place]
    parts.append(_stripped(text[start:], first + start))
    yield from parts if 4 * len(parts) < len(text) else [piece]


def _stripped(text: str, first: int) -> Piece:
    text = text.rstrip()
    return text, first, first + len(text) - 1


def _lines(characters: Characters, pieces: Sequence[Piece]) -> tuple[list[list[Any]], float]:
    """Pieces as lines, measured by first, middle and last character, and these' usual height."""
    positions = [i for _, first, last in pieces for i in (first, (first + last) // 2, last)]
    indices = characters.indices(positions)
    found, sides = characters.boxes(indices)
    if not all(found):
        _mend(found, sides, indices)
    usual = sorted(map(sub, sides[3], sides[2]))[len(found) // 2] if found else 0.0
    lefts, rights, bottoms, tops = ((side[0::3], side[1::3], side[2::3]) for side in sides)
    lines = [
        [text, round(left, 2), round(right, 2), round(bottom, 2), round(top, 2), bold, []]
        for (text, _, _), left, right, bottom, top, bold in zip(
            pieces,
            map(min, *lefts),
            map(max, *rights),
            map(min, *bottoms),
            map(max, *tops),
            map(characters.are_bold, indices[0::3], indices[1::3], indices[2::3]),
            strict=True,
        )
    ]
    return lines, usual


def _mend(found: Sequence[int], sides: Sides, indices: list[int]) -> None:
    """Let a character without a place have that of another of its line, or none."""
    for i in range(len(found)):
        if not found[i]:
            line = range(i - i % 3, i - i % 3 + 3)
            other = next((j for j in line if found[j]), None)
            indices[i] = -1 if other is None else indices[other]
            for side in sides:
                side[i] = 0.0 if other is None else side[other]


def _is_laid_out(
    characters: Characters, pieces: Sequence[Piece], lines: Sequence[list[Any]], height: float
) -> bool:
    """Whether a page may hold columns or tables.

    Then a line is drawn further up than the one before it, or one has a wide gap.
    """
    low, high = EDGE * height, (1 - EDGE) * height
    body = [i for i, line in enumerate(lines) if line[3] > low and line[4] < high]
    if any(lines[second][3] > lines[first][4] for first, second in pairwise(body)):
        return True
    long = dict.fromkeys([i for i in body if len(lines[i][0]) >= LONG][::EVERY], MIDDLE)
    heights = [line[4] - line[3] for line in lines]
    wide = {
        i: ALL
        for i, (text, left, right, *_) in enumerate(lines)
        if right - left > WIDE * heights[i] * len(text)
    }
    looked = {**long, **wide}
    found = _gaps(characters, [pieces[i] for i in looked], list(looked.values()))
    parted = {
        i
        for i, gaps in zip(looked, found, strict=True)
        if any(end - start > WIDE_GAP * heights[i] for _, start, end in gaps)
    }
    return len(parted) > 1 or not parted.isdisjoint(body)


def _gaps(
    characters: Characters,
    pieces: Sequence[Piece],
    within: Iterable[tuple[float, float]] = repeat(ALL),
) -> list[list[Gap]]:
    """The spaces of each piece but one behind a list's mark.

    Args:
        within: shares of each text between which they are looked for.
    """
    spaces = [
        [
            match.start()
            for match in _SPACE.finditer(text, int(low * len(text)), int(high * len(text)))
        ]
        for (text, _, _), (low, high) in zip(pieces, within, strict=False)
    ]
    around = [
        first + characters.units(text[:place]) + step
        for (text, first, _), places in zip(pieces, spaces, strict=True)
        for place in places
        for step in (-1, 1)
    ]
    found, (lefts, rights, bottoms, tops) = characters.boxes(characters.indices(around))
    widths = zip(
        map(and_, found[0::2], found[1::2]),
        rights[0::2],
        lefts[1::2],
        map(sub, tops[0::2], bottoms[0::2]),
        strict=True,
    )
    result: list[list[Gap]] = []
    for (text, _, _), places in zip(pieces, spaces, strict=True):
        mark = places[0] if places and _LIST_MARK.fullmatch(text, 0, places[0]) else None
        result.append([])
        for place in places:
            known, start, end, height = next(widths)
            if known and (place != mark or end - start > INDENT * height):
                result[-1].append((place, start, end))
    return result


def _told(gaps: Iterable[Gap], line: Sequence[Any], rules: Iterable[Sequence[float]]) -> list[Gap]:
    """The gaps that are wide, or that a ruling line parts."""
    bottom, top = line[3], line[4]
    beside = [
        left
        for left, right, low, high in rules
        if right - left <= THICK and low < top and high > bottom
    ]
    return [
        (place, round(start, 2), round(end, 2))
        for place, start, end in gaps
        if end - start > GAP * (top - bottom) or any(start - 1 < x < end + 1 for x in beside)
    ]
