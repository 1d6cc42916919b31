"""Scanned pages: pictures of a PDF's pages, as a scanner would make them."""

from __future__ import annotations

import shutil

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
