"""Scanned pages: pictures of the corpora's PDFs beside the text these PDFs have.

The character error rate is the edit distance between both texts, blanks aside, over the length of
the true one. Lines are compared as they lie on the page, from the top and from the left, before
they become paragraphs. The pictures are clean; those of a scanner are not.
"""

from __future__ import annotations

import time
from io import BytesIO
from typing import Any

import numpy as np
import pypdfium2
from rich.table import Table

from benchmarks.common import console, corpora, namespaces_of, number
from greenlang_vectors.documents.ocr import with_scans
from greenlang_vectors.documents.pdf_readers import read_pdf

PAGES = number("PAGES", 3)
"""Of each PDF, spread over it."""
DOTS_AN_INCH = (300, 200, 150, 100)


def main() -> None:
    """Measure and print."""
    pages = [
        page
        for folder in corpora().values()
        for namespace in namespaces_of(folder)
        for path in sorted(namespace.glob("*.pdf"))
        for page in _pages(path.read_bytes())
    ]
    truth = [_text(_alone(document, index), "") for document, index in pages]
    characters = sum(map(len, truth))
    table = Table("dots an inch", "pages", "characters", "wrong", "s a page")
    for dots in DOTS_AN_INCH:
        scans = [_scan(document[index], dots) for document, index in pages]
        began = time.perf_counter()
        read = [_text(scan, "eng") for scan in scans]
        seconds = time.perf_counter() - began
        wrong = sum(map(_distance, truth, read)) / characters
        each = f"{seconds / len(pages):.1f}"
        table.add_row(str(dots), str(len(pages)), f"{characters:,}", f"{wrong:.2%}", each)
    console.print(table)


def _pages(data: bytes) -> list[tuple[pypdfium2.PdfDocument, int]]:
    document = pypdfium2.PdfDocument(data)
    return [(document, index) for index in range(0, len(document), -(-len(document) // PAGES))]


def _alone(document: pypdfium2.PdfDocument, index: int) -> bytes:
    alone = pypdfium2.PdfDocument.new()
    alone.import_pages(document, [index])
    return _saved(alone)


def _scan(page: pypdfium2.PdfPage, dots: int) -> bytes:
    """A PDF of one page that is a picture of this one."""
    width, height = page.get_size()
    scan = pypdfium2.PdfDocument.new()
    picture = pypdfium2.PdfImage.new(scan)
    picture.set_bitmap(page.render(scale=dots / 72, grayscale=True))
    picture.set_matrix(pypdfium2.PdfMatrix().scale(width, height))
    blank = scan.new_page(width, height)
    blank.insert_obj(picture)
    blank.gen_content()
    return _saved(scan)


def _saved(document: pypdfium2.PdfDocument) -> bytes:
    buffer = BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def _text(data: bytes, languages: str) -> str:
    """The characters of a PDF of one page, line by line."""
    [page], _ = with_scans(data, read_pdf(data)["pages"], languages)
    rows: list[list[list[Any]]] = []
    for line in sorted(page["lines"], key=lambda line: -line[4]):
        bottom, top = line[3:5]
        if rows and (bottom + top) / 2 > rows[-1][0][3]:
            rows[-1].append(line)
        else:
            rows.append([line])
    return "".join(
        "".join(line[0].split()) for row in rows for line in sorted(row, key=lambda line: line[1])
    )


def _distance(truth: str, read: str) -> int:
    """Characters to insert, remove and replace at least (Levenshtein)."""
    codes = np.array([ord(char) for char in read])
    places = np.arange(len(read) + 1)
    row = places
    for done, char in enumerate(truth, start=1):
        nearest = np.minimum(row[1:] + 1, row[:-1] + (codes != ord(char)))
        row = np.minimum.accumulate(np.concatenate(([done], nearest)) - places) + places
    return int(row[-1])
