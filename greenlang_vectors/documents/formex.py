"""Formex: the XML the Publications Office keeps the acts of the Official Journal in.

Text, headings and tables come out as they do of the same act's XHTML; what the elements mean is
told at https://op.europa.eu/en/web/eu-vocabularies/formex.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from greenlang_vectors.documents.blocks import Block, assemble
from greenlang_vectors.documents.clean import clean, one_line, shorten
from greenlang_vectors.documents.headings import ARTICLE, GENERIC, act_title, division
from greenlang_vectors.documents.model import JSON, ExtractedDocument
from greenlang_vectors.documents.tables import table_blocks
from greenlang_vectors.documents.xml import local, parse
from greenlang_vectors.errors import ExtractionError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

MEDIA_TYPE = "application/formex+xml"

ROOTS = frozenset(("ACT", "ANNEX", "CONS.ACT", "CONS.ANNEX", "CONS.DOC", "GENERAL", "AGR"))
"""Root elements of texts; others, such as DOC, describe files."""

_LEFT_OUT = frozenset(
    (
        "BIB.INSTANCE", "BIB.DATA", "BIB.DOC", "FAM.COMP", "INFO.CONSLEG", "INFO.PROD", "TOC",
        "INCL.ELEMENT", "INDEX", "MARGIN",
    )
)  # fmt: skip
_INLINE = frozenset(
    (
        "HT", "DATE", "FT", "REF.DOC", "REF.DOC.OJ", "REF.DOC.SE", "REF.DOC.ECR", "NO.DOC.C",
        "LINK", "ANCHOR", "EXPONENT", "IE", "COM", "NO.CURRENT", "YEAR", "EXPR", "OVERLINE",
        "FORMULA.S", "IND", "EXP", "OP.MATH", "OP.CMP", "FRACTION", "DIVIDEND", "DIVISOR",
    )
)  # fmt: skip
_LABELS = frozenset(("NO.PARAG", "NO.P"))
_QUOTES = {"QUOT.START": "‘", "QUOT.END": "’"}
_CODE = re.compile(r"[0-9A-Fa-f]{4}")
_DIVISIONS = 4
"""The level of the outermost division whose name says none."""


def extract_formex(data: bytes, name: str, title: str | None = None) -> ExtractedDocument:
    """An act, a consolidated act or an annex in Formex 4.

    Raises:
        ExtractionError: "damaged", "unsafe" (it declares entities), or "no_text".
    """
    root = parse(data)
    walk = _Walk()
    walk.element(root)
    walk.flush()
    if not walk.blocks:
        raise ExtractionError("no_text", "It holds no text.", "Fetch the act's main file.")
    metadata: dict[str, JSON] = {}
    for key, path in (("celex", ".//NO.CELEX"), ("language", ".//LG.DOC")):
        found = root.find(path)
        if found is not None and (value := one_line("".join(found.itertext()))):
            metadata[key] = value.lower() if key == "language" else value
    return assemble(
        walk.blocks,
        title=title or act_title(walk.blocks) or shorten(walk.blocks[0].text) or name,
        media_type=MEDIA_TYPE,
        metadata=metadata,
    )


class _Walk:
    """Collects blocks; recursion is bounded by `xml.DEEPEST`."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self._parts: list[str] = []
        self._label = False
        self._notes: list[str] = []
        self._called = 0
        self._divisions = 0
        self._quoted = 0

    def element(self, element: Element) -> None:
        """Take in an element and all it holds."""
        tag = local(element)
        if tag in _LEFT_OUT:
            return
        if tag in _QUOTES:
            code = element.get("CODE") or ""
            self._add(chr(int(code, 16)) if _CODE.fullmatch(code) else _QUOTES[tag])
        elif tag == "NOTE":
            self._note(element)
        elif tag in _INLINE:
            self._content(element)
        elif tag in _LABELS:
            self.flush()
            self._content(element)
            self._parts.append(" ")
            self._label = True
        elif tag == "ARTICLE":
            self._titled(element, "TI.ART", "STI.ART", ARTICLE)
        elif tag in ("DIVISION", "GR.SEQ", "ANNEX", "CONS.ANNEX"):
            self._division(element, tag)
        elif tag == "GR.CONSID.INIT":
            self._heading([self._text_of(element)], ARTICLE)
        elif tag == "TBL":
            self._table(element)
        elif tag == "QUOT.S":
            self._quoted += 1
            self._content(element)
            self._quoted -= 1
        else:
            self._block(element)

    def _add(self, text: str | None) -> None:
        if text:
            self._parts.append(text)
            self._label = self._label and text.isspace()

    def _content(self, element: Element) -> None:
        self._add(element.text)
        for child in element:
            self.element(child)
            self._add(child.tail)

    def _block(self, element: Element) -> None:
        """A paragraph of its own, unless a label ("1.", "(a)") waits for its text."""
        if not self._label:
            self.flush()
        self._content(element)
        if not self._label:
            self.flush()

    def _note(self, element: Element) -> None:
        """A footnote: its number here, its text below the paragraph that calls it."""
        self._called += 1
        self._notes.append(f"[{self._called}] {self._text_of(element)}")
        self._add(f" [{self._called}]")

    def _text_of(self, element: Element) -> str:
        """The text of an element by itself, on one line."""
        inner = _Walk()
        inner._called = self._called
        inner._content(element)
        inner.flush()
        self._called = inner._called
        return one_line(" ".join(block.text for block in inner.blocks))

    def _titled(self, element: Element, first: str, second: str, level: int) -> None:
        titles = [child for child in element if local(child) in (first, second)]
        self._heading([self._text_of(title) for title in titles], level)
        self.flush()
        self._add(element.text)
        for child in element:
            if child not in titles:
                self.element(child)
                self._add(child.tail)
        self.flush()

    def _division(self, element: Element, tag: str) -> None:
        found = element.find("TITLE")
        titles: list[str] = []
        if found is not None:
            for child in found:
                lines = [self._text_of(part) for part in child] or [self._text_of(child)]
                titles += lines if tag.endswith("ANNEX") else [" ".join(lines)]
        own = division(titles[0]) if titles else None
        if tag.endswith("ANNEX"):
            level = 1
        elif own is not None:
            level = own[0]
        elif tag == "DIVISION":
            level = min(_DIVISIONS + self._divisions, ARTICLE - 1)
        else:
            level = GENERIC + self._divisions
        self._heading(titles, level)
        self._divisions += 1
        for child in element:
            if child is not found:
                self.element(child)
        self.flush()
        self._divisions -= 1

    def _heading(self, titles: list[str], level: int) -> None:
        self.flush()
        lines = [line for line in titles if line]
        if lines:
            above = GENERIC if self._quoted and level < GENERIC else 0
            title = " – ".join([lines[0], " ".join(lines[1:])] if lines[1:] else lines)
            self.blocks.append(Block("\n".join(lines), level=level + above, title=title))

    def _table(self, element: Element) -> None:
        self.flush()
        title = element.find("TITLE")
        if title is not None:
            self._block(title)
        rows: list[list[str]] = []
        headers = 0
        for row in element.iter("ROW"):
            rows.append([self._text_of(cell) for cell in row if local(cell) == "CELL"])
            is_header = row.get("TYPE") == "HEADER" or all(c.get("TYPE") == "HEADER" for c in row)
            headers += is_header and headers == len(rows) - 1
        self.blocks += table_blocks(rows, headers)
        for notes in element.iter("GR.NOTES"):
            self._block(notes)
        self._settle_notes()

    def flush(self) -> None:
        """End the paragraph; the notes it calls follow it."""
        text = clean(one_line("".join(self._parts)))
        self._parts.clear()
        self._label = False
        if text:
            self.blocks.append(Block(text))
        self._settle_notes()

    def _settle_notes(self) -> None:
        self.blocks += [Block(text) for note in self._notes if (text := clean(note))]
        self._notes.clear()
