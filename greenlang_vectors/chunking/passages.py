"""Passages that come as such: each is a chunk, nothing is cut."""

from __future__ import annotations

from collections.abc import Sequence

from greenlang_vectors.chunking.model import Chunk
from greenlang_vectors.chunking.tokens import Tokenizer


def as_chunks(texts: Sequence[str], separator: str, tokenizer: Tokenizer) -> list[Chunk]:
    """Each text as a chunk of the document that joins them with the separator."""
    made: list[Chunk] = []
    start = 0
    for index, (text, tokens) in enumerate(zip(texts, tokenizer.counts(texts), strict=True)):
        made.append(
            Chunk(
                index=index,
                start=start,
                end=start + len(text),
                content=text,
                token_count=tokens,
                page_start=None,
                page_end=None,
                heading_path=(),
            )
        )
        start += len(text) + len(separator)
    return made
