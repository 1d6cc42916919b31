"""Where the tokens of a document begin, so that any span's length is two binary searches."""

from __future__ import annotations

from bisect import bisect_left
from unicodedata import category

import numpy as np
from numpy.typing import NDArray

from greenlang_vectors.chunking.tokens import Tokenizer

Span = tuple[int, int]
"""Start and end of a passage, as indices into its text."""

LONGEST_STRIDE = 100
"""Characters that one position stands for at most.

A "word" of a megabyte is a single unknown token to the model, and a run of spaces none at all.
Further positions every so many characters keep the characters of a chunk bounded by its tokens.
"""


class TokenMap:
    """Start of each token of a text, plus one position for every `LONGEST_STRIDE` without any.

    A span's number of positions is the number of its tokens when it is cut out between words, and
    close to it when it is cut inside one: plan with it, count the result.

    Attributes:
        starts: shape (positions,), ascending; several tokens may start at the same character.
    """

    def __init__(self, text: str, tokenizer: Tokenizer) -> None:
        self.text = text
        self.starts = _fill_gaps(np.ascontiguousarray(tokenizer.spans(text)[:, 0]), len(text))

    def position(self, offset: int) -> int:
        """Index of the first token that starts at `offset` or behind it."""
        return bisect_left(self.starts, offset)

    def offset(self, position: int) -> int:
        """Character at which a token starts; the text's length for the position past the last."""
        return int(self.starts[position]) if position < len(self.starts) else len(self.text)

    def between_words(self, position: int) -> bool:
        """Whether a cut before this token parts no word."""
        start = self.offset(position)
        return not (
            0 < start < len(self.text)
            and _in_word(self.text[start - 1])
            and _in_word(self.text[start])
        )

    def after_space(self, position: int) -> bool:
        """Whether white space stands before this token."""
        return self.text[self.offset(position) - 1 : self.offset(position)].isspace()

    def between_characters(self, position: int) -> bool:
        """Whether the token before this one starts at an earlier character."""
        return position == 0 or self.offset(position - 1) < self.offset(position)


def _in_word(character: str) -> bool:
    return character.isalnum() or category(character).startswith("M")


def _fill_gaps(starts: NDArray[np.int32], length: int) -> NDArray[np.int32]:
    edges = np.concatenate([[0], starts, [length]])
    wide = np.flatnonzero(np.diff(edges) > LONGEST_STRIDE)
    fillers = [
        np.arange(edges[i] + LONGEST_STRIDE, edges[i + 1], LONGEST_STRIDE, dtype=np.int32)
        for i in wide
    ]
    return np.sort(np.concatenate([starts, *fillers]), kind="stable")
