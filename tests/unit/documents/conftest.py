"""PDFs made on the spot, so that no binary file is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import BytesIO

import pytest
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

WIDTH, HEIGHT = A4
Draw = Callable[[Canvas], None]
MakePdf = Callable[..., bytes]


@pytest.fixture(scope="session")
def make_pdf() -> MakePdf:
    """Makes a PDF; each page is a list of lines from the top, or a function that draws it."""

    def make(pages: Sequence[Sequence[str] | Draw], **options: object) -> bytes:
        buffer = BytesIO()
        canvas = Canvas(buffer, pagesize=A4, **options)  # type: ignore[arg-type]
        for page in pages:
            if callable(page):
                page(canvas)
            else:
                draw_lines(canvas, page)
            canvas.showPage()
        canvas.save()
        return buffer.getvalue()

    return make


def draw_lines(canvas: Canvas, lines: Sequence[str], top: float = HEIGHT - 100) -> None:
    """Lines of 10 points, 12 apart, from `top` down; an empty line is a gap."""
    canvas.setFont("Helvetica", 10)
    for number, line in enumerate(lines):
        canvas.drawString(72, top - 12 * number, line)


@pytest.fixture(scope="session")
def lines_on() -> Callable[..., None]:
    """`draw_lines`, for pages that draw more than lines."""
    return draw_lines
