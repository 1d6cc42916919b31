"""The ruling lines of a page."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from ctypes import c_float, c_int, c_void_p
from itertools import pairwise
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium

from greenlang_vectors.documents.pdfium_process.characters import fast

THICK = 3.0
"""Points that a ruling line is thick at most."""
MOST = 10_000
"""Of a page: one that draws more is a drawing."""

_object = fast(pdfium.FPDFPage_GetObject, c_void_p, c_void_p, c_int)
_object_type = fast(pdfium.FPDFPageObj_GetType, c_int, c_void_p)
_bounds = fast(pdfium.FPDFPageObj_GetBounds, c_int, c_void_p, *[c_void_p] * 4)

Rule = tuple[float, float, float, float]
"""Left, right, bottom and top."""


def rules_of(page: pypdfium2.PdfPage) -> list[Rule]:
    """The ruling lines of a page, and the edges of boxes that are drawn; none of a drawing."""
    rules: list[Rule] = []
    sides = (c_float * 4)()
    left, bottom, right, top = (ctypes.addressof(sides) + 4 * place for place in range(4))
    address = ctypes.cast(page.raw, c_void_p).value
    for number in range(pdfium.FPDFPage_CountObjects(page.raw)):
        found = _object(address, number)
        if _object_type(found) != pdfium.FPDF_PAGEOBJ_PATH:
            continue
        if not _bounds(found, left, bottom, right, top):
            continue
        around = sides[0], sides[2], sides[1], sides[3]
        if _is_thin(around):
            rules.append(around)
        else:
            rules += _edges(ctypes.cast(found, pdfium.FPDF_PAGEOBJECT))
        if len(rules) > MOST:
            return []
    return rules


def _is_thin(rule: Rule) -> bool:
    left, right, bottom, top = rule
    return right - left <= THICK or top - bottom <= THICK


def _edges(path: Any) -> Iterator[Rule]:  # noqa: ANN401 - of ctypes
    """What a path draws of lines across or down."""
    stroked = c_int()
    pdfium.FPDFPath_GetDrawMode(path, c_int(), stroked)
    for points in _outlines(path):
        xs, ys = zip(*points, strict=True)
        around = min(xs), max(xs), min(ys), max(ys)
        if _is_thin(around):
            yield around
        elif stroked.value:
            for (x, y), (to_x, to_y) in pairwise([*points, points[0]]):
                if abs(x - to_x) <= 0.1 or abs(y - to_y) <= 0.1:
                    yield min(x, to_x), max(x, to_x), min(y, to_y), max(y, to_y)


def _outlines(path: Any) -> Iterator[list[tuple[float, float]]]:  # noqa: ANN401 - of ctypes
    """The corners of each part of a path; none where it has curves."""
    matrix = pdfium.FS_MATRIX()
    segments = pdfium.FPDFPath_CountSegments(path)
    if segments > MOST or not pdfium.FPDFPageObj_GetMatrix(path, matrix):
        return
    parts: list[list[tuple[float, float]]] = []
    x, y = c_float(), c_float()
    for number in range(segments):
        segment = pdfium.FPDFPath_GetPathSegment(path, number)
        kind = pdfium.FPDFPathSegment_GetType(segment)
        if kind == pdfium.FPDF_SEGMENT_BEZIERTO:
            return
        pdfium.FPDFPathSegment_GetPoint(segment, x, y)
        if kind == pdfium.FPDF_SEGMENT_MOVETO or not parts:
            parts.append([])
        parts[-1].append(
            (
                round(matrix.a * x.value + matrix.c * y.value + matrix.e, 2),
                round(matrix.b * x.value + matrix.d * y.value + matrix.f, 2),
            )
        )
    yield from parts
