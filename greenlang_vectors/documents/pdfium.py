"""Reads one PDF in a process of its own: PDF on standard input, JSON on standard output.

PDFium is C++ that reads hostile files: here it can crash, loop or eat memory and takes only this
process with it. Imports nothing of the package, so that it starts in a tenth of a second; what
the lines mean is worked out in `layout`, in the calling process.

The JSON is either `{"error": reason}`, or
`{"pages": [{"height", "lines": [[text, left, right, bottom, top, bold]]}],
"outline": [[level, title, page]], "metadata": {}}`, coordinates in points with the origin at the
lower left of the page as it is shown. A hyphen at the end of a line is "-", a tab parts cells.
"""

from __future__ import annotations

import ctypes
import json
import re
import sys
from collections.abc import Iterator
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium

MEMORY_BYTES = 4 * 1024**3
WIDE = 0.6
"""Heights of a line that a character is wide on average where a line is looked into for cells; it
is half a height in running text."""
CELL_GAP = 1.2
"""Heights of a line that its words are apart at least where a cell ends."""
_LIST_MARK = re.compile(r"\(?[0-9A-Za-z]{1,4}[.)]|[–—•▪-]")
_LINE_END_HYPHENS = str.maketrans("\u00ad\x02", "\ufffe\ufffe")


def main() -> None:
    """Reads standard input and writes the JSON."""
    _limit_memory()
    data = sys.stdin.buffer.read()
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        locked = getattr(error, "err_code", None) in (
            pdfium.FPDF_ERR_PASSWORD,
            pdfium.FPDF_ERR_SECURITY,
        )
        result: dict[str, Any] = {"error": "encrypted" if locked else "damaged"}
    else:
        try:
            result = {
                "pages": [_page(document, index) for index in range(len(document))],
                "outline": _outline(document),
                "metadata": document.get_metadata_dict(skip_empty=True),
            }
        except pypdfium2.PdfiumError:
            result = {"error": "damaged"}
    sys.stdout.write(json.dumps(result))


def _limit_memory() -> None:
    if sys.platform == "linux":
        import resource  # noqa: PLC0415

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


def _page(document: pypdfium2.PdfDocument, index: int) -> dict[str, Any]:
    page = document[index]
    textpage = page.get_textpage()
    width, height = page.get_size()
    pieces = list(_pieces(textpage))
    lines = [_line(textpage, *piece) for piece in pieces]
    _part_cells(textpage, pieces, lines)
    rotation = page.get_rotation()
    if rotation:
        lines = [_rotated(line, rotation, width, height) for line in lines]
    textpage.close()
    page.close()
    return {"height": height, "lines": lines}


