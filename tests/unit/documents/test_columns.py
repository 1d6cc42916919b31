"""Columns of a page are read one after the other, however they were drawn."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas

from greenlang_vectors.documents.extract import extract
from greenlang_vectors.documents.source import RawDocument

from .conftest import MakePdf

LEFT = [
    "The operator of an installation shall",
    "monitor its emissions over the year.",
    "",
    "A report is due in March. It holds the",
    "emissions of each part, with the sources",
    "of every figure that was not measured and",
]
RIGHT = [
    "was taken from elsewhere.",
    "",
    "The authority shall answer within a month",
    "after it has received the report.",
]
BOOK = (
    "emissions of each installation are monitored over a year by its operator who reports them to"
    " the authority that answers within one month unless figures were taken from elsewhere or are"
    " not those which an accredited verifier has found in books kept for the purpose"
)


def text_of(make_pdf: MakePdf, *pages: Callable[[Canvas], None]) -> str:
    return extract(RawDocument(make_pdf(pages), "a.pdf")).text


def test_a_sentence_runs_from_one_column_into_the_next(make_pdf: MakePdf) -> None:
    def page(canvas: Canvas) -> None:
        canvas.setFont("Helvetica-Bold", 16)
        canvas.drawCentredString(300, 780, "Monitoring of emissions")
        canvas.setFont("Helvetica", 10)
        for x, column in ((72, LEFT), (320, RIGHT)):
            for number, line in enumerate(column):
                canvas.drawString(x, 740 - 12 * number, line)

    joined = " ".join(line for line in [*LEFT[3:], RIGHT[0]])
    assert text_of(make_pdf, page).split("\n\n") == [
        "Monitoring of emissions",
        " ".join(LEFT[:2]),
        joined,
        " ".join(RIGHT[2:]),
    ]


def sentence(chance: random.Random) -> str:
    return " ".join(chance.choices(BOOK.split(), k=chance.randint(12, 40))).capitalize() + "."


def wrapped(text: str, width: float, size: float) -> list[str]:
    """The lines a text takes at a width."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and stringWidth(longer, "Helvetica", size) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def column(chance: random.Random, height: int, width: float, size: float) -> list[str]:
    """About so many lines of paragraphs, with gaps between them or without."""
    lines: list[str] = []
    gap = chance.choice([[], [""]])
    while len(lines) < height:
        lines += wrapped(sentence(chance), width, size) + gap
    return lines


def draw_across(
    canvas: Canvas, columns: Sequence[Sequence[str]], xs: Sequence[float], top: float, size: float
) -> float:
    """Draw columns line by line; where the next line would be."""
    canvas.setFont("Helvetica", size)
    for number in range(max(map(len, columns))):
        for x, lines in zip(xs, columns, strict=True):
            if number < len(lines) and lines[number]:
                canvas.drawString(x, top - 1.2 * size * number, lines[number])
    return top - 1.2 * size * max(map(len, columns))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32),
    size=st.sampled_from([8, 9, 10, 11]),
    gutter=st.floats(1.2, 3.0),
    heights=st.tuples(st.integers(12, 30), st.integers(12, 30)),
    headed=st.booleans(),
    number=st.sampled_from([2, 3]),
)
def test_columns_drawn_line_by_line_are_read_one_after_the_other(
    make_pdf: MakePdf, seed: int, size: int, gutter: float, heights: tuple[int, int], *,
    headed: bool, number: int,
) -> None:  # fmt: skip
    chance = random.Random(seed)
    size = min(size, 9) if number == 3 else size
    width = (460 - (number - 1) * gutter * size) / number
    xs = [68 + place * (width + gutter * size) for place in range(number)]
    columns = [column(chance, heights[place % 2], width, size) for place in range(number)]
    intro, heading = wrapped(sentence(chance), 460, size), "Rules on the monitoring of emissions"

    def page(canvas: Canvas) -> None:
        top = draw_across(canvas, [intro], [68], 800, size) - 20
        if headed:
            canvas.setFont("Helvetica-Bold", size)
            canvas.drawCentredString(298, top, heading)
        bottom = draw_across(canvas, columns, xs, top - 30, size)
        draw_across(
            canvas,
            [
                [
                    "The end of what was laid down here by those whom it concerns"
                    + (" and by nobody else who might have read these rules in vain.")
                ]
            ],
            [68],
            bottom - 30,
            size,
        )

    read = text_of(make_pdf, page).split()
    expected = [
        *intro,
        *([heading] if headed else []),
        *(line for each in columns for line in each),
    ]
    assert read[: len(" ".join(expected).split())] == " ".join(expected).split()
    assert read[-1] == "vain."


