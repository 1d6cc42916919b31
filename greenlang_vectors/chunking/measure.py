"""Counting planned passages with the tokenizer, and dividing those that come out too long."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from greenlang_vectors.chunking.tokenmap import Span
from greenlang_vectors.chunking.tokens import Tokenizer
from greenlang_vectors.errors import ChunkingError

_BATCH = 64
"""Passages counted at once."""

_SPACE = re.compile(r"\s")


class Passage(NamedTuple):
    """A span without white space at its ends, and the tokens the model reads for it."""

    start: int
    end: int
    tokens: int


def measure(
    spans: Iterable[Span], text: str, limit: int, tokenizer: Tokenizer
) -> Iterator[Passage]:
    """The passages in the spans, in order, those of more than `limit` tokens divided.

    Planned lengths are those of the tokens in the document; a passage that begins or ends inside a
    word can have more. White space outside passages is dropped, spans of nothing else vanish.

    Raises:
        ChunkingError: a single character has more tokens than `limit`.
    """
    trimmed = (part for start, end in spans if (part := _trim(text, start, end)))
    while batch := list(islice(trimmed, _BATCH)):
        counts = tokenizer.counts([text[start:end] for start, end in batch])
        for (start, end), count in zip(batch, counts, strict=True):
            if count <= limit:
                yield Passage(start, end, count)
            elif end - start > 1:
                middle = _middle(text, start, end)
                yield from measure([(start, middle), (middle, end)], text, limit, tokenizer)
            else:
                raise ChunkingError(
                    "indivisible",
                    f"The character U+{ord(text[start]):04X} at offset {start} has {count} tokens,"
                    f" more than the {limit} a chunk may have.",
                    "Choose larger chunks.",
                )


def _trim(text: str, start: int, end: int) -> Span | None:
    part = text[start:end]
    left = len(part) - len(part.lstrip())
    return (start + left, start + len(part.rstrip())) if left < len(part) else None


def _middle(text: str, start: int, end: int) -> int:
    """The white space nearest to the middle on its right, else on its left, else the middle."""
    middle = (start + end) // 2
    quarter = (end - start) // 4
    after = _SPACE.search(text, middle, end - quarter)
    return after.start() if after else middle
