"""Footnotes follow the paragraph that calls them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from reportlab.pdfgen.canvas import Canvas

from greenlang_vectors.documents.extract import extract
from greenlang_vectors.documents.source import RawDocument

from .conftest import MakePdf

JOURNAL = (
    '<p>(1) The Committee <a id="c1" href="#n1">(<span>1</span>)</a>, and point (2).</p><p>(2) Next'
    ' <a id="c2" href="#n2">(<span>2</span>)</a>.</p><p>Last.</p><hr/>'
    '<p><a id="n1" href="#c1">(<span>1</span>)</a>  OJ C 1.</p>'
    '<p><a id="n2" href="#c2">(<span>2</span>)</a> OJ C 2.</p>'
)
CONSOLIDATED = (
    '<p>The Council  ( <a href="#E1" id="src.E1">1</a> ) acts</p><table><tr><td>a</td>'
    '<td>b (<a href="#E2" id="src.E2">2</a>)</td></tr></table><p>End.</p>'
    '<p>(<a href="#src.E1" id="E1">1</a>) OJ L 1.</p><p>(<a href="#src.E2" id="E2">2</a>) OJ L 2.'
    "</p>"
)


def paragraphs(body: str) -> list[str]:
    page = f"<html><body>{body}</body></html>".encode()
    return extract(RawDocument(page, "a.html")).text.split("\n\n")


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (
            JOURNAL,
            ["(1) The Committee [1], and point (2).", "[1] OJ C 1.", "(2) Next [2].", "[2] OJ C 2.",
             "Last."],
        ),
        (CONSOLIDATED, ["The Council [1] acts", "[1] OJ L 1.", "a | b [2]", "[2] OJ L 2.", "End."]),
    ],
)  # fmt: skip
def test_anchors_that_lead_to_one_another_are_call_and_note(page: str, expected: list[str]) -> None:
    assert paragraphs(page) == expected


def test_other_anchors_stay_as_they_are() -> None:
    contents = (
        '<p><a id="t1" href="#h1">Scope 1</a> <a id="x" href="#gone">(3)</a> and <a id="e"'
        ' href="#e2"></a>so on.</p><h2><a id="h1" href="#t1">Scope 1</a></h2><p>Text.</p>'
    )
    assert paragraphs(contents) == ["Scope 1 (3) and so on.", "Scope 1", "Text."]


def draw(canvas: Canvas, text: str, y: float, size: float = 10, x: float = 72) -> None:
    canvas.setFont("Helvetica", size)
    canvas.drawString(x, y, text)


def raised(canvas: Canvas, number: str, x: float, y: float) -> float:
    """Draws a raised number; where it ends."""
    draw(canvas, number, y + 4, 5, x)
    return x + canvas.stringWidth(number, "Helvetica", 5)


def printed(canvas: Canvas, *, enclosed: bool) -> None:
    first = "Barrels, as in point (1), are of oak" + (" (" if enclosed else "")
    draw(canvas, first, 700)
    x = raised(canvas, "1", 72 + canvas.stringWidth(first, "Helvetica", 10), 700)
    draw(canvas, ") and of steel." if enclosed else " and of steel.", 700, x=x)
    draw(canvas, "Barrels without a mark are taken off the market at once.", 660)
    draw(canvas, "(" if enclosed else "", 90, 8)
    x = raised(canvas, "1", 72 + (canvas.stringWidth("(", "Helvetica", 8) if enclosed else 0), 89)
    draw(canvas, ") Directive 2013/34/EU." if enclosed else " Directive 2013/34/EU.", 90, 8, x)


@pytest.mark.parametrize("enclosed", [True, False])
def test_a_note_in_print_follows_its_call(make_pdf: MakePdf, *, enclosed: bool) -> None:
    page = make_pdf([lambda canvas: printed(canvas, enclosed=enclosed)])
    assert extract(RawDocument(page, "a.pdf")).text.split("\n\n") == [
        "Barrels, as in point (1), are of oak [1] and of steel.",
        "[1] Directive 2013/34/EU.",
        "Barrels without a mark are taken off the market at once.",
    ]


def test_a_note_that_nothing_calls_stays_at_the_foot(make_pdf: MakePdf) -> None:
    def page(canvas: Canvas) -> None:
        draw(canvas, "As in point (1), barrels are marked and weighed once a year.", 700)
        draw(canvas, "(1) OJ L 1.", 90, 8)

    text = extract(RawDocument(make_pdf([page]), "a.pdf")).text
    assert text.endswith("once a year.\n\n(1) OJ L 1.")


@pytest.mark.parametrize(
    ("name", "notes"),
    [
        ("eudr/EUDR_32023R1115_OJ_2023-05-31_EN.xhtml", 27),
        ("cbam/MRR_02018R2066-20240701_EN.html", 17),
        ("csrd/CSRD_32022L2464_EN.pdf", 39),
        ("cbam/CBAM_32023R0956_EN.pdf", 28),
    ],
)
def test_every_note_of_real_acts_has_its_place(shared_data: Path, name: str, notes: int) -> None:
    file = shared_data / "regulations" / name
    found = extract(RawDocument(file.read_bytes(), file.name)).text.split("\n\n")
    numbers: list[int] = []
    for place, paragraph in enumerate(found):
        if match := re.match(r"\[(\d+)\] ", paragraph):
            numbers.append(int(match[1]))
            caller = next(p for p in reversed(found[:place]) if not re.match(r"\[\d+\] ", p))
            assert f"[{match[1]}]" in caller
    assert len(numbers) == notes
