"""Columns of a page are read one after the other."""

from __future__ import annotations

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


def test_a_sentence_runs_from_one_column_into_the_next(make_pdf: MakePdf) -> None:
    def page(canvas: Canvas) -> None:
        canvas.setFont("Helvetica-Bold", 16)
        canvas.drawCentredString(300, 780, "Monitoring of emissions")
        canvas.setFont("Helvetica", 10)
        for x, column in ((72, LEFT), (320, RIGHT)):
            for number, line in enumerate(column):
                canvas.drawString(x, 740 - 12 * number, line)

    text = extract(RawDocument(make_pdf([page]), "a.pdf")).text
    joined = " ".join(line for line in [*LEFT[3:], RIGHT[0]])
    assert text.split("\n\n") == [
        "Monitoring of emissions",
        " ".join(LEFT[:2]),
        joined,
        " ".join(RIGHT[2:]),
    ]
