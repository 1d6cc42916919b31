"""Blocks: the paragraphs an extractor finds, and their assembly into one document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from greenlang_vectors.documents.clean import one_line
from greenlang_vectors.documents.model import JSON, ExtractedDocument, Heading

PARAGRAPH = "\n\n"


@dataclass(slots=True)
class Block:
    """One paragraph, table or heading.

    Attributes:
        text: cleaned and not empty.
        level: depth of a heading, 1 being the outermost; None for anything else.
        title: the heading's title where it is not simply the text on one line.
        page_starts: offsets in `text` at which a new page begins, ascending.
    """

    text: str
    level: int | None = None
    title: str = ""
    page_starts: tuple[int, ...] = ()


def joined(first: Block, second: Block, separator: str) -> Block:
    """Both blocks as one that keeps the page starts of both and is no heading."""
    shift = len(first.text) + len(separator)
    starts = (*first.page_starts, *(shift + start for start in second.page_starts))
    return Block(first.text + separator + second.text, page_starts=starts)


def assemble(
    blocks: Sequence[Block],
    *,
    title: str,
    media_type: str,
    pages: int = 0,
    metadata: dict[str, JSON] | None = None,
) -> ExtractedDocument:
    """The document of `blocks`, a blank line between each two.

    `pages` is the number of pages, 0 where the medium has none; pages that begin in no block lie
    after the last one and start at the end of the text.
    """
    page_starts: list[int] = []
    headings: list[Heading] = []
    offset = 0
    for block in blocks:
        page_starts.extend(offset + start for start in block.page_starts)
        if block.level is not None:
            heading_title = block.title or one_line(block.text)
            headings.append(Heading(start=offset, level=block.level, title=heading_title))
        offset += len(block.text) + len(PARAGRAPH)
    text = PARAGRAPH.join(block.text for block in blocks)
    page_starts.extend([len(text)] * (pages - len(page_starts)))
    return ExtractedDocument(
        text=text,
        title=title,
        media_type=media_type,
        page_starts=tuple(page_starts),
        headings=tuple(headings),
        metadata=metadata or {},
    )
