"""Scanned pages: pictures of a PDF's pages, as a scanner would make them."""

from __future__ import annotations

import shutil
from io import BytesIO

import pypdfium2
import pytest
from reportlab.lib.pagesizes import A4
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

needs_tesseract = pytest.mark.skipif(
    shutil.which("tesseract") is None,
    reason="Tesseract is not on this machine (apt install tesseract-ocr)",
)


def scan_on(canvas: Canvas, pdf: bytes, page: int = 0, *, turned: int = 0) -> None:
    """Put a picture of a page of `pdf` on one of the canvas, turned by degrees to the left."""
    drawn = pypdfium2.PdfDocument(pdf)[page].render(scale=200 / 72, grayscale=True)
    picture = drawn.to_pil().rotate(turned, expand=True)
    width, height = A4 if turned % 180 == 0 else (A4[1], A4[0])
    canvas.setPageSize((width, height))
    canvas.drawImage(ImageReader(picture), 0, 0, width, height)


def pdf(*, printed: bool, scanned: bool) -> bytes:
    """A PDF of a page with text, a page that is a picture of it, or both."""
    page = BytesIO()
    canvas = Canvas(page)
    canvas.drawString(72, 700, "Operators shall monitor the emissions of each installation.")
    canvas.save()
    if not scanned:
        return page.getvalue()
    both = BytesIO()
    canvas = Canvas(both)
    if printed:
        canvas.drawString(72, 700, "A page that was printed needs no recognition, having its text.")
        canvas.showPage()
    scan_on(canvas, page.getvalue())
    canvas.save()
    return both.getvalue()
