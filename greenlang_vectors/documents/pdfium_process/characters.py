"""The characters of a page: PDFium asked about many at a time."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from ctypes import c_float, c_int, c_ulong, c_void_p
from functools import cache
from itertools import repeat
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium

Sides = Sequence[list[float]]
"""Left, right, bottom and top of many boxes."""
_LINE_END_HYPHENS = "\u00ad\x02"


def fast(function: Any, result: Any, *arguments: Any) -> Any:  # noqa: ANN401 - of ctypes
    """A function of PDFium that takes addresses: a third of the time, where it is called often."""
    return ctypes.PYFUNCTYPE(result, *arguments)(ctypes.cast(function, c_void_p).value or 0)


_char_index = fast(pdfium.FPDFText_GetCharIndexFromTextIndex, c_int, c_void_p, c_int)
_char_box = fast(pdfium.FPDFText_GetLooseCharBox, c_int, c_void_p, c_int, c_void_p)
_font_weight = fast(pdfium.FPDFText_GetFontWeight, c_int, c_void_p, c_int)
_font_name = ctypes.create_string_buffer(128)
_font_info = fast(pdfium.FPDFText_GetFontInfo, c_int, c_void_p, c_int, c_void_p, c_ulong, c_void_p)


class Characters:
    """The text of a page, and its characters by their positions, which count UTF-16 units.

    Positions are PDFium's own indices of its characters, except where it leaves some out of the
    text or puts some in.
    """

    def __init__(self, textpage: pypdfium2.PdfTextPage, shown: Callable[[Sides], Sides]) -> None:
        self._shown = shown
        text = textpage.get_text_range(errors="surrogatepass")
        self._textpage = ctypes.cast(textpage.raw, c_void_p).value
        last = len(text) - 1
        count = textpage.count_chars()
        self._plain = count == len(text) and _char_index(self._textpage, last) == last
        for hyphen in _LINE_END_HYPHENS:
            text = text.replace(hyphen, "\ufffe")
        self.text = text

    def units(self, text: str) -> int:
        """How long a text is."""
        return len(text) if self._plain else len(text.encode("utf-16-le", "surrogatepass")) // 2

    def indices(self, positions: list[int]) -> list[int]:
        """PDFium's indices; negative where there is none."""
        return positions if self._plain else [_char_index(self._textpage, i) for i in positions]

    def boxes(self, indices: Sequence[int]) -> tuple[list[int], Sides]:
        """Whether each has a place on the page, and which."""
        sides = (c_float * (4 * len(indices)))()
        start = ctypes.addressof(sides)
        addresses = range(start, start + ctypes.sizeof(sides), 4 * ctypes.sizeof(c_float))
        found = list(map(_char_box, repeat(self._textpage), indices, addresses))
        flat = list(sides)
        return found, self._shown((flat[0::4], flat[2::4], flat[3::4], flat[1::4]))

    def are_bold(self, *indices: int) -> bool:
        """By the fonts' weight, or their names: the standard fonts carry no weight."""
        return all(map(self._is_bold, indices))

    def _is_bold(self, index: int) -> bool:
        if _font_weight(self._textpage, index) >= 600:
            return True
        length = _font_info(self._textpage, index, _font_name, len(_font_name), None)
        return length > 0 and _names_bold(_font_name.value)


@cache
def _names_bold(font: bytes) -> bool:
    return any(word in font.lower() for word in (b"bold", b"black", b"heavy"))
