"""Word documents (Office Open XML): the text as it reads with all tracked changes accepted.

Headings are told by style, list items carry the marks Word shows, tables are rows, footnotes and
endnotes follow the paragraph that calls them. Comments, deleted text, headers and footers of pages
are left out.
"""

from __future__ import annotations

import re
from io import BytesIO
from typing import TYPE_CHECKING
from zipfile import BadZipFile, ZipFile

from greenlang_vectors.documents.blocks import Block, assemble
from greenlang_vectors.documents.clean import clean, one_line, shorten
from greenlang_vectors.documents.docx_lists import Lists
from greenlang_vectors.documents.headings import act_title, with_divisions
from greenlang_vectors.documents.model import JSON, ExtractedDocument
from greenlang_vectors.documents.tables import table_blocks
from greenlang_vectors.documents.xml import local, parse
from greenlang_vectors.errors import ExtractionError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree.ElementTree import Element

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
MAIN = "word/document.xml"
LARGEST_PART = 256 * 1024 * 1024
"""Bytes of one unpacked part; the text of 50,000 pages."""

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_LEFT_OUT = frozenset(("del", "moveFrom", "rPr", "pPr", "instrText", "delText", "object", "pict"))
_TEXTS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "\u2011"}
_HEADING = re.compile(r"heading ?(?P<level>[1-9])", re.IGNORECASE)


def is_docx(data: bytes) -> bool:
    """Whether it is a ZIP archive that holds a Word document."""
    try:
        with ZipFile(BytesIO(data)) as archive:
            return MAIN in archive.namelist()
    except (BadZipFile, ValueError, NotImplementedError):
        return False


def extract_docx(data: bytes, name: str, title: str | None = None) -> ExtractedDocument:
    """A Word document.

    Raises:
        ExtractionError: "damaged", "unsafe" (its XML declares entities), "oversized" (a part that
            unpacks to more than 256 MiB), "encrypted", or "no_text".
    """
    with _opened(data) as archive:
        parts = _Parts(archive)
        walk = _Walk(parts)
        body = parts.read(MAIN)
        blocks = with_divisions(walk.blocks_of(body))
        core = parts.read("docProps/core.xml", optional=True)
    if not blocks:
        raise ExtractionError(
            "no_text", "It holds no text (pictures at most).", "Replace it by its text."
        )
    metadata: dict[str, JSON] = {}
    properties = {local(each): clean(each.text or "") for each in core}
    for key, source in (("author", "creator"), ("subject", "subject"), ("date", "created")):
        if value := properties.get(source):
            metadata[key] = value
    return assemble(
        blocks,
        title=title
        or act_title(blocks)
        or shorten(properties.get("title", ""))
        or shorten(blocks[0].text[:1000].partition("\n")[0])
        or name,
        media_type=MEDIA_TYPE,
        metadata=metadata,
    )


def _opened(data: bytes) -> ZipFile:
    try:
        return ZipFile(BytesIO(data))
    except (BadZipFile, ValueError) as error:
        raise _damaged() from error


def _damaged() -> ExtractionError:
    return ExtractionError(
        "damaged", "It is damaged and cannot be read as a Word document.", "Fetch the file again."
    )


class _Parts:
    """The XML parts of the archive, each unpacked up to a limit."""

    def __init__(self, archive: ZipFile) -> None:
        self._archive = archive

    def read(self, part: str, *, optional: bool = False) -> Element:
        """The root of a part; an empty element where an optional one is missing."""
        try:
            info = self._archive.getinfo(part)
        except KeyError:
            if optional:
                return parse(b"<none/>")
            raise _damaged() from None
        if info.flag_bits & 1:
            raise ExtractionError(
                "encrypted", "It is encrypted and asks for a password.", "Save it without one."
            )
        try:
            with self._archive.open(info) as file:
                data = file.read(LARGEST_PART + 1)
        except Exception as error:  # what zlib, bz2 and lzma raise has no common base
            raise _damaged() from error
        if len(data) > LARGEST_PART:
            raise ExtractionError(
                "oversized",
                f"Its part {part} unpacks to more than {LARGEST_PART:,} bytes.",
                "Split it, or replace it by its text.",
            )
        return parse(data)


