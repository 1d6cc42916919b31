"""Hyphens at line ends: which belong to the word, and which only split it.

The document itself decides: whichever form stands more often elsewhere in it; failing that, the
hyphen stays if both halves stand elsewhere as words of three letters or more, or the first is a
prefix such as "non" and the second such a word. "Small- and medium-sized" keeps hyphen and space.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

_WORD = re.compile(r"[^\W\d_]+(?:[-‐][^\W\d_]+)*")
_SPLIT_WORD = re.compile(r"(?:[^\W\d_]+[-‐])*[^\W\d_]+[-‐]$")
_SUSPENDED = frozenset(("and", "or", "und", "oder", "et", "ou", "y"))
_PREFIXES = frozenset(("non", "self", "cross", "multi", "anti", "quasi"))
_HYPHENS = ("-", "‐")
_TAIL = 80
"""Characters at the end of a line in which a split word is looked for."""


def ends_in_split_word(line: str) -> bool:
    """Whether `line` ends in the middle of a word or compound."""
    return line.endswith(_HYPHENS) and _SPLIT_WORD.search(line[-_TAIL:]) is not None


def vocabulary(lines: Iterable[str]) -> Counter[str]:
    """How often each word stands whole in `lines`; compounds count as one word."""
    whole = "\n".join(
        line[:-_TAIL] + _SPLIT_WORD.sub("", line[-_TAIL:]) if line.endswith(_HYPHENS) else line
        for line in lines
    )
    return Counter(_WORD.findall(whole.lower().replace("‐", "-")))


def ready_to_continue(text: str, piece: str, words: Counter[str]) -> str:
    """`text` with the space, the hyphen or neither that `piece` of the next line is to follow."""
    split = _SPLIT_WORD.search(text[-_TAIL:]) if text.endswith(_HYPHENS) else None
    if split is None:
        in_number = text[-1] in "-‐" and text[-2:-1].isdigit() and piece[0].isdigit()
        return text if in_number else text + " "
    first, second = split.group()[:-1], _WORD.match(piece)
    if second is None:
        return text if piece[0].isdigit() else text + " "
    if second.group().lower() in _SUSPENDED:
        return text + " "
    return text if _is_compound(first, second.group(), words) else text[:-1]


def _is_compound(first: str, second: str, words: Counter[str]) -> bool:
    left, right = first.lower(), second.lower()
    compound, whole = words[f"{left}-{right}"], words[left + right]
    if compound != whole:
        return compound > whole
    if second[0].isupper() and not (first + second).isupper():
        return True
    if left in _PREFIXES and (words[right] or words[f"{right}s"]):
        return True
    return min(len(left), len(right)) >= 3 and words[left] > 0 and words[right] > 0
