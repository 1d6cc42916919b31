"""Cutting at the seams of a text: headings first, then paragraphs, sentences, clauses, words.

A passage of a legal act holds no part of two articles or annexes, so that it can be found by the
one it is of.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from math import ceil

import numpy as np

from greenlang_vectors.chunking.boundaries import PARAGRAPH, boundaries, heading_rank
from greenlang_vectors.chunking.tokenmap import Span, TokenMap
from greenlang_vectors.documents.model import ExtractedDocument
from greenlang_vectors.documents.provisions import Provision

SECTION_LEVEL = 2
"""Headings down to this level always begin a new chunk, except after a tiny section."""

_TINY = 1 / 8
"""Share of a full chunk (64 of 512 tokens) below which a section joins what follows it."""

_FILL = 0.95
"""How full the pieces of a long section are planned, to leave room to choose good places."""

_NONE = ("", "")

_LEEWAY = 0.35
"""How far a cut may be from the planned place, as a share of the planned piece."""


class Outline:
    """A document's places to cut, measured in tokens.

    Args:
        provisions: of an act; passages keep to its articles and annexes.
    """

    def __init__(
        self, document: ExtractedDocument, tokens: TokenMap, provisions: Sequence[Provision] = ()
    ) -> None:
        self._tokens = tokens
        self._provisions = provisions
        self._places, self._ranks = boundaries(document)
        self._positions = np.searchsorted(tokens.starts, self._places)

    def spans(self, budget: int) -> Iterator[Span]:
        """Spans that tile the document: its sections, the long ones cut into balanced pieces.

        Args:
            budget: positions of the token map that a span may have.
        """
        for start, end in self._sections(budget * _TINY):
            yield from self.split(start, end, budget)

    def _sections(self, tiny: float) -> Iterator[Span]:
        """Parts under a heading of the upper levels, and articles.

        One of fewer than `tiny` tokens takes in the next, unless that stands under another parent
        or both are of articles or annexes.
        """
        start, position, rank = 0, 0, heading_rank(0)
        for i in np.flatnonzero(self._ranks > PARAGRAPH):
            place = int(self._places[i])
            before, following = self._unit_at(place - 1), self._unit_at(place)
            if before == following and self._ranks[i] < heading_rank(SECTION_LEVEL):
                continue
            tiny_before = self._positions[i] - position < tiny and self._ranks[i] <= rank
            if tiny_before and before in (following, _NONE):
                continue
            if place > start:
                yield start, place
            start, position, rank = place, self._positions[i], self._ranks[i]
        yield start, len(self._tokens.text)

    def _unit_at(self, place: int) -> tuple[str, str]:
        """Annex and article at a place."""
        i = bisect_right(self._provisions, place, key=lambda each: each.start)
        return self._provisions[i - 1].unit if i else _NONE

    def split(self, start: int, end: int, budget: int) -> Iterator[Span]:
        """Spans of about equal length that tile the one given, each of at most `budget` positions.

        Each is cut at the highest ranking place within reach, the nearest where several are equal.
        """
        first, last = self._tokens.position(start), self._tokens.position(end)
        while last - first > budget:
            pieces = max(2, ceil((last - first) / (_FILL * budget)))
            cut = self._cut(first, (last - first) / pieces, budget)
            if not start < cut < end:
                break
            yield start, cut
            start, first = cut, self._tokens.position(cut)
        yield start, end

    def _cut(self, first: int, length: float, budget: int) -> int:
        target = first + length
        low = ceil(target - _LEEWAY * length)
        high = min(int(target + _LEEWAY * length), first + budget)
        left = np.searchsorted(self._positions, max(low, first + 1), "left")
        right = np.searchsorted(self._positions, high, "right")
        if left < right:
            ranks = self._ranks[left:right]
            best = left + np.flatnonzero(ranks == ranks.max())
            nearest = best[np.abs(self._positions[best] - target).argmin()]
            return int(self._places[nearest])
        return self._tokens.offset(self._word_start(low, round(target), high))

    def _word_start(self, low: int, target: int, high: int) -> int:
        """The token nearest to `target` after white space, else between words, else `target`."""
        near = sorted(range(max(low, 1), high + 1), key=lambda position: abs(position - target))
        for parts_no_word in (self._tokens.after_space, self._tokens.between_words):
            if found := next(filter(parts_no_word, near), None):
                return found
        return target
