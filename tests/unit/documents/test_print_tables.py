"""Tables of print are rows with their cells apart."""

from __future__ import annotations

from reportlab.pdfgen.canvas import Canvas

from greenlang_vectors.documents.extract import extract
from greenlang_vectors.documents.source import RawDocument

from .conftest import MakePdf

PROSE = "Goods of the kinds in the table below are declared by whoever brings them in each year."


def row(canvas: Canvas, y: float, cells: tuple[str, ...]) -> None:
    text = canvas.beginText(72, y)
    for x, cell in zip((72, 240, 420), cells, strict=False):
        text.setTextOrigin(x, y)
        text.textOut(cell)
    canvas.drawText(text)


def test_rows_are_lines_with_their_cells_apart_and_the_header_over_every_piece(
    make_pdf: MakePdf,
) -> None:
    def page(canvas: Canvas) -> None:
        canvas.setFont("Helvetica", 9)
        for number in range(12):
            canvas.drawString(72, 800 - 11 * number, PROSE)
        row(canvas, 640, ("CN code", "Goods", "Gas"))
        for number in range(36):
            row(canvas, 624 - 15 * number, (str(7601 + number), "Aluminium, raw", "Carbon dioxide"))

    text = extract(RawDocument(make_pdf([page]), "a.pdf")).text
    prose, *pieces = text.split("\n\n")
    assert " | " not in prose
    assert len(pieces) == 2
    assert all(piece.startswith("CN code | Goods | Gas\n7") for piece in pieces)
    assert [line for piece in pieces for line in piece.split("\n")[1:]] == [
        f"{7601 + number} | Aluminium, raw | Carbon dioxide" for number in range(36)
    ]


def test_a_stretched_line_and_a_list_are_no_tables(make_pdf: MakePdf) -> None:
    def page(canvas: Canvas) -> None:
        canvas.setFont("Helvetica", 9)
        for number in range(12):
            canvas.drawString(72, 800 - 11 * number, PROSE)
        row(canvas, 640, ("Signed", "in Brussels"))
        for number in range(3):
            text = canvas.beginText(72, 600 - 20 * number)
            text.textOut(f"({number + 1})")
            text.setTextOrigin(120, 600 - 20 * number)
            text.textOut("oak barrels;")
            canvas.drawText(text)

    assert " | " not in extract(RawDocument(make_pdf([page]), "a.pdf")).text
