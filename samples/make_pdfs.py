"""Builds the sample PDFs from the texts in `_pdf_sources`: `python samples/make_pdfs.py`.

The sources use a small part of Markdown: headings, paragraphs, `-` and `1.` lists and tables, one
block or item a line. The pages have what makes real legal PDFs hard to read: running headers, page
numbers, justified lines and words broken at line ends. The bytes depend on the source and the
version of reportlab alone (`invariant`, no compression), so that a rebuild changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BytesIO
from itertools import groupby
from pathlib import Path
from xml.sax.saxutils import escape

from reportlab.lib.colors import grey
from reportlab.lib.enums import TA_JUSTIFY
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import cm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Table, TableStyle

SAMPLES = Path(__file__).resolve().parent
SOURCES = SAMPLES / "_pdf_sources"
SIDE = 3.8 * cm

BODY = ParagraphStyle(
    "body",
    fontName="Times-Roman",
    fontSize=10.5,
    leading=13.5,
    spaceAfter=6,
    alignment=TA_JUSTIFY,
    embeddedHyphenation=1,
)
ITEM = ParagraphStyle("item", BODY, leftIndent=16, bulletIndent=4, spaceAfter=2)
CELL = ParagraphStyle("cell", BODY, fontSize=9, leading=11, alignment=0, spaceAfter=0)
HEADINGS = {
    1: ParagraphStyle("h1", BODY, fontName="Helvetica-Bold", fontSize=17, leading=21, alignment=0),
    2: ParagraphStyle(
        "h2",
        BODY,
        fontName="Helvetica-Bold",
        fontSize=12,
        leading=15,
        spaceBefore=8,
        keepWithNext=1,
    ),
    3: ParagraphStyle("h3", BODY, fontName="Helvetica-BoldOblique", spaceBefore=6, keepWithNext=1),
}
GRID = TableStyle([("GRID", (0, 0), (-1, -1), 0.5, grey), ("VALIGN", (0, 0), (-1, -1), "TOP")])

LONG_WORD = re.compile(r"[A-Za-z]{8,}")
CONSONANT = "[b-df-gj-np-tv-z]"
SYLLABLE = re.compile(
    rf"(?<=\w{{3}})(?<=[aeiouy]){CONSONANT}?(?={CONSONANT}(?!e[dsr]?\b)[aeiouy]\w)"
)


def hyphenate(text: str) -> str:
    """`text` with a soft hyphen before each consonant that begins a syllable inside a long word."""
    return LONG_WORD.sub(lambda word: SYLLABLE.sub("\\g<0>\u00ad", word[0]), text)


def blocks(source: str) -> Iterator[Flowable]:
    """The paragraphs, lists and tables of a source text."""
    lines = [line for line in source.splitlines() if line.strip()]
    for is_table, group in groupby(lines, key=lambda line: line.startswith("|")):
        if is_table:
            yield table(list(group))
        else:
            yield from map(block, group)


def block(line: str) -> Paragraph:
    """One heading, list item or paragraph."""
    if heading := re.match(r"(#{1,3}) (.+)", line):
        return Paragraph(escape(heading[2]), HEADINGS[len(heading[1])])
    if item := re.match(r"(-|\d+\.) (.+)", line):
        mark = "\u2022" if item[1] == "-" else item[1]
        return Paragraph(escape(hyphenate(item[2])), ITEM, bulletText=mark)
    return Paragraph(escape(hyphenate(line)), BODY)


def table(lines: list[str]) -> Table:
    """A Markdown table; its second line is the rule below the head."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    cells = [[Paragraph(escape(cell), CELL) for cell in row] for row in rows[:1] + rows[2:]]
    weights = [
        max(12, *(min(len(cell), 60) for cell in column)) for column in zip(*rows, strict=True)
    ]
    width = A4[0] - 2 * SIDE
    return Table(
        cells,
        colWidths=[width * weight / sum(weights) for weight in weights],
        style=GRID,
        repeatRows=1,
        spaceBefore=4,
        spaceAfter=8,
    )


def render(source: str, namespace: str) -> bytes:
    """The PDF of one source text.

    Args:
        source: text whose first line is `# title`.
        namespace: named in the running header.
    """
    title = source.splitlines()[0].removeprefix("# ")

    def frame_page(canvas: Canvas, document: SimpleDocTemplate) -> None:
        canvas.setFont("Helvetica", 8)
        canvas.drawString(SIDE, A4[1] - 1.5 * cm, f"Sample library \u2013 {namespace.upper()}")
        canvas.drawRightString(A4[0] - SIDE, A4[1] - 1.5 * cm, title)
        canvas.drawCentredString(A4[0] / 2, 1.3 * cm, f"Page {document.page}")

    buffer = BytesIO()
    SimpleDocTemplate(
        buffer,
        pagesize=A4,
        leftMargin=SIDE,
        rightMargin=SIDE,
        topMargin=2.5 * cm,
        bottomMargin=2.5 * cm,
        title=title,
        author="GreenLang samples",
        lang="en",
        invariant=1,
        pageCompression=0,
    ).build(list(blocks(source)), onFirstPage=frame_page, onLaterPages=frame_page)
    return buffer.getvalue()


def main() -> None:
    """Rebuild every PDF beside the other samples of its namespace."""
    for source in sorted(SOURCES.glob("*/*.md")):
        namespace = source.parent.name
        target = SAMPLES / namespace / f"{source.stem}.pdf"
        target.write_bytes(render(source.read_text(encoding="utf-8"), namespace))
        print(target.relative_to(SAMPLES))


if __name__ == "__main__":
    main()