class _Walk:
    """Collects the blocks of a document's body."""

    def __init__(self, parts: _Parts) -> None:
        self._lists = Lists(parts.read("word/numbering.xml", optional=True))
        self._levels = _heading_levels(parts.read("word/styles.xml", optional=True))
        self._notes = {
            (kind, note.get(f"{W}id")): note
            for kind in ("footnote", "endnote")
            for note in parts.read(f"word/{kind}s.xml", optional=True)
            if note.get(f"{W}type") in (None, "normal")
        }
        self._called = 0
        self._pending: list[str] = []

    def blocks_of(self, root: Element) -> list[Block]:
        """The blocks of what an element holds; notes after the block that calls them."""
        blocks: list[Block] = []
        for each in _paragraphs_and_tables(root):
            if local(each) == "tbl":
                blocks += self._table(each)
            elif (block := self._paragraph(each)) is not None:
                blocks.append(block)
            blocks += [Block(note) for note in self._pending]
            self._pending.clear()
        return blocks

    def _paragraph(self, paragraph: Element) -> Block | None:
        text = clean(self._text(paragraph))
        properties = paragraph.find(f"{W}pPr")
        style = _value(properties, "pStyle")
        if not text:
            return None
        mark = self._lists.mark(properties)
        outline = _value(properties, "outlineLvl")
        level = self._levels.get(style)
        if level is None and outline.isdigit() and int(outline) < 9:
            level = int(outline) + 1
        return Block(f"{mark} {text}" if mark else text, level=level)

    def _text(self, element: Element) -> str:
        pieces: list[str] = []
        for child in element:
            tag = local(child)
            if tag in _LEFT_OUT:
                continue
            if tag == "t":
                pieces.append(child.text or "")
            elif tag in _TEXTS:
                pieces.append(_TEXTS[tag])
            elif tag in ("footnoteReference", "endnoteReference"):
                pieces.append(self._call(tag.removesuffix("Reference"), child.get(f"{W}id")))
            elif tag == "AlternateContent":
                pieces += [self._text(choice) for choice in list(child)[:1]]
            else:
                pieces.append(self._text(child))
        return "".join(pieces)

    def _call(self, kind: str, identity: str | None) -> str:
        note = self._notes.get((kind, identity))
        text = "" if note is None else one_line(" ".join(map(self._text, note.iter(f"{W}p"))))
        if not text:
            return ""
        self._called += 1
        self._pending.append(clean(f"[{self._called}] {text}"))
        return f" [{self._called}]"

    def _table(self, table: Element) -> list[Block]:
        rows: list[list[str]] = []
        headers = 0
        for row in table.findall(f"{W}tr"):
            properties = row.find(f"{W}trPr")
            if properties is not None and properties.find(f"{W}del") is not None:
                continue
            cells: list[str] = []
            for cell in row.findall(f"{W}tc"):
                cells.append(clean("\n".join(map(self._text, cell.iter(f"{W}p")))))
                span = _value(cell.find(f"{W}tcPr"), "gridSpan")
                cells += [""] * (min(int(span), 64) - 1 if span.isdigit() else 0)
            is_header = properties is not None and properties.find(f"{W}tblHeader") is not None
            headers += is_header and headers == len(rows)
            rows.append(cells)
        return table_blocks(rows, headers)


def _paragraphs_and_tables(root: Element) -> Iterator[Element]:
    """In order, also those inside content controls and accepted insertions."""
    for child in root:
        tag = local(child)
        if tag in ("p", "tbl"):
            yield child
        elif tag not in ("sectPr", "del", "moveFrom"):
            yield from _paragraphs_and_tables(child)


def _value(properties: Element | None, name: str) -> str:
    found = None if properties is None else properties.find(f"{W}{name}")
    return "" if found is None else found.get(f"{W}val") or ""


def _heading_levels(styles: Element) -> dict[str, int]:
    """Level by style: by its outline level, its name, or the style it is based on."""
    levels: dict[str, int] = {}
    based: dict[str, str] = {}
    for style in styles.iter(f"{W}style"):
        identity = style.get(f"{W}styleId") or ""
        outline = _value(style.find(f"{W}pPr"), "outlineLvl")
        named = _HEADING.fullmatch(_value(style, "name"))
        if outline.isdigit() and int(outline) < 9:
            levels[identity] = int(outline) + 1
        elif named:
            levels[identity] = int(named["level"])
        elif _value(style, "name").lower() == "title":
            levels[identity] = 1
        based[identity] = _value(style, "basedOn")
    for identity in based:
        parent = identity
        for _ in range(10):
            if identity in levels or not parent:
                break
            parent = based.get(parent, "")
            if parent in levels:
                levels[identity] = levels[parent]
    return levels
