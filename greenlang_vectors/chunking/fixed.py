"""Windows of equal length over a document's tokens (PRD 7.3 "fixed" and "sliding window").

What is exact: a window shares exactly `overlap` tokens with the one before it, counted in the
document's own token sequence, and no window is longer than asked. What gives way is a window's
end: it moves back, by at most an eighth of the window, to the nearest place where neither the
window's end nor the beginning of the next parts a word, because half a word reads as other tokens
than it had in the document. In English that costs a token or two. Scripts written without word
separators, where no such place may be, are cut between tokens; there alone a window can read longer
by itself than in its document (`measure` then divides it), and where a character has several
tokens, as decomposed Hangul has, an overlap that would part them is as long as whole characters.
"""

from __future__ import annotations

from collections.abc import Iterator

from greenlang_vectors.chunking.tokenmap import Span, TokenMap

_LEEWAY = 1 / 8


def windows(tokens: TokenMap, budget: int, overlap: int) -> Iterator[Span]:
    """Spans of at most `budget` tokens, each starting `overlap` tokens before the last one's end.

    Together they cover the text; the last may be shorter.
    """
    first = 0
    while len(tokens.starts) - first > budget:
        end = _end(tokens, first, budget, overlap)
        yield tokens.offset(first) if first else 0, tokens.offset(end)
        first = end - overlap
    yield tokens.offset(first) if first else 0, len(tokens.text)


def _end(tokens: TokenMap, first: int, budget: int, overlap: int) -> int:
    longest = first + budget
    shortest = max(first + overlap, longest - int(budget * _LEEWAY) - 1)
    for edge in (tokens.between_words, tokens.between_characters):
        for end in range(longest, shortest, -1):
            if edge(end) and edge(end - overlap):
                return end
    return longest