def test_footnotes_of_columns_do_not_cut_the_text(make_pdf: MakePdf) -> None:
    left = [
        *LEFT[3:],
        "which, for the year before, had not been",
        "known to those who verify it and who, so",
    ]
    right = [*RIGHT[:1], *RIGHT[2:], "It may ask for more, where the sources", "are not named."]

    def page(canvas: Canvas) -> None:
        bottom = draw_across(canvas, [left, right], [72, 320], 700, 10)
        notes = [["(1) OJ L 1, of last year."], ["(2) OJ L 2, of this year."]]
        draw_across(canvas, notes, [72, 320], bottom - 4, 8)

    paragraphs = text_of(make_pdf, page).split("\n\n")
    assert " ".join([*left, right[0]]) in paragraphs
    assert paragraphs[-2:] == ["(1) OJ L 1, of last year.", "(2) OJ L 2, of this year."]


@pytest.mark.parametrize("heading", ["Article 2", "Scope"])
def test_a_heading_below_columns_is_not_of_the_first(make_pdf: MakePdf, heading: str) -> None:
    chance = random.Random(1)
    left, right = (column(chance, 10, 210, 10) for _ in range(2))
    below = wrapped(sentence(chance) + " " + sentence(chance), 460, 10)

    def page(canvas: Canvas) -> None:
        bottom = draw_across(canvas, [left, right], [72, 320], 780, 10)
        draw_across(canvas, [[heading, "", *below]], [72], bottom - 20, 10)

    expected = " ".join([*left, *right, heading, *below]).split()
    assert text_of(make_pdf, page).split() == expected


def test_columns_on_lines_of_different_height_are_read_one_after_the_other(
    make_pdf: MakePdf,
) -> None:
    chance = random.Random(2)
    left, right = (column(chance, 14, 210, 10)[:14] for _ in range(2))

    def page(canvas: Canvas) -> None:
        canvas.setFont("Helvetica", 10)
        for number in range(14):
            canvas.drawString(72, 700 - 14 * number, left[number])
            canvas.drawString(320, 697 - 14 * number, right[number])

    assert text_of(make_pdf, page).split() == " ".join([*left, *right]).split()


def test_a_rule_across_ends_columns(make_pdf: MakePdf) -> None:
    chance = random.Random(3)
    blocks = [[column(chance, 9, 210, 10) for _ in range(2)] for _ in range(2)]

    def page(canvas: Canvas) -> None:
        bottom = draw_across(canvas, blocks[0], [72, 320], 780, 10)
        canvas.line(72, bottom + 4, 530, bottom + 4)
        draw_across(canvas, blocks[1], [72, 320], bottom - 12, 10)

    expected = " ".join(line for block in blocks for column in block for line in column)
    assert text_of(make_pdf, page).split() == expected.split()


@settings(max_examples=15, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32), rows=st.integers(5, 12), ruled=st.booleans())
def test_rows_of_running_text_are_not_torn_apart(
    make_pdf: MakePdf, seed: int, rows: int, *, ruled: bool
) -> None:
    chance = random.Random(seed)
    table = [[wrapped(sentence(chance), 200, 9) for _ in range(2)] for _ in range(rows)]

    def page(canvas: Canvas) -> None:
        top = 800.0
        for row in table:
            if ruled:
                canvas.line(60, top + 12, 520, top + 12)
            top = draw_across(canvas, row, [68, 300], top, 9) - 9

    text = " ".join(text_of(make_pdf, page).split())
    starts = [text.index(row[0][0].split(".")[0]) for row in table]
    assert starts == sorted(starts)
    for row, following in zip(table, starts[1:], strict=False):
        assert text.index(row[1][0].split(".")[0]) < following