def _pieces(textpage: pypdfium2.PdfTextPage) -> Iterator[tuple[str, int, int]]:
    """Pieces of text that lie on one line, each with the positions of its first and last unit.

    Positions count UTF-16 units, as PDFium does. PDFium runs a word that a hyphen splits on
    without a line end, and leaves U+FFFE for the hyphen.
    """
    position = 0
    for line in textpage.get_text_range(errors="surrogatepass").split("\r\n"):
        *split, last = line.translate(_LINE_END_HYPHENS).split("\ufffe")
        for part in [*(f"{part}-" for part in split), last]:
            stripped = part.strip()
            if stripped:
                first = position + _units(part[: len(part) - len(part.lstrip())])
                yield stripped, first, first + _units(stripped) - 1
            position += _units(part)
        position += 2


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _line(textpage: pypdfium2.PdfTextPage, text: str, first: int, last: int) -> list[Any]:
    boxes = []
    bold = True
    for position in {first: 0, (first + last) // 2: 0, last: 0}:
        index = pdfium.FPDFText_GetCharIndexFromTextIndex(textpage, position)
        box = pdfium.FS_RECTF()
        if index >= 0 and pdfium.FPDFText_GetLooseCharBox(textpage, index, box):
            boxes.append((box.left, box.right, box.bottom, box.top))
            bold = bold and _is_bold(textpage, index)
    if not boxes:
        return [text, 0.0, 0.0, 0.0, 0.0, False]
    lefts, rights, bottoms, tops = zip(*boxes, strict=True)
    sides = [min(lefts), max(rights), min(bottoms), max(tops)]
    return [text, *(round(side, 2) for side in sides), bold]


def _part_cells(
    textpage: pypdfium2.PdfTextPage, pieces: list[tuple[str, int, int]], lines: list[list[Any]]
) -> None:
    """Puts tabs between the cells of a table's rows, which PDFium runs together.

    Only lines that are much wider than their characters are looked into, and their neighbours; one
    such line alone is no table.
    """
    wide = {
        i: gaps
        for i, line in enumerate(lines)
        if line[2] - line[1] > WIDE * _height(line) * len(line[0])
        and " " in line[0]
        and (gaps := [g for g in _gaps(textpage, pieces[i]) if g[1] > CELL_GAP * _height(line)])
    }
    parted = {i for i in wide if any(abs(i - other) in (1, 2, 3) for other in wide)}
    starts = [start for i in parted for _, _, start in wide[i]]
    for i in parted:
        lines[i][0] = _tabbed(lines[i][0], [place for place, _, _ in wide[i]])
    for i in sorted({i + step for i in parted for step in (-1, 1)} - parted):
        if 0 <= i < len(lines) and lines[i][2] > min(starts):
            places = [
                place
                for place, width, start in _gaps(textpage, pieces[i])
                if width > 0.4 * _height(lines[i]) and any(abs(start - x) < 2 for x in starts)
            ]
            lines[i][0] = _tabbed(lines[i][0], places)


def _height(line: list[Any]) -> float:
    height: float = line[4] - line[3]
    return height


def _gaps(
    textpage: pypdfium2.PdfTextPage, piece: tuple[str, int, int]
) -> list[tuple[int, float, float]]:
    """Of every space but one behind a list's mark: its place, its width, and where it ends."""
    text, first, _ = piece
    found = []
    for place, char in enumerate(text):
        if char != " " or _LIST_MARK.fullmatch(text, 0, place):
            continue
        position = first + _units(text[:place])
        left, right = (_box(textpage, position + step) for step in (-1, 1))
        if left is not None and right is not None:
            found.append((place, right.left - left.right, right.left))
    return found


def _box(textpage: pypdfium2.PdfTextPage, position: int) -> Any:  # noqa: ANN401 - a C structure
    index = pdfium.FPDFText_GetCharIndexFromTextIndex(textpage, position)
    box = pdfium.FS_RECTF()
    return box if index >= 0 and pdfium.FPDFText_GetLooseCharBox(textpage, index, box) else None


def _tabbed(text: str, places: list[int]) -> str:
    return "".join("\t" if i in places else char for i, char in enumerate(text))


def _is_bold(textpage: pypdfium2.PdfTextPage, index: int) -> bool:
    """By the font's weight, or its name: the standard fonts carry no weight."""
    if pdfium.FPDFText_GetFontWeight(textpage, index) >= 600:
        return True
    name = ctypes.create_string_buffer(128)
    pdfium.FPDFText_GetFontInfo(textpage, index, name, len(name), None)
    return any(word in name.value.lower() for word in (b"bold", b"black", b"heavy"))


def _rotated(line: list[Any], rotation: int, width: float, height: float) -> list[Any]:
    """The line on the page as it is shown, turned clockwise by `rotation` degrees."""
    text, left, right, bottom, top, bold = line
    if rotation == 90:
        return [text, bottom, top, height - right, height - left, bold]
    if rotation == 180:
        return [text, width - right, width - left, height - top, height - bottom, bold]
    return [text, width - top, width - bottom, left, right, bold]


def _outline(document: pypdfium2.PdfDocument) -> list[list[Any]]:
    entries = []
    for bookmark in document.get_toc(max_depth=8):
        target = bookmark.get_dest()
        page = target.get_index() if target is not None else None
        if page is not None:
            entries.append([bookmark.level + 1, bookmark.get_title(), page])
    return entries


if __name__ == "__main__":
    main()
