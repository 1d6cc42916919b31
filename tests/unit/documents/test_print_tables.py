"""Tables of print are rows with their cells apart."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from reportlab.lib.colors import black
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Paragraph, Table

from greenlang_vectors.documents.extract import extract
from greenlang_vectors.documents.source import RawDocument

from .conftest import HEIGHT, WIDTH, MakePdf

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


HEAD = ("CN code", "Goods", "Gases")
ROWS = (
    ("7601", "Aluminium that is not wrought", "Carbon dioxide and per&shy;fluorocarbons"),
    ("7602", "Waste and scrap, as far as it was not made in the course of production", "None"),
    ("7603", "Powders", "Carbon dioxide, where the powder was made by burning"),
    ("7604", "Bars, rods and profiles, whether they are hollow or not", "Carbon dioxide"),
)
READ = [
    "CN code | Goods | Gases",
    "7601 | Aluminium that is not wrought | Carbon dioxide and perfluorocarbons",
    "7602 | Waste and scrap, as far as it was not made in the course of production | None",
    "7603 | Powders | Carbon dioxide, where the powder was made by burning",
    "7604 | Bars, rods and profiles, whether they are hollow or not | Carbon dioxide",
]
GRID = [("GRID", (0, 0), (-1, -1), 0.5, black)]
TIGHT = [("TOPPADDING", (0, 0), (-1, -1), 0), ("BOTTOMPADDING", (0, 0), (-1, -1), 0)]
STYLE = ParagraphStyle("cell", fontName="Helvetica", fontSize=9, leading=11)


def page_with(
    rows: Sequence[Sequence[str]], style: Sequence[tuple[object, ...]], widths: Sequence[float]
) -> Callable[[Canvas], None]:
    """A page with a table, each cell drawn whole before the next, and prose around it."""

    def page(canvas: Canvas) -> None:
        canvas.setFont("Helvetica", 9)
        for number in range(12):
            canvas.drawString(72, 800 - 11 * number, PROSE)
        cells = [[Paragraph(cell, STYLE) for cell in row] for row in rows]
        table = Table(
            cells, colWidths=list(widths), style=[("VALIGN", (0, 0), (-1, -1), "TOP"), *style]
        )
        _, height = table.wrapOn(canvas, 460, 600)
        table.drawOn(canvas, 72, 650 - height)
        canvas.setFont("Helvetica", 9)
        canvas.drawString(72, 620 - height, "What follows the table is prose again.")

    return page


def table_of(make_pdf: MakePdf, page: Callable[[Canvas], None]) -> list[str]:
    """What stands between the prose before a table and the prose after it."""
    text = extract(RawDocument(make_pdf([page]), "a.pdf")).text
    prose, table, after = text.split("\n\n")
    assert " | " not in prose
    assert after == "What follows the table is prose again."
    return table.split("\n")


@pytest.mark.parametrize(
    "rules",
    [
        GRID,
        [("BOX", (0, 0), (-1, -1), 0.5, black), ("INNERGRID", (0, 0), (-1, -1), 0.5, black)],
        [("LINEABOVE", (0, 0), (-1, -1), 0.5, black), ("LINEBELOW", (0, -1), (-1, -1), 0.5, black),
         ("LINEAFTER", (0, 0), (-2, -1), 0.5, black)],
    ],
    ids=["grid", "box", "no outer sides"],
)  # fmt: skip
def test_cells_of_several_lines_are_told_by_rules(
    make_pdf: MakePdf, rules: Sequence[tuple[object, ...]]
) -> None:
    assert table_of(make_pdf, page_with([HEAD, *ROWS], rules, (60, 150, 120))) == READ


def test_cells_of_several_lines_are_told_by_the_room_between_rows(make_pdf: MakePdf) -> None:
    across = [("LINEABOVE", (0, 0), (-1, -1), 0.5, black), *TIGHT]
    room = [("BOTTOMPADDING", (0, 0), (-1, -1), 8)]
    for style in (across, room):
        assert table_of(make_pdf, page_with([HEAD, *ROWS], style, (80, 150, 120))) == READ


def test_pages_that_are_turned_hold_tables_too(make_pdf: MakePdf) -> None:
    def turned(canvas: Canvas) -> None:
        canvas.setPageSize((HEIGHT, WIDTH))
        canvas.setPageRotation(90)
        canvas.translate(HEIGHT, 0)
        canvas.rotate(90)
        page_with([HEAD, *ROWS], GRID, (60, 150, 120))(canvas)

    assert table_of(make_pdf, turned) == READ


def test_a_rule_parts_cells_however_near_they_are(make_pdf: MakePdf) -> None:
    rows = [("Emissions", "in the year"), ("Tonnes of carbon", "2030"), ("Tonnes of soot", "2040")]

    def page(canvas: Canvas) -> None:
        canvas.setFont("Helvetica", 9)
        for number in range(4):
            canvas.line(60, 700 - 20 * number, 400, 700 - 20 * number)
        canvas.line(200, 640, 200, 700)
        for number, (text, year) in enumerate(rows):
            canvas.drawRightString(198.5, 686 - 20 * number, text)
            canvas.drawString(201.5 if number else 300, 686 - 20 * number, year)

    read = extract(RawDocument(make_pdf([page]), "a.pdf")).text
    assert read.split("\n") == [" | ".join(cells) for cells in rows]


def test_cells_span_columns_and_rows_or_are_empty(make_pdf: MakePdf) -> None:
    rows = [
        HEAD,
        ("Metals", "", ""),
        ("7601", "", "Carbon dioxide"),
        ("", "Scrap", "None"),
        ("", "Powders", "None"),
    ]
    spans = [
        ("SPAN", (0, 1), (-1, 1)),
        ("SPAN", (0, 2), (0, 4)),
        ("VALIGN", (0, 2), (0, 4), "MIDDLE"),
    ]
    assert table_of(make_pdf, page_with(rows, [*GRID, *spans], (60, 150, 120))) == [
        "CN code | Goods | Gases",
        "Metals",
        "7601 | – | Carbon dioxide",
        "– | Scrap | None",
        "– | Powders | None",
    ]


def test_lines_between_two_rules_are_rows_where_no_cell_goes_on(make_pdf: MakePdf) -> None:
    rows = [("7601<br/>7602<br/>7603", "Raw<br/>Scrap<br/>Powders", "Carbon<br/>None<br/>Carbon")]
    assert table_of(make_pdf, page_with([HEAD, *rows, ROWS[3]], GRID, (60, 150, 120))) == [
        READ[0],
        "7601 | Raw | Carbon",
        "7602 | Scrap | None",
        "7603 | Powders | Carbon",
        READ[4],
    ]


def test_a_header_without_rules_between_its_cells(make_pdf: MakePdf) -> None:
    rules = [("GRID", (0, 1), (-1, -1), 0.5, black), ("BOX", (0, 0), (-1, 0), 0.5, black)]
    assert table_of(make_pdf, page_with([HEAD, *ROWS], rules, (60, 150, 120))) == READ


def test_pages_on_their_side_are_read_along_their_lines(make_pdf: MakePdf) -> None:
    def page(canvas: Canvas) -> None:
        page_with([HEAD, *ROWS], GRID, (60, 150, 120))(canvas)
        canvas.setPageRotation(90)

    assert table_of(make_pdf, page) == READ


def test_small_tables_at_the_top_of_a_page(make_pdf: MakePdf) -> None:
    def page(canvas: Canvas) -> None:
        canvas.setFont("Helvetica", 9)
        for number in range(3):
            row(canvas, 820 - 15 * number, ("Some", "words", "apart"))

    assert extract(RawDocument(make_pdf([page]), "a.pdf")).text == "\n".join(
        ["Some | words | apart"] * 3
    )


def test_many_columns_of_numbers_take_no_longer_than_few(make_pdf: MakePdf) -> None:
    def page(canvas: Canvas) -> None:
        canvas.setFont("Helvetica", 6)
        for number in range(40):
            text = canvas.beginText(40, 800 - 12 * number)
            for column in range(26):
                text.setTextOrigin(40 + 20 * column, 800 - 12 * number)
                text.textOut(str(10 + (7 * number + column) % 90))
            canvas.drawText(text)

    lines = extract(RawDocument(make_pdf([page]), "a.pdf")).text.split("\n")
    assert lines[0] == " | ".join(str(10 + column) for column in range(26))
    assert len([line for line in lines if line]) == 40


def test_a_header_over_many_pages_is_said_once_for_each_piece(make_pdf: MakePdf) -> None:
    rows = [(f"76{number:02}", "Aluminium of some kind", "Carbon") for number in range(20)]

    def page(canvas: Canvas) -> None:
        table = Table([HEAD, *rows], colWidths=[60, 150, 120], style=GRID)
        _, height = table.wrapOn(canvas, 460, 700)
        table.drawOn(canvas, 72, 700 - height)

    text = extract(RawDocument(make_pdf([page, page]), "a.pdf")).text
    assert text.count("CN code | Goods | Gases") == 2
    assert text.count("7600 | ") == 2


def framed(canvas: Canvas) -> None:
    canvas.setFont("Helvetica", 9)
    canvas.rect(60, 500, 480, 300)
    for number in range(12):
        canvas.drawString(72, 780 - 20 * number, PROSE)


def struck(canvas: Canvas) -> None:
    framed(canvas)
    canvas.line(300, 500, 300, 800)
    for number in range(8):
        canvas.line(60, 775 - 20 * number, 540, 775 - 20 * number)
    row(canvas, 515, ("One", "Two", "Three"))


def enacting(canvas: Canvas) -> None:
    framed(canvas)
    canvas.line(80, 100, 80, 160)
    for number, line in enumerate(("Article 5", "Scope and aim")):
        canvas.line(60, 100 + 30 * number, 540, 100 + 30 * number)
        canvas.drawString(64, 110 + 30 * number, str(number))
        canvas.drawString(84, 110 + 30 * number, line)
    canvas.line(60, 160, 540, 160)


@pytest.mark.parametrize("page", [framed, struck, enacting])
def test_rules_around_and_through_prose_make_no_table(
    make_pdf: MakePdf, page: Callable[[Canvas], None]
) -> None:
    text = extract(RawDocument(make_pdf([page]), "a.pdf")).text
    assert " | " not in text
    assert text.count(PROSE) == 12


def test_every_row_of_a_real_annex_has_its_gas(shared_data: Path) -> None:
    file = shared_data / "regulations" / "cbam" / "CBAM_32023R0956_EN.pdf"
    text = extract(RawDocument(file.read_bytes(), file.name)).text
    annexes = text[text.index("\nANNEX I\n") : text.index("\nANNEX III\n")].splitlines()
    rows = [line for line in annexes if re.match(r"\d{2,4} ?[\d ]*–", line)]
    assert len(rows) == 71
    gas = re.compile(r" \| Carbon dioxide(?: and (?:nitrous oxide|perfluorocarbons))?$")
    assert [row for row in rows if not gas.search(row)] == []
    assert "Carbon dioxide" not in annexes
    assert "Mi is the mass of input material (precursor) i used" in text


def test_rows_and_prose_do_not_run_into_one_another(make_pdf: MakePdf) -> None:
    def first(canvas: Canvas) -> None:
        canvas.setFont("Helvetica", 9)
        for number in range(12):
            canvas.drawString(72, 800 - 11 * number, PROSE)
        row(canvas, 640, ("CN code", "Goods", "Gas"))
        row(canvas, 628, ("7601", "Aluminium that", "Carbon"))
        canvas.drawString(72, 616, "of these goods some are declared by nobody.")
        canvas.setFont("Helvetica-Bold", 9)
        canvas.drawString(72, 580, "Goods and gases")
        canvas.setFont("Helvetica", 7)
        row(canvas, 560, ("CN code", "Goods", "Gas"))
        row(canvas, 548, ("7602", "Scrap that", "None of"))

    def second(canvas: Canvas) -> None:
        canvas.setFont("Helvetica", 7)
        canvas.drawString(72, 700, "the gases is meant here.")
        canvas.setFont("Helvetica", 9)
        canvas.drawString(72, 600, PROSE)

    text = extract(RawDocument(make_pdf([first, second]), "a.pdf")).text
    assert text.split("\n\n")[1:] == [
        "CN code | Goods | Gas\n7601 | Aluminium that | Carbon",
        "of these goods some are declared by nobody.",
        "Goods and gases",
        "CN code | Goods | Gas\n7602 | Scrap that | None of",
        "the gases is meant here.",
        PROSE,
    ]
