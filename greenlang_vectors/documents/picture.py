"""Draws one page of a PDF in a process of its own: PDF on standard input, PGM on standard output.

Arguments: the page's index, the most dots an inch, the most dots in all, and the degrees it is
turned clockwise. The PGM is grey. Nothing is written where there is nothing to recognise: the page
is blank, or it holds text and no pictures over half of it. Like `pdfium_process`, it imports
nothing of the package and takes only itself along.
"""

from __future__ import annotations

import math
import sys

import pypdfium2
import pypdfium2.raw as pdfium

MEMORY_BYTES = 4 * 1024**3
COVERED = 0.5
"""Share of a page with text that pictures cover at least where it is a scan."""


def main() -> None:
    """Reads standard input and writes the picture."""
    if sys.platform == "linux":
        import resource  # noqa: PLC0415

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    index, dots_an_inch, dots, turned = (int(argument) for argument in sys.argv[1:])
    page = pypdfium2.PdfDocument(sys.stdin.buffer.read())[index]
    width, height = page.get_size()
    text = page.get_textpage().get_text_range(errors="replace").strip()
    if text and _pictured(page) < COVERED * width * height:
        return
    scale = min(dots_an_inch / 72, math.sqrt(dots / (width * height)))
    drawn = page.render(scale=scale, rotation=turned, grayscale=True)
    rows = memoryview(drawn.buffer).cast("B")
    picture = b"".join(
        rows[start : start + drawn.width]
        for start in range(0, drawn.height * drawn.stride, drawn.stride)
    )
    if picture.count(picture[:1]) < len(picture):
        sys.stdout.buffer.write(b"P5 %d %d 255\n" % (drawn.width, drawn.height) + picture)


def _pictured(page: pypdfium2.PdfPage) -> float:
    """Square points that pictures cover; strips of a scan add up."""
    covered = 0.0
    for picture in page.get_objects([pdfium.FPDF_PAGEOBJ_IMAGE]):
        left, bottom, right, top = picture.get_bounds()
        covered += (right - left) * (top - bottom)
    return covered


if __name__ == "__main__":
    main()
