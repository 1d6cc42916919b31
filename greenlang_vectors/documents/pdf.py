"""PDF: pages read by PDFium in a process of its own, paragraphs by `layout`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from greenlang_vectors.documents.blocks import Block, assemble
from greenlang_vectors.documents.clean import clean, one_line, shorten
from greenlang_vectors.documents.footnotes import Printed, attach_printed
from greenlang_vectors.documents.headings import (
    GENERIC,
    act_title,
    may_be_heading,
    with_divisions,
)
from greenlang_vectors.documents.hyphens import vocabulary
from greenlang_vectors.documents.layout import (
    Paragraph,
    arranged,
    body_height,
    flow,
    paragraphs,
    running_lines,
    without_digits,
)
from greenlang_vectors.documents.lines import SMALL, Gap, Line, Rule, is_row, merged
from greenlang_vectors.documents.model import JSON, ExtractedDocument
from greenlang_vectors.documents.ocr import with_scans, without_text
from greenlang_vectors.documents.pdf_readers import read_pdf
from greenlang_vectors.documents.tables import Rows
from greenlang_vectors.errors import ExtractionError

_FORMULA = re.compile(r"[a-z][A-Z]|[=¼∑×÷≤≥]")


def extract_pdf(
    data: bytes, name: str, title: str | None = None, ocr_languages: str = ""
) -> ExtractedDocument:
    """A PDF document.

    Running headers, footers and page numbers are taken out of the text and kept once each under
    `running_lines` in the metadata; numbers of pages without text are under
    `pages_without_text`.

    Args:
        ocr_languages: in which pages that are pictures are recognised; empty where they are not.

    Raises:
        ExtractionError: "encrypted", "damaged", "no_text" (pictures only), "ocr_unavailable" or
            "ocr_failed".
    """
    if not _is_complete(data):
        raise ExtractionError(
            "damaged", "It is cut off: the end of the PDF is missing.", "Fetch the file again."
        )
    content = read_pdf(data)
    read, metadata = with_scans(data, content["pages"], ocr_languages)
    pages = [_lines(page, number) for number, page in enumerate(read)]
    if not any(pages):
        raise without_text(len(pages), ocr_languages)
    running = running_lines(pages, [page["height"] for page in read])
    body_pages = [[line for line in page if line not in running] for page in pages]
    rules = [[Rule(*rule) for rule in page["rules"]] for page in read]
    blocks = with_divisions(_blocks(body_pages, rules, content["outline"]))
    if running:
        ordered = (line for page in pages for line in page if line in running)
        texts: dict[str, JSON] = {}
        for line in ordered:
            texts.setdefault(without_digits(line.text), clean(line.text))
        metadata["running_lines"] = list(texts.values())
    empty: list[JSON] = [number for number, page in enumerate(pages, start=1) if not page]
    if empty:
        metadata["pages_without_text"] = empty
    for key in ("Author", "Subject", "CreationDate"):
        if value := clean(content["metadata"].get(key, "")):
            metadata[key.lower()] = value
    return assemble(
        blocks,
        title=title or _title(blocks, body_pages, content["metadata"]) or name,
        media_type="application/pdf",
        pages=len(pages),
        metadata=metadata,
    )


def _is_complete(data: bytes) -> bool:
    tail = data[-65536:].rstrip(b"\0 \t\r\n")[-4096:]
    return b"%%EOF" in tail or b"startxref" in tail


def _lines(page: Mapping[str, Any], number: int) -> list[Line]:
    """The lines of a page as `pdfium_process` tells it."""
    return merged(
        Line(text, left, right, bottom, top, bold, number, tuple(map(Gap._make, *gaps)))
        for text, left, right, bottom, top, bold, *gaps in page["lines"]
    )


def _blocks(
    pages: Sequence[Sequence[Line]], rules: Sequence[Sequence[Rule]], outline: list[list[Any]]
) -> list[Block]:
    words = vocabulary(line.text for page in pages for line in page)
    body = body_height(line for page in pages for line in page)
    sizes = sorted({_size(line, body) for page in pages for line in page}, reverse=True)
    announced = {(page, _folded(title)): level for level, title, page in outline}
    blocks: list[Block] = []
    places: list[Printed] = []
    rows = Rows()
    opened = 0
    in_order = [arranged(*page, body) for page in zip(pages, rules, strict=True)]
    for paragraph in paragraphs(in_order, body):
        text, starts = flow(paragraph, words)
        if not text:
            continue
        page_starts: list[int] = []
        for page, offset in starts:
            page_starts += [offset] * (page + 1 - opened)
            opened = max(opened, page + 1)
        level = announced.get((paragraph[0].page, _folded(text)))
        if level is None and _looks_like_heading(paragraph, text, body):
            level = GENERIC + sizes.index(_size(paragraph[0], body))
        if not is_row(paragraph[0]):
            rows.end()
        elif (text := rows.next(text, alone=bool(page_starts))) and blocks and rows.joins:
            blocks[-1].text += f"\n{text}"
            continue
        blocks.append(Block(text, level=level, page_starts=tuple(page_starts)))
        small = all(line.height < SMALL * body for line in paragraph)
        places.append(Printed(paragraph[0].page, paragraph[-1].page, small))
    return attach_printed(blocks, places)


def _size(line: Line, body: float) -> float:
    """The line's height for ranking headings: to half a point, and no less than the body's."""
    return max(round(2 * line.height) / 2, round(2 * body) / 2)


def _looks_like_heading(paragraph: Paragraph, text: str, body: float) -> bool:
    stands_out = all(line.bold or line.height > 1.15 * body for line in paragraph)
    return stands_out and may_be_heading(text) and not _FORMULA.search(text)


def _folded(text: str) -> str:
    return one_line(text).casefold()[:120]


def _title(blocks: list[Block], pages: list[list[Line]], metadata: dict[str, str]) -> str:
    """The act's own title, what the file says, the largest lines of page one, or the first line."""
    if act := act_title(blocks):
        return act
    first = next((page for page in pages if page), [])
    body = body_height(line for page in pages for line in page)
    largest = max((line.height for line in first), default=0.0)
    large = [line.text for line in first if line.height > 0.95 * largest]
    candidates = (
        " ".join(large) if largest > 1.15 * body else "",
        metadata.get("Title", ""),
        blocks[0].text[:1000].partition("\n")[0] if blocks else "",
    )
    return next((shorten(clean(text)) for text in candidates if clean(text)), "")
